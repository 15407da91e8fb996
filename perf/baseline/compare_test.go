package baseline

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
)

// slow is result() with ort's complete model at three times its time.
func slow() *sweep.Result {
	return sweeptest.New(11, sweeptest.Spec{Sides: []int{256}, Scopes: []perf.Scope{perf.Complete, perf.TilePack}, Scale: func(c perf.Cell) float64 {
		if c.Backend == "ort" && c.Scope == perf.Complete {
			return 3
		}
		return 1
	}})
}

func compare(t *testing.T, b *Baseline, r *sweep.Result) *Comparison {
	t.Helper()
	c, err := Compare(b, r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func failed(c *Comparison) []string {
	out := []string{}
	for _, k := range c.Failed() {
		out = append(out, k.Metric+" "+k.Status)
	}
	return out
}

func TestCompare(t *testing.T) {
	b := newBaseline(t, result())
	if c := compare(t, b, result()); c.Status != CheckPass || len(c.Checks) != 8 || len(c.Warnings) > 0 || c.CurrentStatus != "ok" {
		t.Errorf("itself: %+v", c)
	}
	if c := compare(t, b, sweeptest.New(12, sweeptest.Spec{Sides: []int{256}, Scopes: []perf.Scope{perf.Complete, perf.TilePack}})); c.Status != CheckPass {
		t.Errorf("another run of the same: %v", failed(c))
	}
	c := compare(t, b, slow())
	want := []string{"ort/nano/fp32/256x256/b1/complete.p50_ms fail", "ort/nano/fp32/256x256/b1/complete.p95_ms fail"}
	if c.Status == CheckPass || !slices.Equal(failed(c), want) {
		t.Errorf("three times slower: %v", failed(c))
	}
	if !slices.IsSortedFunc(c.Checks, func(a, b Check) int { return strings.Compare(a.Metric, b.Metric) }) {
		t.Error("checks are not in the order of names")
	}
}

func TestCompareMissing(t *testing.T) {
	b := newBaseline(t, result())
	const cell = "reference/nano/fp32/256x256/b1/complete"
	for name, tt := range map[string]struct {
		breaks func(*sweep.Result)
		want   []string
		note   string
	}{
		"not in the sweep": {func(r *sweep.Result) {
			*r = *sweeptest.New(11, sweeptest.Spec{Sides: []int{256}, Scopes: []perf.Scope{perf.Complete}})
		},
			[]string{"ort/nano/fp32/256x256/b1/tile-pack.p50_ms missing", "ort/nano/fp32/256x256/b1/tile-pack.p95_ms missing",
				"reference/nano/fp32/256x256/b1/tile-pack.p50_ms missing", "reference/nano/fp32/256x256/b1/tile-pack.p95_ms missing"}, "not in the sweep"},
		"parity": {func(r *sweep.Result) { r.Cells[0].Parity.State = "fail" }, []string{cell + ".p50_ms missing", cell + ".p95_ms missing"}, "parity"},
		"budget": {func(r *sweep.Result) { r.Cells[0].Work.Budgets["b2"] = perf.Budget{Spent: 9, Limit: 8, Over: true} },
			[]string{cell + ".p50_ms missing", cell + ".p95_ms missing"}, "budget b2"},
		"dead backend": {func(r *sweep.Result) {
			for i := range r.Measurements[:5] {
				r.Measurements[i].State, r.Measurements[i].Samples, r.Measurements[i].EndToEnd = evidence.Crashed, nil, nil
			}
			sweeptest.Sum(r)
		}, []string{"__status__ fail", cell + ".p50_ms missing", cell + ".p95_ms missing"}, "the sweep is partial, required is ok"},
		"few samples": {func(r *sweep.Result) {
			*r = *sweeptest.New(11, sweeptest.Spec{Sides: []int{256}, Scopes: []perf.Scope{perf.Complete, perf.TilePack}, Samples: 3})
		}, []string{"ort/nano/fp32/256x256/b1/complete.p95_ms missing", "ort/nano/fp32/256x256/b1/tile-pack.p95_ms missing", cell + ".p95_ms missing",
			"reference/nano/fp32/256x256/b1/tile-pack.p95_ms missing"}, "15 samples are too few for a p95"},
		"nothing measured": {func(r *sweep.Result) {
			*r = *sweeptest.New(11, sweeptest.Spec{Backends: []string{"cuda"}})
		}, slices.Concat([]string{"__status__ fail"}, missingAll(b)), "the sweep is skipped"},
	} {
		r := result()
		tt.breaks(r)
		c := compare(t, b, r)
		if c.Status == CheckPass || !slices.Equal(failed(c), tt.want) || !strings.Contains(c.Failed()[0].Note, tt.note) {
			t.Errorf("%s: %v (%q)", name, failed(c), c.Failed()[0].Note)
		}
	}
}

func missingAll(b *Baseline) []string {
	var out []string
	for _, n := range b.Names() {
		out = append(out, n+" missing")
	}
	return out
}

// TestCompareSameVariables: a baseline keeps the variables that its sweep ran under, and a sweep under the same is compared.
func TestCompareSameVariables(t *testing.T) {
	r := result()
	r.Environment.Variables = []env.Software{{Key: "GOGC", Value: "50"}}
	b := newBaseline(t, r)
	if c, err := Compare(b, r); err != nil || b.Settings.Variables["GOGC"] != "50" {
		t.Errorf("%v, %v; settings %+v", c, err, b.Settings)
	}
	r.Environment.Variables = append([]env.Software{{Key: "APEXX_INJECT", Value: "slow=9@*"}}, r.Environment.Variables...)
	if _, err := Compare(b, r); err != nil {
		t.Errorf("a trial of the gate: %v", err)
	}
}

func TestCompareRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		breaks     func(*Baseline, *sweep.Result)
		noBaseline bool
		want       string
	}{
		"class":         {func(b *Baseline, r *sweep.Result) { r.Class.ID = "cpu-other-8c" }, true, "class cpu-amd-epyc-2c, this machine is cpu-other-8c"},
		"kind":          {func(b *Baseline, r *sweep.Result) { r.Class.Kind = env.LockedGPU }, true, "no baseline fits"},
		"threads":       {func(b *Baseline, r *sweep.Result) { r.Plan.Threads = 1 }, true, "other settings: --threads 0, now 1"},
		"configuration": {func(b *Baseline, r *sweep.Result) { r.Plan.ConfigSHA256["nano"] = sum }, true, "configuration c3c3c3c3c3c3 of nano, now 0a0a"},
		"options": {func(b *Baseline, r *sweep.Result) {
			b.Settings.Options = map[string]map[string]string{"ort": {"provider": "cpu"}}
			r.Plan.Options = map[string]map[string]string{"ort": {"provider": "cuda"}}
		}, true, "ort options map[provider:cpu], now map[provider:cuda]"},
		"decoding": {func(b *Baseline, r *sweep.Result) {
			b.Settings.Decode = map[string]string{"max-detections": "100"}
			r.Plan.Decode = map[string]string{"max-detections": "1"}
		}, true, "other settings: --max-detections 100, now 1"},
		"new variable": {func(b *Baseline, r *sweep.Result) {
			r.Environment.Variables = []env.Software{{Key: "CUDA_LAUNCH_BLOCKING", Value: "1"}}
		}, true, `other settings: CUDA_LAUNCH_BLOCKING unset, now "1"`},
		"no variable": {func(b *Baseline, r *sweep.Result) { b.Settings.Variables = map[string]string{"GOGC": "off"} }, true,
			`other settings: GOGC "off", now unset`},
		"injected baseline": {func(b *Baseline, r *sweep.Result) {
			b.Settings.Variables = map[string]string{"APEXX_INJECT": "slow=9@*"}
		}, true,
			`other settings: APEXX_INJECT "slow=9@*", now unset`},
		"empty baseline": {func(b *Baseline, r *sweep.Result) { b.Metrics = nil }, false, "no metrics"},
		"truncated":      {func(b *Baseline, r *sweep.Result) { r.Measurements = r.Measurements[:3] }, false, "sweep: cell"},
		"edited":         {func(b *Baseline, r *sweep.Result) { r.Cells[0].Summary.P50 /= 2 }, false, "summary.p50_ms is "},
	} {
		b, r := newBaseline(t, result()), result()
		tt.breaks(b, r)
		c, err := Compare(b, r)
		if c != nil || err == nil || errors.Is(err, ErrNoBaseline) != tt.noBaseline || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCompareWarns(t *testing.T) {
	b, r := newBaseline(t, result()), result()
	b.Provenance.When = r.When.Add(-StaleAfter - 24*time.Hour)
	b.Software = []env.Software{{Key: "go", Value: "go1.25"}, {Key: "driver", Value: "570"}}
	r.Plan.Weights["nano"] = sum
	b.Class.CPU = "AMD EPYC 9654"
	delete(b.Metrics, "ort/nano/fp32/256x256/b1/tile-pack.p50_ms")
	delete(b.Metrics, "ort/nano/fp32/256x256/b1/tile-pack.p95_ms")
	c := compare(t, b, r)
	if c.Status != CheckPass {
		t.Errorf("warnings failed the comparison: %v", failed(c))
	}
	text := strings.Join(c.Warnings, "\n")
	for _, want := range []string{"181 days old", "go was go1.25, now go1.26.8", "driver was 570, now absent", "onnxruntime was absent, now 1.30.0",
		"the weights of nano are others", "its facts are not", "cell ort/nano/fp32/256x256/b1/tile-pack has no metric"} {
		if !strings.Contains(text, want) {
			t.Errorf("no warning %q in\n%s", want, text)
		}
	}
}

func TestStatusOf(t *testing.T) {
	set := func(states ...evidence.State) *sweep.Result {
		r := &sweep.Result{}
		for _, s := range states {
			r.Cells = append(r.Cells, sweep.CellResult{State: s})
		}
		return r
	}
	for want, list := range map[string][]*sweep.Result{
		"ok":      {set(evidence.Measured), set(evidence.Measured, evidence.Unsupported)},
		"skipped": {set(), set(evidence.Unsupported)},
		"partial": {set(evidence.Measured, evidence.Errored), set(evidence.Crashed), set(evidence.Measured, evidence.Hung, evidence.Unsupported)},
	} {
		for _, r := range list {
			if got := StatusOf(r); got != want {
				t.Errorf("%+v: %s, want %s", r.Cells, got, want)
			}
		}
	}
}

// broken is a comparison with every kind of check.
func broken(t *testing.T) *Comparison {
	r := slow()
	for i := range r.Measurements[:5] {
		m := &r.Measurements[i]
		m.State, m.Reason, m.Samples, m.EndToEnd = evidence.Crashed, "signal: killed", nil, nil
	}
	sweeptest.Sum(r)
	b := newBaseline(t, result())
	b.Software[0].Value = "go1.26.7"
	return compare(t, b, r)
}

func TestGolden(t *testing.T) {
	c := broken(t)
	var summary, trend, text, show, diff bytes.Buffer
	now := time.Date(2026, 3, 1, 13, 14, 15, 678901000, time.FixedZone("x", 3600))
	changed := newBaseline(t, slow())
	changed.Delta, changed.Noise, changed.Settings.Threads = 0.05, noise(), 1
	m := changed.Metrics
	changed.Metrics = maps.Clone(m)
	delete(changed.Metrics, "reference/nano/fp32/256x256/b1/complete.p95_ms")
	changed.Metrics["ort/nano/fp16/256x256/b1/complete.p50_ms"] = Metric{12, 0.5, 0}
	for _, err := range []error{WriteCompareSummary(&summary, c), WriteTrendArtifact(&trend, c, now), c.WriteText(&text), changed.WriteText(&show),
		WriteDiff(&diff, newBaseline(t, result()), changed)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	goldenfile.Check(t, "compare.json", summary.Bytes())
	goldenfile.Check(t, "trend.json", trend.Bytes())
	goldenfile.Check(t, "compare.txt", text.Bytes())
	goldenfile.Check(t, "show.txt", show.Bytes())
	goldenfile.Check(t, "diff.txt", diff.Bytes())
}

// TestArtifactsOfNaN checks that a comparison of what is no number can be written and fails.
func TestArtifactsOfNaN(t *testing.T) {
	r := result()
	nan := func() float64 { var z float64; return z / z }()
	r.Cells[0].Summary.P50 = nan
	c := judge(newBaseline(t, result()), r)
	if c.Status == CheckPass {
		t.Error("NaN passed")
	}
	var b bytes.Buffer
	if err := errors.Join(WriteCompareSummary(&b, c), WriteTrendArtifact(&b, c, time.Now()), c.WriteText(&b)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), `"current_ms": null`) {
		t.Error(b.String())
	}
}

// TestTrendCounts has the numbers of spec/perf.md 13: one that passes and the status that fails.
func TestTrendCounts(t *testing.T) {
	r := sweeptest.New(1, sweeptest.Spec{Sides: []int{256}, Scopes: []perf.Scope{perf.Complete}, Backends: []string{"ort"}, Samples: 3})
	b := newBaseline(t, r)
	both := sweeptest.New(1, sweeptest.Spec{Sides: []int{256}, Scopes: []perf.Scope{perf.Complete}, Backends: []string{"ort"}, Samples: 3,
		Precisions: []backends.Precision{backends.FP32, backends.FP16}, Absent: func(c perf.Cell) bool { return c.Precision == backends.FP16 }})
	for i := range both.Measurements {
		if m := &both.Measurements[i]; m.Cell.Precision == backends.FP16 {
			m.State = evidence.Errored
		}
	}
	sweeptest.Sum(both)
	c := compare(t, b, both)
	var out bytes.Buffer
	if err := WriteTrendArtifact(&out, c, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"total_metrics": 2`, `"failed_metrics": 1`, `"overall_status": "fail"`, `"current_status": "partial"`, `"metric": "__status__"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
}
