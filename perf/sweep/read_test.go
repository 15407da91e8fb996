package sweep_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
)

func small() *sweep.Result {
	return sweeptest.New(3, sweeptest.Spec{Backends: []string{"reference", "cuda"}, Sides: []int{256}, Scopes: []perf.Scope{perf.Complete, perf.TilePack},
		Replicates: 2, Samples: 3})
}

func TestValidateRefuses(t *testing.T) {
	nan := math.NaN()
	for name, tt := range map[string]struct {
		breaks func(*sweep.Result)
		want   string
	}{
		"another schema":      {func(r *sweep.Result) { r.Schema = "apexx.sweep/4" }, `schema is "apexx.sweep/4", want "apexx.sweep/3"`},
		"no time":             {func(r *sweep.Result) { r.When = r.When.AddDate(-2025, -2, 0).Add(-12 * 3600e9) }, "when is missing"},
		"no replicates":       {func(r *sweep.Result) { r.Plan.Replicates = 0 }, "0 replicates"},
		"class kind":          {func(r *sweep.Result) { r.Class.Kind = "tpu" }, `its class is "cpu-amd-epyc-2c" (tpu)`},
		"class of others":     {func(r *sweep.Result) { r.Class.ID, r.Class.Cores = "cpu-amd-epyc-64c", 64 }, `its class is "cpu-amd-epyc-64c" (cpu), its environment is of cpu-amd-epyc-2c (cpu): the file was changed after it was written`},
		"class described":     {func(r *sweep.Result) { r.Class.CPU = "a faster one" }, "is described otherwise than its environment"},
		"class id":            {func(r *sweep.Result) { r.Class.ID = "../../etc/passwd" }, `its class is "../../etc/passwd"`},
		"NaN sample":          {func(r *sweep.Result) { r.Measurements[0].Samples[1] = nan }, "measurements[0].samples_ns[1] is NaN"},
		"infinite summary":    {func(r *sweep.Result) { r.Cells[0].Summary.P90 = math.Inf(1) }, "cells[0].summary.p90_ms is +Inf"},
		"negative memory":     {func(r *sweep.Result) { r.Cells[1].HostPeakBytes = -1 }, "cells[1].host_peak_bytes is -1"},
		"negative budget":     {func(r *sweep.Result) { r.Cells[0].Work.Budgets["b1"] = perf.Budget{Spent: -2} }, "cells[0].work.budgets.b1.spent is -2"},
		"negative replicate":  {func(r *sweep.Result) { r.Measurements[0].Replicate = -1 }, "measurements[0].replicate is -1"},
		"fewer cells":         {func(r *sweep.Result) { r.Cells = r.Cells[:3] }, "3 cells, the plan has 4"},
		"other cell":          {func(r *sweep.Result) { r.Plan.Cells[1].Batch = 2 }, "cells[1] is reference/nano/fp32/256x256/b1/tile-pack, the plan has"},
		"wrong name":          {func(r *sweep.Result) { r.Cells[0].Name = "x" }, `cells[0] is named "x"`},
		"impossible cell":     {func(r *sweep.Result) { r.Cells[0].Cell.Backend = "A B"; r.Cells[0].Name = r.Cells[0].Cell.String() }, "is not the name of a cell"},
		"twice":               {func(r *sweep.Result) { r.Cells[1], r.Plan.Cells[1] = r.Cells[0], r.Plan.Cells[0] }, "appears twice"},
		"cell state":          {func(r *sweep.Result) { r.Cells[0].State = "fine" }, "cell reference/nano/fp32/256x256/b1/complete: state is fine, its samples give measured"},
		"measurement state":   {func(r *sweep.Result) { r.Measurements[2].State = "" }, `replicate 0 of cell reference/nano/fp32/256x256/b1/tile-pack: unknown state ""`},
		"no samples":          {func(r *sweep.Result) { r.Measurements[1].Samples = nil }, "is measured and has no samples"},
		"samples of a crash":  {func(r *sweep.Result) { r.Measurements[1].State = evidence.Crashed }, "is crashed and has samples"},
		"replicate too great": {func(r *sweep.Result) { r.Measurements[1].Replicate = 2 }, "replicate 2 of cell"},
		"replicate twice":     {func(r *sweep.Result) { r.Measurements[1].Replicate = 0 }, "replicate 0 of cell reference/nano/fp32/256x256/b1/complete appears twice"},
		"unknown cell":        {func(r *sweep.Result) { r.Measurements[0].Cell.Batch = 9 }, "which the plan does not have"},
		"nothing measured":    {func(r *sweep.Result) { r.Measurements = r.Measurements[2:] }, "complete: state is measured, its samples give error"},
		"a crash counted as measured": {func(r *sweep.Result) {
			r.Measurements[1].State, r.Measurements[1].Samples, r.Measurements[1].EndToEnd = evidence.Crashed, nil, nil
		}, "state is measured, its samples give crashed"},
		"no summary":              {func(r *sweep.Result) { r.Cells[0].Summary = nil }, "summary is null, its samples give a value: the file was changed after it was written"},
		"false count":             {func(r *sweep.Result) { r.Cells[0].Summary.Samples = 7 }, "summary.samples is 7, its samples give 6"},
		"quantile order":          {func(r *sweep.Result) { r.Cells[0].Summary.P50 = 1e9 }, "summary.p50_ms is 1e+09, its samples give "},
		"a p95 of its own":        {func(r *sweep.Result) { r.Cells[0].Summary.P95 *= 1.001 }, "summary.p95_ms is "},
		"a p99 of nothing":        {func(r *sweep.Result) { r.Cells[0].Summary.P99 = new(1e3) }, "summary.p99_ms is a value, its samples give none"},
		"another throughput":      {func(r *sweep.Result) { r.Cells[0].Summary.Throughput *= 2 }, "summary.throughput_per_s is "},
		"whole runs of one's own": {func(r *sweep.Result) { r.Cells[0].EndToEnd.P50 *= 1.001 }, "end_to_end.p50_ms is "},
		"no whole runs":           {func(r *sweep.Result) { r.Cells[0].EndToEnd = nil }, "end_to_end is null, its samples give a value"},
		"a device's summary":      {func(r *sweep.Result) { r.Cells[0].Device = r.Cells[0].Summary }, "device is a value, its samples give none"},
		"fewer allocations":       {func(r *sweep.Result) { r.Cells[0].AllocsPerRun = 1 }, "allocs_per_run is 1, its samples give 12"},
		"less memory":             {func(r *sweep.Result) { r.Cells[0].HostPeakBytes-- }, "host_peak_bytes is "},
		"compiled at once":        {func(r *sweep.Result) { r.Cells[0].CompileMS = 0 }, "compile_ms is 0, its samples give 30"},
		"an odd parity":           {func(r *sweep.Result) { r.Cells[0].Parity.State = "fine" }, `the parity of cell reference/nano/fp32/256x256/b1/complete: unknown state "fine"`},
		"a tiny sample":           {func(r *sweep.Result) { r.Measurements[0].Samples[1] = 1e-300 }, "replicate 0 of cell reference/nano/fp32/256x256/b1/complete: samples_ns[1] is 1e-300"},
		"1e308 allocations":       {func(r *sweep.Result) { r.Measurements[1].AllocsPerRun = 1e308 }, "replicate 1 of cell reference/nano/fp32/256x256/b1/complete: allocs_per_run is 1e+308"},
		"of a gate":               {func(r *sweep.Result) { r.Measurements[1].Arm = perf.Base }, "is of a gate"},
		"outputs of none":         {func(r *sweep.Result) { strip(r) }, "parity.state is pass, of a timed session it is unverified: the file was changed after it was written"},
		"outputs of all but one": {func(r *sweep.Result) { r.Measurements[1].Outputs = nil },
			"cell reference/nano/fp32/256x256/b1/complete: parity.state is pass, of a timed session it is unverified"},
		"a smaller error": {func(r *sweep.Result) { r.Cells[0].Parity.MaxAbs /= 2 }, "parity.max_abs is 1.55e-05, of a timed session it is 3.1e-05: the file was changed after it was written"},
		"no work":         {func(r *sweep.Result) { r.Cells[0].Work = nil }, "cell reference/nano/fp32/256x256/b1/complete: work is missing, though its outputs were compared"},
		"no budgets":      {func(r *sweep.Result) { r.Cells[0].Work = &perf.Work{TilesL0: []int{4}} }, "cell reference/nano/fp32/256x256/b1/complete: budgets lack b1"},
		"an overspent budget": {func(r *sweep.Result) { r.Cells[0].Work.Budgets["b2"] = perf.Budget{Spent: 9, Limit: 8} },
			"budgets.b2 spent 9 of 8, and is not said to be over"},
		"all in µs": {func(r *sweep.Result) {
			r.Plan.Iterations, r.Plan.BoundNS = 200, 4e8
			scaleSamples(r, 1e-3)
			sweeptest.Sum(r)
		}, "other units than nanoseconds"},
	} {
		r := small()
		tt.breaks(r)
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	if err := small().Validate(); err != nil {
		t.Error(err)
	}
}

// strip takes away what the timed sessions computed.
func strip(r *sweep.Result) {
	for i := range r.Measurements {
		r.Measurements[i].Outputs = nil
	}
}

// TestStripped checks that a sweep without outputs of its timed sessions can be read where it claims nothing, and counts nowhere.
func TestStripped(t *testing.T) {
	r := small()
	strip(r)
	for i := range r.Cells {
		if r.Cells[i].State == evidence.Measured {
			r.Cells[i].Parity = perf.Parity{State: evidence.Unverified}
		}
	}
	got, err := sweep.Read(bytes.NewReader(write(t, sweep.WriteJSON, r)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range got.Cells {
		if c.Ended().Holds() {
			t.Errorf("%s is %s", c.Name, c.Ended())
		}
	}
	if code := got.ExitCode(); code != exit.Inconclusive {
		t.Errorf("exit code %d", code)
	}
}

func scaleSamples(r *sweep.Result, factor float64) {
	for _, m := range r.Measurements {
		for i := range m.Samples {
			m.Samples[i] *= factor
		}
	}
}

// TestPartialIsSound checks that an interrupted sweep and a crashed replicate can be read.
func TestPartialIsSound(t *testing.T) {
	r := small()
	m := &r.Measurements[1]
	m.State, m.Samples, m.EndToEnd, m.Reason = evidence.Crashed, nil, nil, "signal: killed"
	sweeptest.Sum(r)
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
	r = small()
	r.Measurements = r.Measurements[1:]
	sweeptest.Sum(r)
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
}

func TestReadRefuses(t *testing.T) {
	good := string(write(t, sweep.WriteJSON, small()))
	for name, tt := range map[string]struct{ text, want string }{
		"empty": {"", "ends too early"},
		"of version 1": {strings.Replace(strings.Replace(good, "apexx.sweep/3", "apexx.sweep/1", 1), `"plan"`, `"facts": [], "plan"`, 1),
			"its schema is apexx.sweep/1: nobody compared what its sessions computed while they were timed, and apexx.sweep/3 asks for it; measure again, or read it with apexx "},
		"of version 2": {strings.Replace(strings.Replace(good, "apexx.sweep/3", "apexx.sweep/2", 1), `"samples_ns"`, `"clock": "worker", "samples_ns"`, 1),
			"its schema is apexx.sweep/2: its samples are of whole runs, with the transfer of inputs and outputs, and executions alone were not timed, and apexx.sweep/3 asks for it"},
		"of version 4": {strings.Replace(good, "apexx.sweep/3", "apexx.sweep/4", 1), `its schema is "apexx.sweep/4", want "apexx.sweep/3"`},
		"truncated":    {good[:len(good)/2], "ends too early"},
		"not JSON":     {"sweep", "invalid character"},
		"a list":       {"[]", "cannot unmarshal"},
		"null":         {"null", `schema is ""`},
		"trailing":     {good + "{}", "something follows"},
		"unknown key":  {strings.Replace(good, `"schema"`, `"skema"`, 1), `unknown field "skema"`},
		"NaN":          {strings.Replace(good, `"spread": 0`, `"spread": NaN`, 1), "invalid character 'N'"},
		"overflow":     {strings.Replace(good, `"spread": 0`, `"spread": 1e999, "x": 0`, 1), "1e999"},
		"units":        {strings.ReplaceAll(good, `"samples_ns"`, `"samples_ms"`), `unknown field "samples_ms"`},
	} {
		_, err := sweep.Read(strings.NewReader(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

// FuzzRead checks that whatever Read accepts is sound, and that every format can be written of it and read again.
func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := sweep.WriteJSON(&b, small()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	compact, err := json.Marshal(small())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(compact)
	f.Add([]byte(`{"schema":"apexx.sweep/2","when":"2026-03-01T12:00:00Z","class":{"kind":"cpu","id":"x"},"plan":{"replicates":1,"iterations":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := sweep.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, w := range []func(*sweep.Result) []byte{
			func(r *sweep.Result) []byte { return write(t, sweep.WriteCSV, r) },
			func(r *sweep.Result) []byte { return write(t, sweep.WriteMarkdown, r) },
			func(r *sweep.Result) []byte { return write(t, sweep.WriteBenchmark, r) },
			func(r *sweep.Result) []byte { return write(t, sweep.WriteJSONL, r) },
		} {
			w(r)
		}
		if _, err := sweep.Read(bytes.NewReader(write(t, sweep.WriteJSON, r))); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
	})
}
