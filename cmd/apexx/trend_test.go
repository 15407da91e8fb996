package main

import (
	"encoding/json"
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
)

// writeDaily writes the result of a sweep of one cell: three replicates around the given median.
func writeDaily(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: sweep FILE DAY COMMIT MS")
	}
	day, err := strconv.Atoi(args[1])
	ts.Check(err)
	ms, err := strconv.ParseFloat(args[3], 64)
	ts.Check(err)
	cell := perf.Cell{Backend: "reference", Profile: "nano", Precision: backends.FP32, Height: 256, Width: 256, Batch: 1, Scope: perf.Network}
	s := sweep.Result{Schema: sweep.SchemaID, When: time.Date(2026, 3, day, 5, 0, 0, 0, time.UTC),
		Environment: env.Environment{Commit: args[2], Go: "go1.26.8"}, Class: env.Class{Kind: env.SharedCPU, ID: "cpu-test-2c"},
		Cells: []sweep.CellResult{{Cell: cell, Name: cell.String(), State: evidence.Measured, Parity: perf.Parity{State: "pass"},
			Summary: &perf.Summary{Replicates: 3, Samples: 9, P50: ms, P95: 1.01 * ms}}}}
	for replicate := range 3 {
		level := ms * 1e6 * (1 + 0.01*float64(replicate-1))
		s.Measurements = append(s.Measurements, perf.Measurement{Cell: cell, Arm: perf.Head, Replicate: replicate, State: evidence.Measured,
			Samples: []float64{0.99 * level, level, 1.01 * level}})
	}
	data, err := json.Marshal(s)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
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
