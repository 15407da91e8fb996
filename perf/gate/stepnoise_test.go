package gate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/perf"
)

// launched is a world of one cell on a device, whose 20 steps of 6 to 44 µs are launched one by one, as an H200 showed them: the host adds 0.4 µs more or
// less to every step of a process, and each has 0.15 µs of its own. The slowed step of the head takes longer by a factor.
func launched(seed uint64, slow int, by float64) world {
	w := quiet()
	w.seed, w.cells, w.policy.Steps = seed, w.cells[:1], AllSteps
	w.policy.ControlShare = 0
	w.policy.Targets.CPU.Limits.Step = Limit{Delta: 0.03, Offset: 100}
	rng := rand.New(rand.NewPCG(seed, 11))
	w.touch = func(_ Stage, _ int, m *perf.Measurement) {
		m.Steps = &perf.Steps{Samples: 15, Calls: 4, MeanNS: 1e6}
		host := 400 * rng.NormFloat64()
		for i := range 20 {
			ns := 6000 + 2000*float64(i) + host + 150*rng.NormFloat64()
			if i == slow && m.Arm == perf.Head {
				ns *= by
			}
			m.Steps.List = append(m.Steps.List, perf.Step{Name: fmt.Sprintf("step.%02d", i), Nodes: "0123abcd", NS: ns})
		}
		m.Outputs.StepsSHA256 = digest
	}
	return w
}

// TestPromiseOfSteps holds what a self-check promises of steps that scatter differently, from the screens of a few trials of equal builds, against what runs
// of the gate find: of the noisiest step, and of any. With one noise for all steps the promise was 99 % where half were found.
func TestPromiseOfSteps(t *testing.T) {
	const by, runs = 0.06, 150
	var trials []Trial
	for i := range 15 {
		trials = append(trials, TrialOf(launched(uint64(100+i), -1, 1).record(), i, 0, perf.Cell{}))
	}
	noise := StepNoiseOf(trials)
	if len(noise) != 1 || len(noise[0].blocks) != 75 || noise[0].noisiest() != 0 {
		t.Fatalf("%d cells", len(noise))
	}
	sds := noise[0].sds()
	if sds[0] < 0.05 || sds[0] > 0.09 || sds[19] > 0.013 || sds[19] < 0.007 { // √2·427 ns of 6 and 44 µs, over √2 replicates a side
		t.Errorf("standard deviations %.4f", sds)
	}
	found := func(slow func(run int) int) float64 {
		n := 0
		for run := range runs {
			at := slow(run)
			v := launched(uint64(1000+run), at, 1+by).record().Verdict
			if slices.ContainsFunc(v.Cells[0].Steps.Series, func(s StepSeries) bool {
				return s.State == CellRegressed && s.Step == fmt.Sprintf("step.%02d", at)
			}) {
				n++
			}
		}
		return float64(n) / runs
	}
	for name, tt := range map[string]struct {
		noisiest bool
		slow     func(run int) int
	}{"any": {false, func(run int) int { return run % 20 }}, "noisiest": {true, func(int) int { return 0 }}} {
		r := Simulation{Policy: launched(0, -1, 1).policy, Noise: Noise{SD: 0.01}, Cells: 1, Steps: noise, Noisiest: tt.noisiest, Slowdown: by, Runs: 1000, Seed: 1}.Run()
		promised, seen := float64(r.Right)/float64(r.Runs), found(tt.slow)
		t.Logf("%s: %.2f promised, %.2f found", name, promised, seen)
		if math.Abs(promised-seen) > 0.12 { // three standard deviations of what is found
			t.Errorf("a slowdown of the %s step by %.0f %%: %.0f %% promised, %.0f %% found", name, 100*by, 100*promised, 100*seen)
		}
		if tt.noisiest && seen > 0.8 || !tt.noisiest && seen < 0.5 {
			t.Errorf("%s: %.0f %% found: the steps do not differ enough for this test", name, 100*seen)
		}
	}
}

// TestStepNoiseOf leaves trials out in which a step or a cell is missing, and blocks without a value of every step.
func TestStepNoiseOf(t *testing.T) {
	values := func(n int) []float64 { return []float64{0.01, -0.02, 0.03, -0.01, 0.02, 0}[:n] }
	whole := Trial{Steps: [][][]float64{{values(5), values(5)}, {values(4)}}}
	short := Trial{Steps: [][][]float64{{values(5), values(3)}, {values(2)}}} // two values tell no scatter
	missing := Trial{Steps: [][][]float64{{values(5)}, {values(4)}}}
	got := StepNoiseOf([]Trial{whole, {Steps: whole.Steps[:1]}, missing, short})
	if len(got) != 2 || len(got[0].blocks) != 8 || len(got[1].blocks) != 4 || got[0].steps() != 2 {
		t.Errorf("%+v", got)
	}
	if got := StepNoiseOf([]Trial{{}, {Steps: [][][]float64{}}}); len(got) != 0 {
		t.Errorf("of nothing: %+v", got)
	}
	s := scatterOfSteps(got)
	if s.Steps != 3 || s.Blocks != 12 || !(s.Median > 0 && s.Noisiest >= s.Median) {
		t.Errorf("%+v", s)
	}
}
