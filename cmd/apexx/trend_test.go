package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
)

// writeDaily writes the result of a sweep of one cell of a backend, three replicates around the given median: daily FILE DATE COMMIT MS
// [BACKEND]. The date is that of March 2026 where it is a number.
func writeDaily(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 4 {
		ts.Fatalf("usage: daily FILE DATE COMMIT MS [BACKEND]")
	}
	if len(args[1]) < 3 {
		args[1] = fmt.Sprintf("2026-03-%02s", args[1])
	}
	when, err := time.Parse("2006-01-02", args[1])
	ts.Check(err)
	ms, err := strconv.ParseFloat(args[3], 64)
	ts.Check(err)
	cell := perf.Cell{Backend: "reference", Profile: "nano", Precision: backends.FP32, Height: 256, Width: 256, Batch: 1, Scope: perf.Network}
	if len(args) > 4 {
		cell.Backend = args[4]
	}
	s := sweep.Result{Schema: sweep.SchemaID, When: when.Add(5 * time.Hour),
		Environment: env.Environment{Commit: args[2], Go: "go1.26.8", CPU: env.CPU{Model: "test", Cores: 2}}, Class: env.Class{Kind: env.SharedCPU, ID: "cpu-test-2c", CPU: "test", Cores: 2},
		Plan: sweep.Plan{Cells: []perf.Cell{cell}, Replicates: 3, Iterations: 3, BoundNS: time.Second.Nanoseconds()}}
	for replicate := range 3 {
		level := ms * 1e6 * (1 + 0.01*float64(replicate-1))
		s.Measurements = append(s.Measurements, perf.Measurement{Cell: cell, Arm: perf.Head, Replicate: replicate, State: evidence.Measured,
			Samples: []float64{0.999 * level, level, 1.001 * level}, Outputs: sweeptest.Outputs(perf.Parity{State: evidence.Pass})})
	}
	s.Cells = []sweep.CellResult{sweep.Sum(cell, s.Measurements)}
	s.Cells[0].Parity = perf.Parity{State: evidence.Pass}
	data, err := json.Marshal(s)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
}

func TestBranchOf(t *testing.T) {
	for _, c := range []struct{ named, reference, want string }{
		{"topic", "refs/heads/main", "topic"},
		{"", "refs/heads/release/1.x", "release/1.x"},
		{"", "refs/pull/17/merge", "pull/17"}, // though its head may be called main
		{"", "refs/tags/v1.0", ""},
		{"", "", ""},
	} {
		got, err := branchOf(c.named, c.reference)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q, %q: %q, %v, want %q", c.named, c.reference, got, err, c.want)
		}
	}
}

func TestFileNames(t *testing.T) {
	names := newFileNames()
	for _, c := range []struct{ dir, name, want string }{
		{"a", "ort/nano/fp32/256x256/b1/network.p50_ms", "ort-nano-fp32-256x256-b1-network.p50_ms"},
		{"a", "ort-nano/fp32/256x256/b1/network.p50_ms", "ort-nano-fp32-256x256-b1-network.p50_ms-2"},
		{"b", "ort/nano/fp32/256x256/b1/network.p50_ms", "ort-nano-fp32-256x256-b1-network.p50_ms"},
		{"a", "../../etc/passwd", "etc-passwd"},
		{"a", "ETC/PASSWD", "ETC-PASSWD-2"}, // some file systems ignore case
		{"a", "..", "unnamed"},
		{"a", "é\x00 \n", "unnamed-2"},
		{"a", strings.Repeat("x", 300), strings.Repeat("x", 200)},
	} {
		if got := names.of(c.dir, c.name); got != c.want {
			t.Errorf("%q in %s is %q, want %q", c.name, c.dir, got, c.want)
		}
	}
}
