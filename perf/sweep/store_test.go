package sweep_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/journal"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/perf/sweep"
)

// plan is three cells of each of two backends, in three replicates.
func plan() sweep.Plan {
	p := sweep.Plan{Replicates: 3, Iterations: 2, BoundNS: 1e9, Seed: 1, Weights: map[string]string{"nano": "5a"}, ConfigSHA256: map[string]string{"nano": "c3"}}
	for _, b := range []string{"reference", "ort"} {
		for n := 1; n <= 3; n++ {
			p.Cells = append(p.Cells, perf.Cell{Backend: b, Profile: "nano", Precision: backends.FP32, Height: 128, Width: 128, Batch: n, Scope: perf.Complete})
		}
	}
	return p
}

func header() sweep.Header {
	return sweep.Header{When: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Version: "v0.3.0", Program: "1a", Command: "apexx sweep", Plan: plan(),
		Class: env.Class{ID: "cpu-test-2c", Kind: env.SharedCPU}}
}

func openStore(t *testing.T, dir string) *sweep.Store {
	t.Helper()
	s, err := sweep.Open(dir, header())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestStoreOfAnotherSweep lists what keeps a sweep from going on in a folder.
func TestStoreOfAnotherSweep(t *testing.T) {
	const other = "; choose another folder, or remove this one"
	for name, c := range map[string]struct {
		change func(*sweep.Header)
		want   string
	}{
		"the same":     {func(*sweep.Header) {}, ""},
		"later":        {func(h *sweep.Header) { h.When, h.Command = h.When.AddDate(0, 0, 1), "apexx sweep --out ." }, ""},
		"fewer cells":  {func(h *sweep.Header) { h.Plan.Cells = h.Plan.Cells[1:] }, "it holds a sweep with other cells or settings" + other},
		"replicates":   {func(h *sweep.Header) { h.Plan.Replicates++ }, "it holds a sweep with other cells or settings" + other},
		"seed":         {func(h *sweep.Header) { h.Plan.Seed++ }, "it holds a sweep with other cells or settings" + other},
		"weights":      {func(h *sweep.Header) { h.Plan.Weights["nano"] = "a5" }, "it holds a sweep with other cells or settings" + other},
		"machine":      {func(h *sweep.Header) { h.Class.ID = "cpu-other-4c" }, "it holds a sweep with other hardware (cpu-test-2c, here is cpu-other-4c)" + other},
		"version":      {func(h *sweep.Header) { h.Version = "v0.4.0" }, "it holds a sweep with other build (v0.3.0 of no commit, this is v0.4.0 of no commit)" + other},
		"program":      {func(h *sweep.Header) { h.Program = "1b" }, "it holds a sweep with other build (of v0.3.0 of no commit too, and not the same program)" + other},
		"dirty commit": {func(h *sweep.Header) { h.Environment.Commit = "2391b0e" }, "it holds a sweep with other build (v0.3.0 of no commit, this is v0.3.0 of commit 2391b0e)" + other},
	} {
		dir := t.TempDir()
		if err := openStore(t, dir).Close(); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(filepath.Join(dir, "log.jsonl"))
		h := header()
		c.change(&h)
		s, err := sweep.Open(dir, h)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want == "":
			s.Close()
		case err == nil || err.Error() != "sweep store "+dir+": "+c.want:
			t.Errorf("%s: got  %v\nwant %s", name, err, c.want)
		}
		if after, _ := os.ReadFile(filepath.Join(dir, "log.jsonl")); string(after) != string(before) {
			t.Errorf("%s: the log changed", name)
		}
		openStore(t, dir) // an error leaves the folder free
	}
}

func TestDamagedStore(t *testing.T) {
	text, err := json.Marshal(map[string]perf.Measurement{"measurement": {Cell: plan().Cells[0], State: evidence.Errored}})
	if err != nil {
		t.Fatal(err)
	}
	good := string(text)
	measured := func(more string) string {
		return strings.Replace(good, `"state":"error"`, `"state":"measured"`+more, 1) + "\n"
	}
	witnessed := func(parity string) string {
		text, err := json.Marshal(map[string]any{"testimony": map[string]any{"cell": plan().Cells[0], "parity": json.RawMessage(parity)}})
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + "\n"
	}
	const cell = "reference/nano/fp32/128x128/b1/complete"
	for name, c := range map[string]struct {
		lines string
		line  int    // 0: sound
		want  string // what is wrong with it
	}{
		"another replicate":  {strings.Replace(good, `"replicate":0`, `"replicate":3`, 1) + "\n", 2, "replicate 3 of cell " + cell + ", the sweep has 3"},
		"negative replicate": {strings.Replace(good, `"replicate":0`, `"replicate":-1`, 1) + "\n", 2, "replicate -1 of cell " + cell + ", the sweep has 3"},
		"torn":               {good + "\n" + good[:40], 0, ""},
		"empty line":         {"\n" + good + "\n", 2, "unexpected end of JSON input"},
		"no JSON":            {good + "\n" + good[:40] + "\n", 3, "unexpected end of JSON input"},
		"neither":            {"{}\n", 2, "want either a measurement or a testimony"},
		"both":               {`{"measurement":{},"testimony":{}}` + "\n", 2, "want either a measurement or a testimony"},
		"no cell of ours":    {strings.Replace(good, `"batch":1`, `"batch":77`, 1) + "\n", 2, "cell " + strings.Replace(cell, "b1", "b77", 1) + " is not one of the sweep's"},
		"twice":              {good + "\n" + good + "\n", 3, "what it says of cell " + cell + " was said before"},
		"measured":           {measured(`,"samples_ns":[1e6,2e6],"device_samples_ns":[9e5,8e5]`), 0, ""},
		"no samples":         {measured(``), 2, "replicate 0 of cell " + cell + " is measured and has no samples"},
		"empty samples":      {measured(`,"samples_ns":[]`), 2, "replicate 0 of cell " + cell + " is measured and has no samples"},
		"samples of failure": {strings.Replace(good, `"state"`, `"samples_ns":[1e6],"state"`, 1) + "\n", 2, "replicate 0 of cell " + cell + " is error and has samples"},
		"a sample of 0":      {measured(`,"samples_ns":[1e6,0]`), 2, "replicate 0 of cell " + cell + " is measured and has a sample of 0 ns"},
		"a negative sample":  {measured(`,"samples_ns":[1e6,-3]`), 2, "samples_ns[1] is -3, want a finite number that is not negative"},
		"half of a device":   {measured(`,"samples_ns":[1e6,2e6],"device_samples_ns":[9e5]`), 2, "replicate 0 of cell " + cell + " is measured and has 2 samples of the host and 1 of the device"},
		"negative peak":      {measured(`,"samples_ns":[1e6],"host_peak_bytes":-1`), 2, "host_peak_bytes is -1, want a number that is not negative"},
		"unknown state":      {strings.Replace(good, `"error"`, `"fine"`, 1) + "\n", 2, `unknown state "fine"`},
		"witnessed":          {good + "\n" + witnessed(`{"state":"pass","max_abs":1e-6}`), 0, ""},
		"unknown parity":     {witnessed(`{"state":"fine","max_abs":0}`), 2, "cell " + cell + ` has the unknown parity "fine"`},
		"negative error":     {witnessed(`{"state":"pass","max_abs":-1}`), 2, "parity.max_abs is -1, want a finite number that is not negative"},
	} {
		dir := t.TempDir()
		if err := openStore(t, dir).Close(); err != nil {
			t.Fatal(err)
		}
		f, err1 := os.OpenFile(filepath.Join(dir, "log.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
		_, err2 := f.WriteString(c.lines)
		if err := errors.Join(err1, err2, f.Close()); err != nil {
			t.Fatal(err)
		}
		s, err := sweep.Open(dir, header())
		want := fmt.Sprintf("sweep store %s: log.jsonl is damaged in line %d: %s; remove the folder and measure again", dir, c.line, c.want)
		switch {
		case c.line == 0 && (err != nil || len(s.Measurements) != 1):
			t.Errorf("%s: %v", name, err)
		case c.line > 0 && (err == nil || err.Error() != want):
			t.Errorf("%s: got  %v\nwant %s", name, err, want)
		}
		if err == nil {
			s.Close()
		}
	}
}

func TestStoreIsBusy(t *testing.T) {
	dir := t.TempDir()
	openStore(t, dir)
	if _, err := sweep.Open(dir, header()); !errors.Is(err, journal.ErrBusy) {
		t.Errorf("a second sweep: %v", err)
	}
}

func TestExitCode(t *testing.T) {
	cell := func(state, parity evidence.State) sweep.CellResult {
		return sweep.CellResult{State: state, Parity: perf.Parity{State: parity}}
	}
	good, absent := cell(evidence.Measured, "pass"), cell(evidence.Unsupported, "unsupported")
	for name, c := range map[string]struct {
		cells []sweep.CellResult
		want  int
	}{
		"nothing":                   {nil, exit.Unavailable},
		"nothing here":              {[]sweep.CellResult{absent, absent}, exit.Unavailable},
		"good":                      {[]sweep.CellResult{good}, exit.OK},
		"explained":                 {[]sweep.CellResult{cell(evidence.Measured, "explained")}, exit.OK},
		"some":                      {[]sweep.CellResult{absent, good}, exit.OK},
		"unverified":                {[]sweep.CellResult{good, cell(evidence.Measured, "unverified")}, exit.Inconclusive},
		"wrong":                     {[]sweep.CellResult{good, cell(evidence.Measured, "fail")}, exit.Failed},
		"wrong beats crashed":       {[]sweep.CellResult{cell(evidence.Crashed, "crashed"), cell(evidence.Measured, "fail")}, exit.Failed},
		"wrong and never timed":     {[]sweep.CellResult{good, cell(evidence.Crashed, "fail")}, exit.Failed},
		"crashed":                   {[]sweep.CellResult{good, cell(evidence.Crashed, "pass"), absent}, exit.Internal},
		"hung":                      {[]sweep.CellResult{cell(evidence.Hung, "hung")}, exit.Internal},
		"failed":                    {[]sweep.CellResult{cell(evidence.Errored, "not-run"), good}, exit.Internal},
		"timed, but the test died":  {[]sweep.CellResult{good, cell(evidence.Measured, "crashed")}, exit.Internal},
		"timed, and never compared": {[]sweep.CellResult{good, cell(evidence.Measured, "not-run")}, exit.Inconclusive},
	} {
		if got := (&sweep.Result{Cells: c.cells}).ExitCode(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestSum(t *testing.T) {
	c, other := plan().Cells[0], plan().Cells[1]
	ok := func(first, peak int64, samples ...float64) perf.Measurement {
		return perf.Measurement{Cell: c, State: evidence.Measured, Samples: samples, FirstRunNS: first, CompileNS: 2 * first, HostPeakBytes: peak,
			DevicePeakBytes: peak / 2, AllocsPerRun: float64(first) / 1e6, BytesPerRun: float64(first) / 1e5}
	}
	fails := func(s evidence.State, reason string) perf.Measurement {
		return perf.Measurement{Cell: c, State: s, Reason: reason, Detail: "because of " + reason}
	}
	foreign := ok(9e6, 900, 9e6)
	foreign.Cell = other
	for name, tt := range map[string]struct {
		list   []perf.Measurement
		state  evidence.State
		reason string
		median float64 // ms, 0 without a summary
	}{
		"nothing":                 {nil, evidence.Errored, "not_measured", 0},
		"of other cells":          {[]perf.Measurement{foreign}, evidence.Errored, "not_measured", 0},
		"one":                     {[]perf.Measurement{ok(3e6, 10, 1e6, 2e6, 3e6), foreign}, evidence.Measured, "", 2},
		"the worst state":         {[]perf.Measurement{ok(3e6, 10, 1e6), fails(evidence.Crashed, "killed"), fails(evidence.Hung, "deadline")}, evidence.Crashed, "killed", 1},
		"the first of its kind":   {[]perf.Measurement{fails(evidence.Errored, "a"), fails(evidence.Errored, "b")}, evidence.Errored, "a", 0},
		"hung after unsupported":  {[]perf.Measurement{fails(evidence.Unsupported, "u"), fails(evidence.Hung, "deadline")}, evidence.Hung, "deadline", 0},
		"failed after measured":   {[]perf.Measurement{ok(3e6, 10, 4e6), fails(evidence.Errored, "error")}, evidence.Errored, "error", 4},
		"unsupported in the last": {[]perf.Measurement{ok(3e6, 10, 4e6), fails(evidence.Unsupported, "u")}, evidence.Unsupported, "u", 4},
	} {
		r := sweep.Sum(c, tt.list)
		median := 0.0
		if r.Summary != nil {
			median = r.Summary.P50
		}
		if r.Cell != c || r.Name != c.String() || r.State != tt.state || r.Reason != tt.reason || median != tt.median || r.Parity.State != "not-run" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	r := sweep.Sum(c, []perf.Measurement{ok(3e6, 10, 1e6), ok(1e6, 30, 1e6), ok(2e6, 20, 1e6), fails(evidence.Errored, "x")})
	if r.FirstRunMS != 2 || r.CompileMS != 4 || r.HostPeakBytes != 30 || r.DevicePeakBytes != 15 || r.AllocsPerRun != 2 || r.BytesPerRun != 20 {
		t.Errorf("medians and peaks: %+v", r)
	}
}

// TestResultOfStore takes the parity and work of the cell's own testimony.
func TestResultOfStore(t *testing.T) {
	s := &sweep.Store{Header: header()}
	s.Testimonies = []measure.Testimony{{Cell: plan().Cells[1], Parity: perf.Parity{State: "pass", MaxAbs: 2}, Work: &perf.Work{TilesL0: []int{3}}}}
	s.Measurements = []perf.Measurement{{Cell: plan().Cells[1], Replicate: 2, State: evidence.Errored}, {Cell: plan().Cells[0], Replicate: 1, State: evidence.Errored}}
	r := s.Result()
	if len(r.Cells) != 6 || r.Cells[0].Parity.State != "not-run" || r.Cells[1].Parity.MaxAbs != 2 || r.Cells[1].Work.TilesL0[0] != 3 || r.Cells[2].Reason != "not_measured" {
		t.Errorf("%+v", r.Cells)
	}
	if r.Measurements[0].Replicate != 1 || s.Measurements[0].Replicate != 2 {
		t.Errorf("measurements are not in the order of replicates, or the store's moved")
	}
}
