package gate

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/perf"
)

// stepped lets every measurement of a world tell the times of 60 steps, whose noise is 1 % in a process, and slows some of them on the head.
func (w world) stepped(slow map[string]float64) world {
	rng := rand.New(rand.NewPCG(w.seed, 9))
	before := w.touch
	w.touch = func(stage Stage, cell int, m *perf.Measurement) {
		if !m.Control {
			m.Steps = &perf.Steps{Samples: 50, Calls: 1, MeanNS: 1e6}
			for i := range 60 {
				s := perf.Step{Name: fmt.Sprintf("step.%02d", i), Nodes: "0123abcd", NS: 1e3 * float64(1+i%10) * math.Exp(0.01*rng.NormFloat64())}
				if by, is := slow[s.Name]; is && m.Arm == perf.Head && cell == 1 {
					s.NS *= by
				}
				m.Steps.List = append(m.Steps.List, s)
			}
			m.Outputs.StepsSHA256 = digest
		}
		if before != nil {
			before(stage, cell, m)
		}
	}
	for _, t := range []*Target{&w.policy.Targets.CPU, &w.policy.Targets.UnlockedGPU} {
		t.Limits.Step = Limit{Delta: 0.03, Offset: 10}
	}
	return w
}

// stepStates lists the steps of a cell that grew, with their states.
func stepStates(c Cell) string {
	var list []string
	for _, s := range c.Steps.Series {
		list = append(list, s.Step+" "+string(s.State))
	}
	return strings.Join(list, ", ")
}

// TestSlowStep finds a step that is 5 % slower, a thousandth of the whole, and names it alone; and says so after a replay.
func TestSlowStep(t *testing.T) {
	w := quiet()
	w.policy.Steps = AllSteps
	rec := w.stepped(map[string]float64{"step.42": 1.05}).record()
	v := rec.Verdict
	if v.Outcome != Regression || v.ExitCode != 1 || len(v.Reasons) == 0 ||
		!strings.HasPrefix(v.Reasons[0], "reference/nano/fp32/256x128/b1/complete: step step.42 slower by ") || !strings.HasSuffix(v.Reasons[0], ", confirmed in 20 fresh blocks") {
		t.Fatalf("%s (%d): %q", v.Outcome, v.ExitCode, v.Reasons)
	}
	for i, c := range v.Cells {
		regressed := slices.ContainsFunc(c.Steps.Series, func(s StepSeries) bool { return s.State == CellRegressed })
		if c.Steps.Compared != 60 || regressed != (i == 1) || c.Of(Time).State != CellClear || !(c.Steps.Resolution > 0.03 && c.Steps.Resolution <= c.Steps.Noisiest && c.Steps.Noisiest < 0.06) {
			t.Errorf("%s: %+v", c.Name, c.Steps)
		}
	}
	s := v.Cells[1].Steps.Series[slices.IndexFunc(v.Cells[1].Steps.Series, func(s StepSeries) bool { return s.Step == "step.42" })]
	if math.Abs(s.Confirm.Ratio-1.05) > 0.01 || s.Confirm.Base < 0.0028 || s.Confirm.Base > 0.0032 {
		t.Errorf("%+v", s.Confirm)
	}
	if err := rec.Check(); err != nil {
		t.Error(err)
	}
	again, err := Read(bytes.NewReader(encoded(t, rec)))
	if err != nil {
		t.Fatal(err)
	}
	if why := Differs(rec.Verdict, Judge(again)); why != "" {
		t.Error(why)
	}
}

// TestSteps goes through what else can be said of steps.
func TestSteps(t *testing.T) {
	headOnly := func(change func(m *perf.Measurement)) func(Stage, int, *perf.Measurement) {
		return func(_ Stage, cell int, m *perf.Measurement) {
			if m.Arm == perf.Head && cell == 1 {
				change(m)
			}
		}
	}
	lost := func(m *perf.Measurement) {
		m.Steps, m.StepsLack, m.Outputs.StepsSHA256 = nil, "the backend tells no times of steps", ""
	}
	for name, tt := range map[string]struct {
		world   func(w world) world
		slow    map[string]float64
		outcome Outcome
		state   CellState // of cell 1
		note    string
		steps   string // that grew
		check   func(*Verdict) bool
	}{
		"equal": {outcome: Pass, state: CellClear, check: func(v *Verdict) bool {
			return strings.Contains(v.Reasons[0], "; nor is any of 240 steps, of which half could hide up to ")
		}},
		"two of them": {slow: map[string]float64{"step.03": 1.08, "step.50": 1.2}, outcome: Regression, state: CellRegressed, note: "step step.03: slower by ",
			steps: "step.03 regression, step.50 regression"},
		"below δ": {slow: map[string]float64{"step.03": 1.02}, outcome: Pass, state: CellCleared, note: "step step.03: slower on the screen, not when confirmed", steps: "step.03 cleared"},
		"fused otherwise": {world: func(w world) world {
			w.touch = headOnly(func(m *perf.Measurement) { m.Steps.List[7].Nodes, m.Steps.List[9].Name = "feed0000", "step.new" })
			return w
		}, slow: map[string]float64{"step.07": 2, "step.09": 2}, outcome: Pass, state: CellClear, check: func(v *Verdict) bool {
			s := v.Cells[1].Steps
			return s.Compared == 58 && strings.Join(s.Changed, " ") == "step.07 step.09 step.new"
		}},
		"none": {world: func(w world) world {
			w.touch = func(_ Stage, _ int, m *perf.Measurement) { lost(m) }
			return w
		}, outcome: Pass, state: CellClear, check: func(v *Verdict) bool {
			return v.Cells[1].Steps.Compared == 0 && v.Cells[1].Steps.Note == "of the base: the backend tells no times of steps" && !strings.Contains(v.Reasons[0], "steps")
		}},
		"lost by the head": {world: func(w world) world {
			w.touch = headOnly(lost)
			return w
		}, outcome: Inconclusive, state: CellNoisy, note: "the head does not tell the times of its steps, the base does: block 0: not every process"},
		"a faster whole": {world: func(w world) world {
			w.slow[1] = 0.8
			return w
		}, slow: map[string]float64{"step.03": 1.2}, outcome: Pass, state: CellFaster, steps: "step.03 regression", check: func(v *Verdict) bool {
			return slices.ContainsFunc(v.Warnings, func(s string) bool {
				return strings.Contains(s, "is faster as a whole, with its step step.03 slower by 1")
			})
		}},
		"a slower whole too": {world: func(w world) world {
			w.slow[1] = 1.3
			return w
		}, slow: map[string]float64{"step.03": 1.2}, outcome: Regression, state: CellRegressed, steps: "step.03 regression", check: func(v *Verdict) bool {
			return strings.Contains(v.Reasons[0], "slower by 8 % or more; reference/nano/fp32/256x128/b1/complete: step step.03 slower by ")
		}},
		"not asked for": {world: func(w world) world {
			w.policy.Steps = DeviceSteps
			return w
		}, slow: map[string]float64{"step.03": 2}, outcome: Pass, state: CellClear},
		"too few blocks for so many": {world: func(w world) world {
			w.policy.ConfirmBlocks = 11 // 2⁻¹¹ is just below α
			return w
		}, slow: map[string]float64{"step.03": 1.3, "step.04": 1.2}, outcome: Regression, state: CellRegressed, steps: "step.03 regression, step.04 unconfirmed"},
	} {
		w := quiet()
		w.seed, w.policy.Steps = 8, AllSteps
		if tt.world != nil {
			w = tt.world(w)
		}
		w = w.stepped(tt.slow)
		rec := w.record()
		if err := rec.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		v := rec.Verdict
		c := v.Cells[1]
		got := ""
		if c.Steps != nil {
			got = stepStates(c)
		}
		if v.Outcome != tt.outcome || c.State != tt.state || !strings.HasPrefix(c.Note, tt.note) || !strings.Contains(got, tt.steps) || tt.check != nil && !tt.check(v) {
			t.Errorf("%s: %s %q %q; cell %s %q, steps %q", name, v.Outcome, v.Reasons, v.Warnings, c.State, c.Note, got)
		}
	}
}

// TestHolm follows the example of Holm's procedure: the smallest p is held against α/K, the next against α/(K-1).
func TestHolm(t *testing.T) {
	for _, tt := range []struct {
		p    []float64
		want string
	}{
		{nil, "[]"}, {[]float64{0.05}, "[true]"}, {[]float64{0.051}, "[false]"},
		{[]float64{0.04, 0.01, 0.03}, "[false true false]"}, {[]float64{0.02, 0.01, 0.05}, "[true true true]"}, {[]float64{0.03, 0.03}, "[false false]"},
	} {
		if got := fmt.Sprint(holm(tt.p, 0.05)); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.p, got, tt.want)
		}
	}
}

// seenUnder returns what many blocks show of steps that all scatter alike.
func seenUnder(n Noise, steps int) StepNoise {
	values := n.draw(rand.New(rand.NewPCG(5, 5)), steps, 400)
	var seen StepNoise
	for block := range 400 {
		seen.blocks = append(seen.blocks, rowOf(values, block))
	}
	return seen
}

// TestStepFalseAlarms simulates equal builds at a level at which false alarms can be counted, with a δ so small that the test decides alone: a run names any
// of 240 steps with a probability of at most α, though each of them has its noise.
func TestStepFalseAlarms(t *testing.T) {
	p := DefaultPolicy()
	p.Alpha = 0.05
	for _, target := range []*Target{&p.Targets.CPU} {
		target.Limits.Step = Limit{Delta: 1e-6, Offset: 1}
	}
	for name, n := range map[string]Noise{"normal": {SD: 0.02}, "shared": {SD: 0.02, SharedSD: 0.02}, "outliers": {SD: 0.02, OutlierShare: 0.05, OutlierScale: 8}} {
		r := Simulation{Policy: p, Cells: 4, Steps: slices.Repeat([]StepNoise{seenUnder(n, 60)}, 4), Runs: 500, Seed: 1}.Run()
		t.Logf("%s: %d", name, r.Alarms)
		if r.Alarms > 36 || r.Alarms < 2 { // 25 and 2.2 standard deviations; fewer would say that nothing is ever found
			t.Errorf("%s noise: %d of %d runs name a step, want at most 5 %%", name, r.Alarms, r.Runs)
		}
	}
}

// TestStepPower simulates one step of 400 that is slower, with the noise of a quiet GPU and of a busier one.
func TestStepPower(t *testing.T) {
	for _, tt := range []struct {
		sd, slowdown float64
		least        int // of 200 runs that name it and nothing else
	}{{0.01, 0.05, 198}, {0.02, 0.05, 180}, {0.03, 0.1, 190}} {
		p := DefaultPolicy()
		p.Targets.CPU.Limits.Step = Limit{Delta: 0.03, Offset: 1}
		if r := (Simulation{Policy: p, Cells: 4, Steps: slices.Repeat([]StepNoise{seenUnder(Noise{SD: tt.sd}, 100)}, 4), Slowdown: tt.slowdown, Runs: 200, Seed: 2}).Run(); r.Right < tt.least {
			t.Errorf("%+v: %+v", tt, r)
		}
	}
}
