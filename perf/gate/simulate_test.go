package gate

import (
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/perf/env"
)

// TestSimulation checks the error rates of the rules under noise of 5 % a block, which a shared machine has.
func TestSimulation(t *testing.T) {
	s := Simulation{Noise: Noise{SD: 0.05}, Policy: DefaultPolicy(), Cells: 8, Runs: 20000, Seed: 1}
	if r := s.Run(); r.Runs != 20000 || r.Alarms > 2 || r.Right > r.Alarms || r.Inconclusive == r.Runs {
		t.Errorf("equal builds: %+v", r)
	}
	s.Runs = 2000
	for _, c := range []struct {
		slowdown    float64
		least, most int // regressions
	}{{0.03, 0, 2}, {0.2, 1980, 2000}} {
		s.Slowdown = c.slowdown
		if r := s.Run(); r.Alarms < c.least || r.Alarms > c.most || r.Right < c.least {
			t.Errorf("%g: %+v, want %d to %d alarms", c.slowdown, r, c.least, c.most)
		}
	}
}

// TestSimulationOfMachines checks how often equal builds of 40 cells end as anything but a pass, with noise that the prior of
// resolution.go was not chosen on: of the trials on the EPYC and on the Xeon, and of small operators, among whose blocks the EPYC has
// 3 % that are 22 times as far off.
func TestSimulationOfMachines(t *testing.T) {
	for name, n := range map[string]Noise{
		"EPYC": {SD: 0.0512, OutlierShare: 0.0333, OutlierScale: 4.85}, "EPYC, operators": {SD: 0.0476, OutlierShare: 0.0299, OutlierScale: 22.2},
		"Xeon": {SD: 0.0392, OutlierShare: 0.0179, OutlierScale: 3.96}, "Xeon, operators": {SD: 0.032, OutlierShare: 0.0847, OutlierScale: 4.23},
	} {
		r := Simulation{Noise: n, Policy: DefaultPolicy(), Cells: 40, Runs: 1500, Seed: 1}.Run()
		if r.Alarms > 0 || r.Inconclusive > 8 { // 0.2 % are 3
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestSimulationWithoutNoise checks that every run then ends as it has to.
func TestSimulationWithoutNoise(t *testing.T) {
	for _, c := range []struct {
		slowdown float64
		alarms   int
	}{{0, 0}, {0.0799, 0}, {0.0801, 300}, {1, 300}} {
		r := Simulation{Policy: DefaultPolicy(), Cells: 3, Slowdown: c.slowdown, Runs: 300, Seed: 1}.Run()
		if r.Alarms != c.alarms || r.Right != c.alarms || r.Inconclusive != 0 {
			t.Errorf("%g: %+v, want %d alarms", c.slowdown, r, c.alarms)
		}
	}
}

// TestSimulationVoids checks that noise beyond what the policy allows makes runs inconclusive, not failures.
func TestSimulationVoids(t *testing.T) {
	r := Simulation{Noise: Noise{SD: 0.5}, Policy: DefaultPolicy(), Cells: 3, Runs: 500, Seed: 1}.Run()
	if r.Inconclusive < 490 || r.Alarms > 3 { // p ≤ α for each of up to three candidates
		t.Errorf("%+v", r)
	}
	r = Simulation{Noise: Noise{SD: 0.001, SharedSD: 0.5}, Policy: DefaultPolicy(), Cells: 3, Runs: 500, Seed: 1}.Run()
	if r.Inconclusive == 0 || r.Alarms > 0 {
		t.Errorf("shared: %+v", r)
	}
}

// TestSimulationIsDeterministic checks that a seed means the same on any number of processors.
func TestSimulationIsDeterministic(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	s := Simulation{Noise: Noise{SD: 0.08, SharedSD: 0.02, OutlierShare: 0.05, OutlierScale: 4}, Policy: DefaultPolicy(), Cells: 4, Slowdown: 0.1, Runs: 2345, Seed: 3}
	var rates [2]Rates
	for i := range rates {
		runtime.GOMAXPROCS(i + 1)
		rates[i] = s.Run()
	}
	if rates[0] != rates[1] {
		t.Errorf("%+v\n%+v", rates[0], rates[1])
	}
	if s.Seed = 4; s.Run() == rates[0] {
		t.Error("another seed gives the very same rates")
	}
}

// TestFitNoise checks that fitting finds the parameters that values were drawn with, for any number of cells.
func TestFitNoise(t *testing.T) {
	for _, want := range []Noise{
		{SD: 0.05, OutlierScale: 1}, {SD: 0.04, SharedSD: 0.03, OutlierScale: 1}, {SD: 0.03, SharedSD: 0.02, OutlierShare: 0.05, OutlierScale: 5},
	} {
		for _, cells := range []int{1, 2, 3, 4, 7, 20} {
			r := rand.New(rand.NewPCG(1, uint64(cells)))
			var runs [][][]float64
			for range 6000 / cells {
				drawn := want.draw(r, cells, 5)
				for i := range drawn[0] {
					drawn[0][i] += 0.2 // a cell that differs is no noise
				}
				runs = append(runs, drawn)
			}
			got := FitNoise(runs)
			wantSD := want.SD
			if cells == 1 { // alone, what is shared cannot be told apart
				wantSD, want.SharedSD = math.Hypot(want.SD, want.SharedSD), 0
			}
			within := func(what string, got, want, tolerance float64) {
				if math.Abs(got-want) > tolerance {
					t.Errorf("%+v, %d cells: %s %.4g, want %.4g ± %.2g", want, cells, what, got, want, tolerance)
				}
			}
			within("SD", got.SD, wantSD, 0.13*wantSD)
			within("shared SD", got.SharedSD, want.SharedSD, 0.012)
			within("share of outliers", got.OutlierShare, want.OutlierShare, 0.035)
			if want.OutlierShare > 0 {
				within("scale of outliers", got.OutlierScale, want.OutlierScale, 1.7)
			}
			if got.Blocks != len(runs)*cells*5 {
				t.Errorf("%d blocks", got.Blocks)
			}
		}
	}
	if n := FitNoise(nil); n != (Noise{OutlierScale: 1}) {
		t.Errorf("of nothing: %+v", n)
	}
	if n := FitNoise([][][]float64{{{0.1, 0.1}}, {{}}, {}}); n.Blocks != 0 || n.SD != 0 {
		t.Errorf("of too few blocks: %+v", n)
	}
}

// TestPlanTrial checks the cycle of trials: two of three without a slowdown, and every cell gets its turn.
func TestPlanTrial(t *testing.T) {
	cells, share, seen := cellsNamed(3), map[float64]int{}, map[string]bool{}
	for i := range 180 {
		slowdown, cell := PlanTrial(i, cells)
		share[slowdown]++
		seen[cell.String()] = true
		if again, c := PlanTrial(i, cells); again != slowdown || c != cell {
			t.Fatalf("trial %d is planned in two ways", i)
		}
	}
	if share[0] != 120 || share[0.2] != 30 || share[0.1] != 10 || share[0.05] != 10 || share[0.02] != 10 || len(seen) != len(cells) {
		t.Errorf("%v, %d cells", share, len(seen))
	}
}

// TestSelfcheck sums trials up, and writes what people read of them.
func TestSelfcheck(t *testing.T) {
	var trials []Trial
	h := SelfcheckHeader{Schema: SelfcheckSchemaID, Class: env.Class{ID: "cpu-amd-epyc-2c"}, Policy: quiet().policy, Cells: cellsNamed(2)}
	for i := range 18 {
		w := quiet()
		slowdown, cell := PlanTrial(i, w.cells)
		for at, c := range w.cells {
			if c == cell {
				w.slow[at] = 1 + slowdown
			}
		}
		w.seed = uint64(i)
		if i == 4 {
			w.drift = 0.2
		}
		rec := w.record()
		rec.Version = "0.3.0"
		trials = append(trials, TrialOf(rec, i, slowdown, cell))
	}
	s := NewSelfcheck(h, trials, time.Date(2026, 11, 1, 8, 0, 0, 5, time.UTC), 1000)
	for _, tally := range s.Tallies {
		want := Tally{Slowdown: tally.Slowdown, Trials: 1}
		switch tally.Slowdown {
		case 0:
			want.Trials, want.Inconclusive = 12, 1
		case 0.1:
			want.Alarms, want.Right = 1, 1
		case 0.2:
			want.Trials, want.Alarms, want.Right = 3, 3, 3
		}
		if tally != want {
			t.Errorf("%+v, want %+v", tally, want)
		}
	}
	if len(s.Tallies) != 5 || len(s.Simulated) != 10 || len(s.Versions) != 1 {
		t.Errorf("%d tallies, %d simulated, versions %q", len(s.Tallies), len(s.Simulated), s.Versions)
	}
	for _, trial := range trials {
		if trial.FalseAlarm() || trial.Found() != (trial.Slowdown >= 0.1) || trial.Found() != trial.Right() || (trial.Slowdown > 0) != (trial.BaseMS > 0) {
			t.Errorf("%+v", trial)
		}
	}
	var text strings.Builder
	if err := s.WriteMarkdown(&text); err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "selfcheck.md", text.String())

	bare := NewSelfcheck(h, nil, time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC), 1000)
	if text.Reset(); bare.WriteMarkdown(&text) != nil || len(bare.Simulated) != 0 || !strings.Contains(text.String(), "| none | 0 | – |") {
		t.Errorf("without trials:\n%s", text.String())
	}
}
