package gate

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/stat"
)

// Times per step are series of their own, so that a step that is slower by a few percent is found and named although the whole hardly changes (what
// FBDetect does for subroutines: D. Y. Yu et al., SOSP 2024). A cell has a hundred of them and more, which is what this file is about.
//
//  1. A step of the base and one of the head are one series where their names and the nodes that they cover are equal (stepSeries). What was fused
//     otherwise is listed as changed, and counts in the time of the whole alone.
//  2. On the screen a series is a candidate when its estimate is beyond half of δ, as a metric is, and beyond its own standard error, which chance makes
//     one noisy step in six (stepScreen). To ask for twice that would confirm 38 % of the runs of equal builds on an H200 instead of 60, and pass over
//     every sixth slowdown by 5 % of a step of 5 µs there: its screen has five blocks, the confirmation that would find it has twenty.
//  3. A confirmation measures the whole cell in fresh blocks, all its steps with it. Only candidates are tested there. Fresh blocks do not know why a
//     series was chosen, so each p is valid for it, and of K candidates in all cells the one with the i-th smallest p has to have p ≤ α/(K-i+1), as all
//     before it (S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979)). So the probability
//     that a run of equal builds names any step is at most α, whatever the number of steps and however they depend on each other: that of one metric.
//     The smallest p of n blocks is 2⁻ⁿ, so at most α·2ⁿ candidates are tested, the worst first (524 with the default policy).
//  4. A step has regressed when its p passes and its estimate reaches δ.

// stepKey names a step of both builds.
type stepKey struct{ name, nodes string }

// stepBlocks is what the blocks of a comparison say of the steps of a cell.
type stepBlocks struct {
	series  map[stepKey]series
	keys    []stepKey // of the steps that have enough blocks, in the order of the plan
	changed []string  // names of steps that only one of the builds has, or that cover other nodes there
	dropped []string  // why blocks do not count
	lack    string    // why there is nothing: what the first measurement without steps says
}

// stepsOf compares the steps of the arms, block by block. A block whose time does not count has no steps that do.
func stepsOf(list []perf.Measurement, c perf.Cell, blocks int, limits Limits) stepBlocks {
	out := stepBlocks{series: map[stepKey]series{}}
	changed := map[string]bool{}
	for i, block := range inBlocks(list, c, blocks) {
		base, head := arms(block, false)
		if len(block) == 0 || unusable(base, head, limits.Time.Delta) != "" {
			continue
		}
		told := 0
		for _, m := range slices.Concat(base, head) {
			if m.Steps != nil {
				told++
			} else {
				out.lack = cmp.Or(out.lack, fmt.Sprintf("of the %s: %s", m.Arm, m.StepsLack))
			}
		}
		switch told {
		case 0:
		case len(base) + len(head):
			out.add(stepTimes(base), stepTimes(head), limits.Step.Offset, changed)
		default:
			out.dropped = append(out.dropped, fmt.Sprintf("block %d: not every process tells the times of its steps: %s", i, out.lack))
		}
	}
	out.changed = slices.Sorted(maps.Keys(changed))
	out.order(list, c)
	return out
}

// stepTimes returns the times of every step in the replicates of an arm.
func stepTimes(arm []perf.Measurement) map[stepKey][]float64 {
	out := map[stepKey][]float64{}
	for _, m := range arm {
		for _, s := range m.Steps.List {
			k := stepKey{s.Name, s.Nodes}
			out[k] = append(out[k], s.NS)
		}
	}
	return out
}

// add adds a block: a value for every step that all its processes have.
func (b *stepBlocks) add(base, head map[stepKey][]float64, offset float64, changed map[string]bool) {
	for k, times := range base {
		if len(times) != 2 || len(head[k]) != 2 {
			changed[k.name] = true
			continue
		}
		s := b.series[k]
		s.metric = Step
		s.values = append(s.values, meanLog(head[k], offset)-meanLog(times, offset))
		s.base, s.head = append(s.base, times...), append(s.head, head[k]...)
		b.series[k] = s
	}
	for k := range head {
		if _, there := base[k]; !there {
			changed[k.name] = true
		}
	}
}

// order lists the steps as the first measurement that tells them has them.
func (b *stepBlocks) order(list []perf.Measurement, c perf.Cell) {
	at := slices.IndexFunc(list, func(m perf.Measurement) bool { return m.Cell == c && m.Steps != nil })
	if at < 0 {
		return
	}
	for _, s := range list[at].Steps.List {
		if k := (stepKey{s.Name, s.Nodes}); len(b.series[k].values) >= minScreenBlocks {
			b.keys = append(b.keys, k)
		}
	}
}

// screen finds the steps to confirm.
func (b stepBlocks) screen(l Limit) stepScreen {
	all := make([][]float64, len(b.keys))
	for i, k := range b.keys {
		all[i] = b.series[k].values
	}
	return newStepScreen(l, all)
}

// stepScreen says which of the steps of a cell have to be confirmed, by the values of its screen. The noise of a step is moderated by that of all.
type stepScreen struct {
	values     [][]float64 // of every step
	scatters   []scatter   // likewise
	candidates []int       // steps to confirm
	lead       float64     // the greatest growth of a candidate, in units of its δ
}

// screenErrors is how many standard errors of its screen the estimate of a candidate is.
const screenErrors = 1

func newStepScreen(l Limit, all [][]float64) stepScreen {
	s := stepScreen{values: all, scatters: make([]scatter, len(all))}
	prior := stat.Shamos(all...)
	for i, values := range all {
		s.scatters[i] = moderated(values, prior)
		if l.candidate(values) && shift(values) >= screenErrors*standardError(s.scatters[i].sd, len(values)) {
			s.candidates = append(s.candidates, i)
			s.lead = max(s.lead, shift(values)/math.Log1p(l.Delta))
		}
	}
	return s
}

// mostSteps is how many steps can be tested in a confirmation of so many blocks.
func mostSteps(alpha float64, blocks int) int { return int(alpha / stat.SmallestP(blocks)) }

// holm tells which of the hypotheses with these p are rejected at the family-wise level α.
func holm(p []float64, alpha float64) []bool {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	rejected := make([]bool, len(p))
	for i, at := range order {
		if p[at] > alpha/float64(len(p)-i) {
			break
		}
		rejected[at] = true
	}
	return rejected
}

// Steps is the verdict on the steps of a cell.
type Steps struct {
	Compared   int          `json:"compared"`             // steps that both builds have
	Changed    []string     `json:"changed"`              // steps that only one of them has, or that cover other nodes: their time counts in the whole alone
	Series     []StepSeries `json:"series"`               // of those that grew on the screen, in the order of the plan
	Resolution float64      `json:"resolution,omitempty"` // in half of the steps a slowdown up to this could have been missed; 0 where none was compared
	Noisiest   float64      `json:"noisiest,omitempty"`   // … and in the noisiest up to this
	Note       string       `json:"note,omitempty"`       // why none was compared
}

// StepSeries is the verdict on one step.
type StepSeries struct {
	Step    string    `json:"step"`
	State   CellState `json:"state"` // regression, inconclusive, unconfirmed, cleared
	Note    string    `json:"note,omitempty"`
	Screen  *Estimate `json:"screen"`
	Confirm *Estimate `json:"confirm,omitempty"`
}

// Final returns the estimate that the state rests on.
func (s StepSeries) Final() *Estimate {
	if s.Confirm != nil {
		return s.Confirm
	}
	return s.Screen
}

// Growth writes by how much the step is slower, and from what to what.
func (s StepSeries) Growth() string {
	e := s.Final()
	return fmt.Sprintf("slower by %s, from %s to %s", percent(e.Ratio), Step.Amount(e.Base), Step.Amount(e.Head))
}

// tested is a step in a confirmation.
type tested struct {
	cell   int // of the verdict
	series int // of its steps
	limit  Limit
	blocks series
}

// steps judges the steps of all cells, when the cells have their states by everything else.
func (j *judge) steps() {
	held := holding(j.rec)
	screen := screenOf(j.rec, held)
	confirmed, passed := j.p.worst(screen)
	var all []tested
	for i := range j.v.Cells {
		c := &j.v.Cells[i]
		at := slices.Index(held, c.Cell)
		if at < 0 || !j.p.Steps.Of(c.Cell) {
			continue
		}
		s := screen[at]
		blocks := stepsOf(j.rec.Screen, c.Cell, j.p.ScreenBlocks, s.target.Limits)
		c.Steps = &Steps{Changed: append([]string{}, blocks.changed...), Series: []StepSeries{}}
		for _, d := range blocks.dropped {
			j.v.Warnings = append(j.v.Warnings, c.Name+" (steps): "+d)
		}
		var fresh stepBlocks
		if slices.Contains(confirmed, at) {
			fresh = stepsOf(j.rec.Confirm, c.Cell, j.p.ConfirmBlocks, s.target.Limits)
		}
		c.Steps.Compared = len(blocks.keys)
		for _, number := range s.steps.candidates {
			k := blocks.keys[number]
			out := StepSeries{Step: k.name, Screen: blocks.series[k].estimate(), State: CellUnconfirmed}
			if slices.Contains(passed, at) {
				out.Note = fmt.Sprintf("slower on the screen; only the worst %d candidates are confirmed", j.p.MaxConfirm)
			} else {
				all = append(all, tested{i, len(c.Steps.Series), s.target.Limits.Step, fresh.series[k]})
			}
			c.Steps.Series = append(c.Steps.Series, out)
		}
		j.resolveSteps(c, s, blocks)
	}
	j.test(all)
	for i := range j.v.Cells {
		j.settleSteps(&j.v.Cells[i])
	}
}

// test judges the candidates by their fresh blocks, all together.
func (j *judge) test(all []tested) {
	if most := mostSteps(j.p.Alpha, j.p.ConfirmBlocks); len(all) > most {
		slices.SortStableFunc(all, func(a, b tested) int { return cmp.Compare(j.growth(b), j.growth(a)) })
		for _, t := range all[most:] {
			j.stepOf(t).Note = fmt.Sprintf("slower on the screen; %d blocks can tell the worst %d steps from chance", j.p.ConfirmBlocks, most)
		}
		all = all[:most]
	}
	p := make([]float64, len(all))
	for i, t := range all {
		p[i] = stat.SignedRank(t.blocks.values)
	}
	rejected := holm(p, j.p.Alpha)
	for i, t := range all {
		s := j.stepOf(t)
		s.Confirm = t.blocks.estimate()
		switch {
		case s.Confirm == nil:
			s.State, s.Note = CellNoisy, "its fresh blocks were dropped"
		case rejected[i] && t.limit.reached(t.blocks.values):
			s.State, s.Note = CellRegressed, s.Growth()
		case t.limit.reached(t.blocks.values):
			s.State, s.Note = CellNoisy, fmt.Sprintf("slower by the estimate, but p = %.2g is not small enough among %d steps", s.Confirm.P, len(all))
		default:
			s.State, s.Note = CellCleared, "slower on the screen, not when confirmed"
		}
	}
}

func (j *judge) stepOf(t tested) *StepSeries { return &j.v.Cells[t.cell].Steps.Series[t.series] }

// growth is by how much a candidate was slower on the screen, in units of its δ.
func (j *judge) growth(t tested) float64 {
	return math.Log(j.stepOf(t).Screen.Ratio) / math.Log1p(t.limit.Delta)
}

// resolveSteps says what could have been missed in the steps of a cell: in the middle one by its noise, and in the noisiest. The test is at the level
// that one more candidate leaves.
func (j *judge) resolveSteps(c *Cell, s screened, blocks stepBlocks) {
	if len(s.steps.scatters) == 0 {
		c.Steps.Note = cmp.Or(blocks.lack, "no block tells them")
		if len(blocks.dropped) > 0 {
			c.Steps.Note = blocks.dropped[0]
		}
		return
	}
	byNoise := slices.SortedFunc(slices.Values(s.steps.scatters), func(a, b scatter) int { return cmp.Compare(a.sd, b.sd) })
	p := j.p
	p.Alpha = max(p.Alpha/float64(1+len(c.Steps.Series)), stat.SmallestP(p.ConfirmBlocks))
	of := func(one scatter) float64 {
		return rounded(least(p.findingBeyond(s.target.Limits.Step, one, screenErrors)))
	}
	c.Steps.Resolution, c.Steps.Noisiest = of(byNoise[len(byNoise)/2]), of(byNoise[len(byNoise)-1])
}

// settleSteps lets the worst step speak for its cell where that is worse than what is known of it. What a cell that is faster as a whole does longer in
// one step is a trade, which is told and does not count. A head that has lost the times of its steps, which the base tells, cannot be judged by them.
func (j *judge) settleSteps(c *Cell) {
	if c.Steps == nil {
		return
	}
	for _, s := range c.Steps.Series {
		switch {
		case c.faster():
			if s.State == CellRegressed {
				j.v.Warnings = append(j.v.Warnings, fmt.Sprintf("%s is faster as a whole, with its step %s %s", c.Name, s.Step, s.Growth()))
			}
			continue
		case s.State.rank() >= c.State.rank():
			continue
		}
		c.State, c.Note = s.State, fmt.Sprintf("step %s: %s", s.Step, s.Note)
	}
	if c.Steps.Compared == 0 && CellNoisy.rank() < c.State.rank() && j.toldBy(perf.Base, c.Cell) && !j.toldBy(perf.Head, c.Cell) {
		c.State, c.Note = CellNoisy, "the head does not tell the times of its steps, the base does: "+c.Steps.Note
	}
}

// toldBy tells whether a build tells the times of the steps of a cell.
func (j *judge) toldBy(arm perf.Arm, c perf.Cell) bool {
	return slices.ContainsFunc(j.rec.Screen, func(m perf.Measurement) bool { return m.Cell == c && m.Arm == arm && m.Steps != nil })
}
