package baseline

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
)

var sum = strings.Repeat("0a", 32)

// result is a sweep of two backends with enough samples for p95.
func result() *sweep.Result {
	return sweeptest.New(11, sweeptest.Spec{Sides: []int{256}, Scopes: []perf.Scope{perf.Complete, perf.TilePack}})
}

func newBaseline(t *testing.T, r *sweep.Result) *Baseline {
	t.Helper()
	b, err := New(r, sum, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNew(t *testing.T) {
	r := result()
	b := newBaseline(t, r)
	if b.Delta != 0.08 || b.Noise != nil || b.Class != r.Class || b.Provenance.Commit != r.Environment.Commit || b.Provenance.ResultSHA256 != sum {
		t.Errorf("%+v", b)
	}
	name := "ort/nano/fp32/256x256/b1/complete"
	i := slices.IndexFunc(r.Cells, func(c sweep.CellResult) bool { return c.Name == name })
	if got, want := b.Metrics[name+".p50_ms"], (Metric{r.Cells[i].Summary.P50, 0.75, 2}); got != want {
		t.Errorf("p50 %+v, want %+v", got, want)
	}
	if got, want := b.Metrics[name+".p95_ms"], (Metric{r.Cells[i].Summary.P95, 1, 5}); got != want {
		t.Errorf("p95 %+v, want %+v", got, want)
	}
	if len(b.Metrics) != 8 || len(b.Cells()) != 4 || b.Cells()[0].String() != name {
		t.Errorf("%d metrics, cells %v", len(b.Metrics), b.Cells())
	}
	var file bytes.Buffer
	if err := b.Write(&file); err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "baseline.json", file.Bytes())
	read, err := Read(&file)
	if err != nil || !reflect.DeepEqual(read, b) {
		t.Errorf("reading gave %+v, %v", read, err)
	}
}

func TestNewOptions(t *testing.T) {
	ratio, abs := 0.1, 0.0
	b, err := New(result(), sum, Options{Ratio: &ratio, AbsMS: &abs})
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range b.Metrics {
		if m.MaxRegressionRatio != 0.1 || m.MaxRegressionAbsMS != 0 {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// TestP95Samples checks the constant against its formula.
func TestP95Samples(t *testing.T) {
	doubt := func(n float64) float64 { return math.Pow(0.95, n) * (1 + n*0.05/0.95) }
	if doubt(p95Samples) > 0.01 || doubt(p95Samples-1) <= 0.01 {
		t.Errorf("%d samples leave %g, one less %g", p95Samples, doubt(p95Samples), doubt(p95Samples-1))
	}
	r := sweeptest.New(1, sweeptest.Spec{Sides: []int{256}, Replicates: 1, Samples: p95Samples - 1})
	for name := range newBaseline(t, r).Metrics {
		if !strings.HasSuffix(name, ".p50_ms") {
			t.Errorf("%s of %d samples", name, p95Samples-1)
		}
	}
}

func TestTolerance(t *testing.T) {
	for _, tt := range []struct {
		kind       env.Kind
		scope      perf.Scope
		p95        bool
		ratio, abs float64
	}{
		{env.SharedCPU, perf.TilePack, false, 0.75, 2}, {env.SharedCPU, perf.Complete, false, 0.75, 2}, {env.SharedCPU, perf.Complete, true, 1, 5},
		{env.LockedGPU, perf.TilePack, false, 0.6, 0.25}, {env.UnlockedGPU, perf.SSMScan, true, 0.8, 0.5},
		{env.LockedGPU, perf.Network, false, 0.5, 1}, {env.LockedGPU, perf.Complete, true, 0.5, 2},
	} {
		if ratio, abs := Tolerance(tt.kind, tt.scope, tt.p95); ratio != tt.ratio || abs != tt.abs {
			t.Errorf("%+v: %g, %g", tt, ratio, abs)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	crash := func(r *sweep.Result) {
		m := &r.Measurements[0]
		m.State, m.Samples, m.EndToEnd = evidence.Crashed, nil, nil
		sweeptest.Sum(r)
	}
	inMicroseconds := func(s *perf.Summary) {
		for _, ms := range []*float64{&s.P50, &s.P90, &s.P95} {
			*ms *= 1000
		}
		s.Throughput /= 1000
	}
	for name, tt := range map[string]struct {
		breaks func(*sweep.Result)
		want   string
	}{
		"nothing": {func(r *sweep.Result) { r.Cells, r.Plan.Cells, r.Measurements = nil, nil, nil }, "has no cells"},
		"crashed": {crash, "cell reference/nano/fp32/256x256/b1/complete is crashed"},
		"unsupported": {func(r *sweep.Result) {
			*r = *sweeptest.New(1, sweeptest.Spec{Backends: []string{"reference", "cuda"}})
		}, "is unsupported (worker_not_found)"},
		"parity":               {func(r *sweep.Result) { r.Cells[1].Parity.State = "fail" }, `has parity "fail"`},
		"unproven":             {func(r *sweep.Result) { r.Cells[1].Parity.State = evidence.NotRun }, `has parity "not-run"`},
		"half proven":          {func(r *sweep.Result) { r.Cells[1].Parity.State = evidence.Unverified }, `has parity "unverified"`},
		"outputs not recorded": {func(r *sweep.Result) { r.Measurements[0].Outputs = nil }, "parity.state is pass, of a timed session it is unverified"},
		"outputs not recorded, and said": {func(r *sweep.Result) {
			r.Measurements[0].Outputs = nil
			r.Cells[0].Parity.State = evidence.Unverified
		}, `has parity "unverified"`},
		"summaries in µs": {func(r *sweep.Result) {
			for _, c := range r.Cells {
				inMicroseconds(c.Summary)
			}
		}, "cell reference/nano/fp32/256x256/b1/complete: summary.p50_ms is "},
		"everything in µs": {func(r *sweep.Result) {
			r.Plan.Iterations, r.Plan.BoundNS = 200, 4e8
			for _, m := range r.Measurements {
				for i := range m.Samples {
					m.Samples[i] /= 1000
				}
			}
			sweeptest.Sum(r)
		}, "other units than nanoseconds"},
		"budget": {func(r *sweep.Result) {
			r.Cells[0].Work.Budgets["b1"] = perf.Budget{Spent: 17, Limit: 16, Over: true}
		}, "overspent budget b1: 17 spent of 16"},
		"unfinished": {func(r *sweep.Result) {
			r.Measurements = r.Measurements[1:]
			sweeptest.Sum(r)
		}, "has 4 of the planned 5 replicates"},
		"dirty":   {func(r *sweep.Result) { r.Environment.Dirty = true }, "--allow-dirty"},
		"unsound": {func(r *sweep.Result) { r.Measurements[0].Samples[0] = math.NaN() }, "NaN"},
	} {
		r := result()
		tt.breaks(r)
		if b, err := New(r, sum, Options{}); err == nil || b != nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	dirty := result()
	dirty.Environment.Dirty = true
	if b, err := New(dirty, sum, Options{AllowDirty: true}); err != nil || !b.Provenance.Dirty {
		t.Errorf("allowed: %v", err)
	}
}

// TestRuleOfTheOriginal has the numbers of spec/perf.md 13 and 6.
func TestRuleOfTheOriginal(t *testing.T) {
	value := func(f float64) *float64 { return &f }
	for _, tt := range []struct {
		m     Metric
		value *float64
		want  string
		ratio *float64
	}{
		{Metric{1, 0.5, 0}, value(1.2), CheckPass, value(0.2)},
		{Metric{1, 0.5, 0}, value(1.5), CheckPass, value(0.5)}, // not greater
		{Metric{1, 0.5, 0}, value(2.1), CheckFail, value(1.1)},
		{Metric{1, 0.5, 0}, value(0.1), CheckPass, value(-0.9)},
		{Metric{0.3, 0.6, 0.25}, value(0.73), CheckPass, value(0.73/0.3 - 1)},
		{Metric{0.3, 0.6, 0.25}, value(0.74), CheckFail, value(0.74/0.3 - 1)},
		{Metric{0, 0.5, 1}, value(1), CheckPass, nil},
		{Metric{1, 0.5, 0}, value(math.Inf(1)), CheckFail, value(math.Inf(1))},
		{Metric{1, 0.5, 0}, nil, CheckMissing, nil},
	} {
		k := check("m", tt.m, tt.value, "")
		if k.Status != tt.want || (k.Ratio == nil) != (tt.ratio == nil) || k.Ratio != nil && math.Abs(*k.Ratio-*tt.ratio) > 1e-12 {
			t.Errorf("%+v %v: %+v", tt.m, tt.value, k)
		}
	}
	if k := check("m", Metric{1, 0.5, 0}, value(math.NaN()), ""); k.Status != CheckFail {
		t.Errorf("NaN: %+v", k)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	r := result()
	b := newBaseline(t, r)
	if _, err := Find(dir, r.Class); !errors.Is(err, ErrNoBaseline) || !strings.Contains(err.Error(), "cpu-amd-epyc-2c.json") {
		t.Errorf("an empty folder: %v", err)
	}
	if err := b.WriteFile(Path(dir, r.Class)); err != nil {
		t.Fatal(err)
	}
	if got, err := Find(dir, r.Class); err != nil || !reflect.DeepEqual(got, b) {
		t.Errorf("%+v, %v", got, err)
	}
	other := r.Class
	other.ID = "cpu-other"
	if err := b.WriteFile(Path(dir, other)); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(dir, other); err == nil || errors.Is(err, ErrNoBaseline) || !strings.Contains(err.Error(), "rename it to cpu-amd-epyc-2c.json") {
		t.Errorf("a misnamed file: %v", err)
	}
	other.ID = "../x"
	if _, err := Find(dir, other); err == nil || errors.Is(err, ErrNoBaseline) {
		t.Errorf("a class that is a path: %v", err)
	}
	if err := os.WriteFile(Path(dir, r.Class), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(dir, r.Class); err == nil || errors.Is(err, ErrNoBaseline) || !strings.Contains(err.Error(), "ends too early") {
		t.Errorf("a truncated file: %v", err)
	}
}

func TestWriteFileRefusesUnsound(t *testing.T) {
	b := newBaseline(t, result())
	b.Metrics = nil
	path := filepath.Join(t.TempDir(), "b.json")
	if err := b.WriteFile(path); err == nil || !strings.Contains(err.Error(), "no metrics") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it was written")
	}
}

func noise() *Noise {
	return &Noise{Noise: gate.Noise{SD: 0.02, OutlierShare: 0.05, OutlierScale: 6, SharedSD: 0.015, Blocks: 200}, Measured: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}
}

// TestTextOfHostileBaseline shows what a file may say of software and commits.
func TestTextOfHostileBaseline(t *testing.T) {
	b := newBaseline(t, result())
	other := *b
	b.Software = []env.Software{{Key: "lib\n::error::x", Value: "\x1b[2J\xff"}}
	b.Provenance.Commit = "ab\x1b]0;t"
	for name, write := range map[string]func(*strings.Builder) error{
		"show": func(s *strings.Builder) error { return b.WriteText(s) },
		"diff": func(s *strings.Builder) error { return WriteDiff(s, b, &other) },
	} {
		var s strings.Builder
		if err := write(&s); err != nil {
			t.Fatal(err)
		}
		if text := s.String(); printable.Text(text) != text || strings.Contains(text, "\n::") {
			t.Errorf("%s writes\n%q", name, text)
		}
	}
}
