package trend

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apex-x/apexx/perf/env"
)

func pointers(runs []Run) []*Run {
	var out []*Run
	for i := range runs {
		out = append(out, &runs[i])
	}
	return out
}

// steady is a history of eight runs with 1 % between one and the next (s = 0.0148), the third a release, and a newest value.
func steady(kind env.Kind, newest float64) []Run {
	runs := history("cpu-x", kind, 10, 10.1, 10, 10.1, 10, 10.1, 10, newest)
	runs[2].Release = "v1.0"
	return runs
}

func TestRatchet(t *testing.T) {
	s := 1.4826 * math.Log(1.01)
	limit := func(delta float64) float64 { return 10 * (1 + delta) * math.Exp(2*s) }
	with := func(runs []Run, change func([]Run)) []Run { change(runs); return runs }
	medians := func(runs []Run) {
		runs[0].Release = "v1.0"
		runs[0].Points[0].Medians = []float64{10, 10.2, 9.9}
		runs[1].Points[0].Medians = []float64{12, 12.1, 11.8}
	}
	for _, c := range []struct {
		name  string
		runs  []Run
		state RatchetState
		check RatchetState
	}{
		{"just within on a CPU", steady(env.SharedCPU, limit(0.08)*0.9999), RatchetPassed, RatchetPassed},
		{"just beyond on a CPU", steady(env.SharedCPU, limit(0.08)*1.0001), RatchetFailed, RatchetFailed},
		{"just within on a GPU", steady(env.UnlockedGPU, limit(0.03)*0.9999), RatchetPassed, RatchetPassed},
		{"just beyond on a GPU", steady(env.UnlockedGPU, limit(0.03)*1.0001), RatchetFailed, RatchetFailed},
		{"just beyond on a locked GPU", steady(env.LockedGPU, limit(0.02)*1.0001), RatchetFailed, RatchetFailed},
		{"faster", steady(env.SharedCPU, 5), RatchetPassed, RatchetPassed},
		{"the last of two releases counts", with(steady(env.SharedCPU, limit(0.08)*1.0001), func(r []Run) {
			r[4].Release = "v1.1"
			r[4].Points[0].Value = 12
		}), RatchetPassed, RatchetPassed},
		{"a release is compared with the one before", with(steady(env.SharedCPU, 13), func(r []Run) { r[7].Release = "v2" }), RatchetFailed, RatchetFailed},
		{"no release", with(steady(env.SharedCPU, 13), func(r []Run) { r[2].Release = "" }), RatchetNoRelease, ""},
		{"the newest is the only release", with(steady(env.SharedCPU, 13), func(r []Run) { r[2].Release, r[7].Release = "", "v1" }), RatchetNoRelease, ""},
		{"a release of another source", with(steady(env.SharedCPU, 13), func(r []Run) { r[2].Source = FromGate }), RatchetNoRelease, ""},
		{"no longer measured", with(steady(env.SharedCPU, 13), func(r []Run) { r[7].Points[0].Metric = "other.p50_ms" }), RatchetFailed, RatchetMissing},
		{"a release without times", with(steady(env.SharedCPU, 9), func(r []Run) { r[2].Points[0].Unit = Mebibytes }), RatchetNoRelease, ""},
		{"two runs with replicates, beyond", with(history("cpu-x", env.SharedCPU, 10, 12), medians), RatchetFailed, RatchetFailed},
		{"two runs with replicates, within", with(history("cpu-x", env.SharedCPU, 10, 11), medians), RatchetPassed, RatchetPassed},
		{"unknown noise, within δ", with(history("cpu-x", env.SharedCPU, 10, 10.7), func(r []Run) { r[0].Release = "v1" }), RatchetPassed, RatchetPassed},
		{"unknown noise, beyond δ", with(history("cpu-x", env.SharedCPU, 10, 12), func(r []Run) { r[0].Release = "v1" }), RatchetInconclusive, RatchetInconclusive},
	} {
		got := ratchets(pointers(c.runs))[0]
		if got.State != c.state || len(got.Checks) > 1 || len(got.Checks) == 1 && got.Checks[0].State != c.check || len(got.Checks) == 0 && c.check != "" {
			t.Errorf("%s: %+v, want %s with %q", c.name, got, c.state, c.check)
		}
	}
}

// The noise margin must hold: histories without a change rarely fail, those with a slowdown far beyond it always do.
func TestRatchetRates(t *testing.T) {
	const histories = 2000
	failed, found := 0, 0
	for seed := range uint64(histories) {
		r := rand.New(rand.NewPCG(seed, 17))
		values := make([]float64, 20)
		for i := range values {
			values[i] = 10 * math.Exp(0.03*r.NormFloat64())
		}
		runs := history("cpu-x", env.SharedCPU, values...)
		runs[5].Release = "v1"
		if ratchets(pointers(runs))[0].State == RatchetFailed {
			failed++
		}
		runs[19].Points[0].Value *= 1.5
		if ratchets(pointers(runs))[0].State == RatchetFailed {
			found++
		}
	}
	t.Logf("of %d: %d without a change, %d that are 50 %% slower", histories, failed, found)
	if failed > histories/200 || found < histories*99/100 {
		t.Errorf("of %d histories with 3 %% noise, %d without a change fail and %d that are 50 %% slower do", histories, failed, found)
	}
}

func TestExport(t *testing.T) {
	runs := steady(env.SharedCPU, 13)
	a, _, err := Export(runs, "")
	if err != nil {
		t.Fatal(err)
	}
	m := a.Metrics[0]
	if a.OverallStatus != "fail" || a.TotalMetrics != 1 || a.FailedMetrics != 1 || a.Suite != "apexx_sweep" || a.TimestampUTC != "2026-03-09T05:00:00.000000Z" ||
		m.Status != "fail" || *m.CurrentMS != "13" || *m.BaselineMS != "10" || m.AllowedMaxMS == nil {
		t.Errorf("artifact %s", jsonOf(t, a))
	}
	if again, err := ParseArtifact(jsonOf(t, a)); err != nil || again.Suite != a.Suite {
		t.Errorf("it does not read back: %v", err)
	}
	if a, _, err = Export(runs, runs[6].SHA256); err != nil || a.OverallStatus != "pass" || *a.Metrics[0].CurrentMS != "10" {
		t.Errorf("of the run before it: %s, %v", jsonOf(t, a), err)
	}
	runs[7].Points = []Point{{Metric: "other.p50_ms", Unit: Milliseconds, Value: 1}}
	if a, _, err = Export(runs, ""); err != nil || a.Metrics[0].Status != "missing" || a.Metrics[0].CurrentMS != nil || a.OverallStatus != "fail" {
		t.Errorf("of a run without the metric: %s, %v", jsonOf(t, a), err)
	}
	if _, _, err := Export(runs, runs[1].SHA256); !errors.Is(err, ErrNoRelease) {
		t.Errorf("before the first release: %v", err)
	}
	for _, id := range []string{"cpu", "feed"} {
		if _, _, err := Export(runs, id); err == nil {
			t.Errorf("%s names one run", id)
		}
	}
	if _, _, err := Export(nil, ""); err == nil {
		t.Error("an empty history was exported")
	}
}
