package sweep_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
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
	p := sweep.Plan{Replicates: 3, Iterations: 2, BoundNS: 1e9, Seed: 1, Weights: map[string]string{"nano": "5a"}, ConfigSHA256: map[string]string{"nano": "c3"},
		Options: map[string]map[string]string{"ort": {"provider": "cpu"}}, Decode: map[string]string{"max-detections": "100"}}
	for _, b := range []string{"reference", "ort"} {
		for n := 1; n <= 3; n++ {
			p.Cells = append(p.Cells, perf.Cell{Backend: b, Profile: "nano", Precision: backends.FP32, Height: 128, Width: 128, Batch: n, Scope: perf.Complete})
		}
	}
	return p
}

func header() sweep.Header {
	return sweep.Header{When: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Version: "v0.3.0", Program: "1a", Command: "apexx sweep", Plan: plan(),
		Class: env.Class{ID: "cpu-test-2c", Kind: env.SharedCPU, CPU: "test", Cores: 2}, Files: map[string]string{"ort": "0f"},
		Environment: env.Environment{CPU: env.CPU{Model: "test", Cores: 2, Procs: 2}, Libraries: []env.Software{{Key: "instruction_set", Value: "avx2"}}}}
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

// TestStoreOfAnotherSweep lists what keeps a sweep from going on in a folder: it would mix what no file tells apart.
func TestStoreOfAnotherSweep(t *testing.T) {
	const (
		other = ": go on as it was begun, choose another folder, or remove this one"
		first = "reference/nano/fp32/128x128/b1/complete"
	)
	library := func(h *sweep.Header, key, value string) {
		h.Environment.Libraries = append(slices.Clone(h.Environment.Libraries), env.Software{Key: key, Value: value})
	}
	for name, c := range map[string]struct {
		change func(*sweep.Header)
		want   string // before and after
	}{
		"the same": {func(*sweep.Header) {}, ""},
		"later":    {func(h *sweep.Header) { h.When, h.Command = h.When.AddDate(0, 0, 1), "apexx sweep --out ." }, ""},
		"a load":   {func(h *sweep.Header) { h.Environment.LoadAverage[0], h.Environment.Host = 9, "other" }, ""},
		"first cell": {func(h *sweep.Header) { h.Plan.Cells = h.Plan.Cells[1:] },
			"cell 1 " + first + ", and here it is " + strings.Replace(first, "b1", "b2", 1)},
		"last cell": {func(h *sweep.Header) { h.Plan.Cells = h.Plan.Cells[:5] },
			"cell 6 ort/nano/fp32/128x128/b3/complete, and here it is absent"},
		"replicates":    {func(h *sweep.Header) { h.Plan.Replicates++ }, "--replicates 3, and here it is 4"},
		"iterations":    {func(h *sweep.Header) { h.Plan.Iterations++ }, "--iterations 2, and here it is 3"},
		"time":          {func(h *sweep.Header) { h.Plan.BoundNS /= 2 }, "--time 1s, and here it is 500ms"},
		"seed":          {func(h *sweep.Header) { h.Plan.Seed++ }, "--seed 1, and here it is 2"},
		"threads":       {func(h *sweep.Header) { h.Plan.Threads = 1 }, "--threads GOMAXPROCS, and here it is 1"},
		"weights":       {func(h *sweep.Header) { h.Plan.Weights = map[string]string{"nano": "a5"} }, "weights of nano 5a, and here it is a5"},
		"configuration": {func(h *sweep.Header) { h.Plan.ConfigSHA256 = map[string]string{"nano": "3c"} }, "configuration of nano c3, and here it is 3c"},
		"provider": {func(h *sweep.Header) { h.Plan.Options = map[string]map[string]string{"ort": {"provider": "cuda"}} },
			"--provider cpu, and here it is cuda"},
		"decoding":        {func(h *sweep.Header) { h.Plan.Decode = map[string]string{"max-detections": "10"} }, "--max-detections 100, and here it is 10"},
		"GOMAXPROCS":      {func(h *sweep.Header) { h.Environment.CPU.Procs, h.Class.ID = 1, "cpu-test-1c" }, "GOMAXPROCS 2, and here it is 1"},
		"instruction set": {func(h *sweep.Header) { h.Environment.Libraries = nil; library(h, "instruction_set", "portable") }, "instruction_set avx2, and here it is portable"},
		"new library":     {func(h *sweep.Header) { library(h, "onnxruntime", "1.30.0") }, "onnxruntime absent, and here it is 1.30.0"},
		"no library":      {func(h *sweep.Header) { h.Environment.Libraries = nil }, "instruction_set avx2, and here it is absent"},
		"new variable": {func(h *sweep.Header) {
			h.Environment.Variables = []env.Software{{Key: "NVIDIA_TF32_OVERRIDE", Value: "0"}}
		},
			"NVIDIA_TF32_OVERRIDE absent, and here it is 0"},
		"library file": {func(h *sweep.Header) { h.Files = map[string]string{"ort": "f1"} }, "file of ort 0f, and here it is f1"},
		"machine":      {func(h *sweep.Header) { h.Class.ID = "cpu-other-4c" }, "class of machines cpu-test-2c, and here it is cpu-other-4c"},
		"version":      {func(h *sweep.Header) { h.Version = "v0.4.0" }, "version v0.3.0, and here it is v0.4.0"},
		"program":      {func(h *sweep.Header) { h.Program = "1b" }, "program 1a, and here it is 1b"},
		"commit":       {func(h *sweep.Header) { h.Environment.Commit = "2391b0e" }, "commit none, and here it is 2391b0e"},
	} {
		if c.want != "" {
			c.want = "it was begun with " + c.want + other
		}
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
	inParityRun := func(parity string) string {
		text, err := json.Marshal(map[string]any{"parity_run": map[string]any{"cell": plan().Cells[0], "parity": json.RawMessage(parity)}})
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
		"another replicate":  {strings.Replace(good, `"replicate":0`, `"replicate":3`, 1) + "\n", 2, "the plan has no replicate 3 of cell " + cell},
		"negative replicate": {strings.Replace(good, `"replicate":0`, `"replicate":-1`, 1) + "\n", 2, "the plan has no replicate -1 of cell " + cell},
		"torn":               {good + "\n" + good[:40], 0, ""},
		"empty line":         {"\n" + good + "\n", 2, "unexpected end of JSON input"},
		"no JSON":            {good + "\n" + good[:40] + "\n", 3, "unexpected end of JSON input"},
		"neither":            {"{}\n", 2, "it holds none of a measurement, a parity run and an evaluation, or several"},
		"both":               {`{"measurement":{},"parity_run":{}}` + "\n", 2, "it holds none of a measurement, a parity run and an evaluation, or several"},
		"no cell of ours":    {strings.Replace(good, `"batch":1`, `"batch":77`, 1) + "\n", 2, "the plan has no replicate 0 of cell " + strings.Replace(cell, "b1", "b77", 1)},
		"twice":              {good + "\n" + good + "\n", 3, "its step comes twice"},
		"measured":           {measured(`,"samples_ns":[1e6,2e6],"device_samples_ns":[9e5,8e5]`), 0, ""},
		"no samples":         {measured(``), 2, "it is measured and has no samples"},
		"empty samples":      {measured(`,"samples_ns":[]`), 2, "it is measured and has no samples"},
		"samples of failure": {strings.Replace(good, `"state"`, `"samples_ns":[1e6],"state"`, 1) + "\n", 2, "it is error and has samples"},
		"a sample of 0":      {measured(`,"samples_ns":[1e6,0]`), 2, "samples_ns[1] is 0, want 0.5 to 8.64e+13"},
		"a negative sample":  {measured(`,"samples_ns":[1e6,-3]`), 2, "samples_ns[1] is -3, want 0.5 to 8.64e+13"},
		"half of a device":   {measured(`,"samples_ns":[1e6,2e6],"device_samples_ns":[9e5]`), 2, "it has 2 samples of the host's clock and 1 of the device's"},
		"a tiny sample":      {measured(`,"samples_ns":[1e-300]`), 2, "samples_ns[0] is 1e-300, want 0.5 to 8.64e+13"},
		"1e308 allocations":  {strings.Replace(measured(`,"samples_ns":[6e8,6e8]`), `"allocs_per_run":0`, `"allocs_per_run":1e308`, 1), 2, "allocs_per_run is 1e+308, want 0 to 1.099511627776e+12"},
		"in µs":              {measured(`,"samples_ns":[6e5]`), 2, "1 samples took 6e+05 ns together, and sampling ends at 2 or at 1e+09 ns: other units than nanoseconds"},
		"negative peak":      {measured(`,"samples_ns":[1e6],"host_peak_bytes":-1`), 2, "host_peak_bytes is -1, want 0 to 1.125899906842624e+15"},
		"unknown state":      {strings.Replace(good, `"error"`, `"fine"`, 1) + "\n", 2, `unknown state "fine" (known: measured, pass, explained, unverified, fail, unsupported, not-run, error, crashed, hung, cancelled)`},
		"parity run":         {good + "\n" + inParityRun(`{"state":"pass","max_abs":1e-6}`), 0, ""},
		"unknown parity":     {inParityRun(`{"state":"fine","max_abs":0}`), 2, `unknown state "fine" (known: measured, pass, explained, unverified, fail, unsupported, not-run, error, crashed, hung, cancelled)`},
		"negative error":     {inParityRun(`{"state":"pass","max_abs":-1}`), 2, "max_abs is -1, want 0 to 1.7976931348623157e+308"},
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
		want := fmt.Sprintf("sweep store %s: log.jsonl:%d: %s; remove the folder and measure again", dir, c.line, c.want)
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

// TestNumbersOfAWorker adds what no worker can have measured or computed: it becomes an error of its cell, the others stand, and the result
// can be written, now and after a resumption.
func TestNumbersOfAWorker(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	p := plan()
	of := func(cell, replicate int, change func(*perf.Measurement)) perf.Measurement {
		m := perf.Measurement{Cell: p.Cells[cell], Replicate: replicate, State: evidence.Measured, Samples: []float64{6e8, 6e8}, FirstRunNS: 7e8}
		change(&m)
		return m
	}
	lies := map[string]func(*perf.Measurement){
		"samples_ns[0] is 1e-300":               func(m *perf.Measurement) { m.Samples[0] = 1e-300 },
		"allocs_per_run is 1e+308":              func(m *perf.Measurement) { m.AllocsPerRun = 1e308 },
		"calls_per_sample is 4.6":               func(m *perf.Measurement) { m.CallsPerSample = 1 << 62 },
		"timer_share is 5":                      func(m *perf.Measurement) { m.TimerShare = 5 },
		"it has 3 samples, and sampling ends":   func(m *perf.Measurement) { m.Samples = []float64{1e8, 1e8, 1e8} },
		"1 samples took 6e+05 ns together, and": func(m *perf.Measurement) { m.Samples = []float64{6e5} }, // in µs
	}
	n := 0
	for want, lie := range lies {
		if err := errors.Join(s.Add(of(n, 0, lie)), s.Add(of(n, 1, func(*perf.Measurement) {}))); err != nil {
			t.Fatal(err)
		}
		if got := s.Result().Cells[n]; got.State != evidence.Errored || got.Summary.Replicates != 1 || !strings.HasPrefix(got.Detail, want) {
			t.Errorf("%s: %+v", want, got)
		}
		n++
	}
	if err := errors.Join(s.AddParityRun(measure.ParityRun{Cell: p.Cells[0], Parity: perf.Parity{State: evidence.Pass}, Work: &perf.Work{TilesL0: []int{-1 << 63}}}),
		s.AddParityRun(measure.ParityRun{Cell: p.Cells[1], Parity: perf.Parity{State: evidence.Pass, MaxAbs: math.Inf(1)}})); err != nil {
		t.Fatal(err)
	}
	s.Close()
	r := openStore(t, dir).Result()
	for i, c := range r.Cells[:2] {
		if c.Parity.State != evidence.Fail || c.Work != nil {
			t.Errorf("parity run %d: %+v", i, c)
		}
	}
	var out bytes.Buffer
	if err := sweep.WriteJSON(&out, r); err != nil {
		t.Fatal(err)
	}
	if _, err := sweep.Read(&out); err != nil {
		t.Error(err)
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

// TestResultOfStore takes the parity and work of the cell's own parity run.
func TestResultOfStore(t *testing.T) {
	s := &sweep.Store{Header: header()}
	s.ParityRuns = []measure.ParityRun{{Cell: plan().Cells[1], Parity: perf.Parity{State: "pass", MaxAbs: 2},
		Work: &perf.Work{TilesL0: []int{3}, Budgets: map[string]perf.Budget{"b1": {}, "b2": {}, "b3": {}}}}}
	s.Measurements = []perf.Measurement{{Cell: plan().Cells[1], Replicate: 2, State: evidence.Errored}, {Cell: plan().Cells[0], Replicate: 1, State: evidence.Errored}}
	r := s.Result()
	if len(r.Cells) != 6 || r.Cells[0].Parity.State != "not-run" || r.Cells[1].Parity.MaxAbs != 2 || r.Cells[1].Work.TilesL0[0] != 3 || r.Cells[2].Reason != "not_measured" {
		t.Errorf("%+v", r.Cells)
	}
	digest := strings.Repeat("0a", 32)
	timed := func(replicate int, parity perf.Parity) perf.Measurement {
		return perf.Measurement{Cell: plan().Cells[1], Replicate: replicate, State: evidence.Measured, Samples: []float64{6e8, 6e8},
			Outputs: &perf.Outputs{FirstSHA256: digest, LastSHA256: digest, Parity: parity}}
	}
	lying := *s
	lying.Measurements = []perf.Measurement{timed(0, perf.Parity{State: evidence.Pass}), timed(1, perf.Parity{State: evidence.Fail, Detail: "boxes"})}
	wrong := lying.Result()
	if p := wrong.Cells[1].Parity; p.State != evidence.Fail || p.Detail != "timed in replicate 1: boxes" {
		t.Errorf("what was timed computes something else: %+v", p)
	}
	wrong.Cells[1].Parity = perf.Parity{State: evidence.Pass}
	if err := wrong.Validate(); err == nil || !strings.Contains(err.Error(), "parity.state is pass, of a timed session it is fail") {
		t.Errorf("a file that says otherwise: %v", err)
	}
	silent := *s
	silent.Measurements = []perf.Measurement{timed(0, perf.Parity{State: evidence.Pass}), timed(1, perf.Parity{})}
	silent.Measurements[1].Outputs = nil
	if c := silent.Result().Cells[1]; c.Parity.State != evidence.Unverified || c.Parity.Detail != "timed in replicate 1: its outputs were not recorded" || c.Ended().Holds() {
		t.Errorf("nobody knows what was timed: %+v", c.Parity)
	}
	if r.Measurements[0].Replicate != 1 || s.Measurements[0].Replicate != 2 {
		t.Errorf("measurements are not in the order of replicates, or the store's moved")
	}
}
