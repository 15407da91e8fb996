package gate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/stat"
)

// Candidates returns the cells of a screened record that have to be confirmed: the worst that grew, at most MaxConfirm, and behind
// them those whose screen was too noisy to tell.
func Candidates(rec *Record) []perf.Cell {
	cells := holding(rec)
	confirm, _ := rec.Policy.worst(screenOf(rec, cells))
	var out []perf.Cell
	for _, i := range confirm {
		out = append(out, cells[i])
	}
	return out
}

// screenOf returns what the screening blocks say of cells.
func screenOf(rec *Record, cells []perf.Cell) []screened {
	list := make([]screened, len(cells))
	for i, c := range cells {
		kind := rec.kind(c)
		t := rec.Policy.target(kind)
		list[i] = screened{kind: kind, target: t, values: values(blocksOf(rec.Screen, c, rec.Policy.ScreenBlocks, t.Limits))}
		if rec.Policy.Steps.Of(c) {
			list[i].steps = stepsOf(rec.Screen, c, rec.Policy.ScreenBlocks, t.Limits).screen(t.Limits.Step)
		}
	}
	rec.Policy.observe(list)
	return list
}

func values(all map[Metric]series) map[Metric][]float64 {
	out := map[Metric][]float64{}
	for k, s := range all {
		out[k] = s.values
	}
	return out
}

// target returns what counts for a cell: that of the kind of machine which executed it.
func (rec *Record) target(c perf.Cell) Target { return rec.Policy.target(rec.kind(c)) }

// kind returns the kind of machine that executed a cell. A GPU that the environment does not describe is one without locked clocks.
func (rec *Record) kind(c perf.Cell) env.Kind {
	at := slices.IndexFunc(rec.Screen, func(m perf.Measurement) bool { return m.Cell == c && m.Device != nil })
	if at < 0 && perf.OnDevice(c.Backend) {
		return env.UnlockedGPU
	}
	if at < 0 {
		return env.SharedCPU
	}
	for _, g := range rec.Environment.GPUs {
		if g.Index == *rec.Screen[at].Device {
			return env.Classify(rec.Environment, rec.Policy.Threads, &g).Kind
		}
	}
	return env.UnlockedGPU
}

// Judge concludes. It uses the policy, the cells, their parity and the measurements of a record and nothing else, so it gives the same
// verdict whenever it is asked, and in whatever order the measurements are listed. Check says whether a record that comes from a
// file is whole.
func Judge(rec *Record) *Verdict {
	rec = sorted(rec)
	j := judge{rec: rec, p: rec.Policy, v: &Verdict{Reasons: []string{}, Cells: []Cell{}, Controls: []Control{}, Warnings: []string{}}}
	j.cells()
	j.steps()
	j.controls()
	j.conclude()
	return j.v
}

// sorted returns a record with its measurements in the order of blocks and slots.
func sorted(rec *Record) *Record {
	r := *rec
	for _, list := range []*[]perf.Measurement{&r.Screen, &r.Confirm} {
		*list = slices.Clone(*list)
		slices.SortStableFunc(*list, func(a, b perf.Measurement) int {
			return cmp.Or(cmp.Compare(a.Block, b.Block), cmp.Compare(a.Replicate, b.Replicate))
		})
	}
	return &r
}

type judge struct {
	rec *Record
	p   Policy
	v   *Verdict
}

// cells gives every cell of the record its state.
func (j *judge) cells() {
	held := holding(j.rec)
	screen := screenOf(j.rec, held)
	confirm, rest := j.p.worst(screen)
	for _, c := range j.rec.Cells {
		cell := Cell{Cell: c, Name: c.String(), Series: []Series{}}
		p := j.rec.parityOf(c)
		cell.Parity, cell.Change = p.Parity, p.Change
		at := slices.Index(held, c)
		if at < 0 {
			cell.State, cell.Note = j.rec.unheld(c)
		} else {
			s := screen[at]
			j.series(&cell, s, slices.Contains(confirm, at), slices.Contains(rest, at))
			j.resolve(&cell, s)
			j.settle(&cell)
			j.quality(&cell)
			j.hurried(&cell)
		}
		j.v.Cells = append(j.v.Cells, cell)
	}
}

// series judges every metric of a cell, which was confirmed, or passed over for worse ones, or neither. The worst is the cell's state.
func (j *judge) series(cell *Cell, seen screened, confirmed, passed bool) {
	limits := seen.target.Limits
	screen := blocksOf(j.rec.Screen, cell.Cell, j.p.ScreenBlocks, limits)
	confirm := map[Metric]series{}
	if confirmed {
		confirm = blocksOf(j.rec.Confirm, cell.Cell, j.p.ConfirmBlocks, limits)
	}
	cell.State = CellClear
	for _, k := range Metrics {
		s, there := screen[k]
		if !there && k != Time {
			continue
		}
		out := Series{Metric: k, Screen: s.estimate()}
		j.warn(cell.Name, s)
		switch grew := limits.Of(k).candidate(s.values); {
		case out.Screen == nil:
			out.State, out.Note = missing(j.rec.Screen, cell.Cell, s)
		case grew && passed:
			out.State = CellUnconfirmed
			out.Note = fmt.Sprintf("greater on the screen; only the worst %d candidates are confirmed", j.p.MaxConfirm)
		case confirmed && slices.Contains(seen.asked(), k):
			j.confirm(&out, cell, limits.Of(k), confirm[k], grew)
		case k == Time && out.Screen.High < 1 && out.Screen.Ratio <= 1/(1+limits.Time.Delta):
			out.State = CellFaster
		default:
			out.State = CellClear
		}
		if out.State.rank() < cell.State.rank() {
			cell.State, cell.Note = out.State, note(out)
		}
		cell.Series = append(cell.Series, out)
	}
}

// note is what a metric adds to the note of its cell.
func note(s Series) string {
	if s.Metric == Time || s.Note == "" {
		return s.Note
	}
	return s.Metric.Words() + ": " + s.Note
}

// confirm judges a metric by its fresh blocks, whether it grew on the screen or was too noisy there.
func (j *judge) confirm(out *Series, cell *Cell, l Limit, s series, grew bool) {
	out.Confirm = s.estimate()
	j.warn(cell.Name+" (confirmation)", s)
	switch {
	case out.Confirm == nil:
		out.State, out.Note = missing(j.rec.Confirm, cell.Cell, s)
	case l.exceeded(s.values, j.p.Alpha):
		out.State = CellRegressed
		if out.Metric != Time {
			out.Note = fmt.Sprintf("grew from %s to %s", out.Metric.Amount(out.Confirm.Base), out.Metric.Amount(out.Confirm.Head))
		}
	case stat.SmallestP(len(s.values)) > j.p.Alpha:
		out.State = CellNoisy
		out.Note = fmt.Sprintf("%d of %d blocks were dropped: the others could not confirm anything", len(s.dropped), j.p.ConfirmBlocks)
	case l.reached(s.values):
		out.State = CellNoisy
		out.Note = fmt.Sprintf("greater by the estimate, but p = %.2g is above %.2g", out.Confirm.P, j.p.Alpha)
	case !grew:
		out.State, out.Note = CellClear, "measured again, since its screen was too noisy"
	default:
		out.State, out.Note = CellCleared, "greater on the screen, not when confirmed"
	}
}

// resolve says what could have been missed in a cell, and where that is too much, that nothing was shown.
func (j *judge) resolve(cell *Cell, seen screened) {
	s, t := cell.Of(Time), seen.target
	if s.Screen == nil {
		return
	}
	finds := j.p.finding(t.Limits.Time, seen.scatter)
	if s.Confirm != nil {
		finds = j.p.finding(t.Limits.Time, scatterOf(s.Confirm.Values, seen.others...)) // fresh: the screen chose the cell
	}
	cell.Resolution = rounded(least(finds))
	if s.State == CellUnconfirmed {
		cell.Resolution = max(cell.Resolution, rounded(s.Screen.High-1))
		if t.Limits.Time.reached(s.Screen.Values) {
			return // that is no noise: see overtaken
		}
	}
	if !finds(t.MaxResolution) && CellNoisy.rank() < cell.State.rank() {
		cell.State = CellNoisy
		cell.Note = fmt.Sprintf("too noisy: a slowdown of %s could have been missed, and %s has to be found", percent(1+cell.Resolution), percent(1+t.MaxResolution))
	}
}

// settle lets how the sessions of a cell ended, and what they computed, speak before how fast they were.
func (j *judge) settle(cell *Cell) {
	all := slices.Concat(j.rec.Screen, j.rec.Confirm)
	if why := dead(all, cell.Cell); why != "" {
		cell.Note = why
		if cell.State != CellRegressed { // which is worse, and as certain
			cell.State = CellBroken
		}
	}
	for _, m := range all {
		if m.Cell != cell.Cell || m.Outputs == nil || m.Outputs.Parity.Holds() {
			continue
		}
		p := m.Outputs.Parity
		if m.Arm == perf.Base { // whose time says nothing then
			if j.rec.parityOf(m.Cell).Base.Holds() && CellUnverified.rank() < cell.State.rank() {
				cell.State, cell.Note = CellUnverified, fmt.Sprintf("parity of what was timed on the base is %s: %s", p.State, p.Detail)
			}
			continue
		}
		if p.State.Worse(cell.Parity.State) {
			cell.Parity = p
		}
		state := CellUnverified
		if p.State == evidence.Fail {
			state = CellParityFailed
		}
		if state.rank() < cell.State.rank() {
			cell.State, cell.Note = state, fmt.Sprintf("block %d of what was timed: %s", m.Block, p.Detail)
		}
	}
}

// dead tells how the head failed on a cell, "" if it never did. One failure among many replicates is enough: a build that
// crashes now and then is not fit, however fast.
func dead(list []perf.Measurement, c perf.Cell) string {
	for _, m := range list {
		if m.Cell == c && m.Arm == perf.Head && m.State != evidence.Measured {
			return "the " + failure(m)
		}
	}
	return ""
}

// failure says how a measurement ended.
func failure(m perf.Measurement) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s: %s %s", m.Arm, m.State, m.Reason, m.Detail))
}

// missing says why a series has too few blocks: a side that fails is broken, and blocks that were dropped are noise.
func missing(list []perf.Measurement, c perf.Cell, s series) (CellState, string) {
	for _, m := range list {
		if m.Cell == c && m.State != evidence.Measured {
			return CellBroken, "the " + failure(m)
		}
	}
	if len(s.dropped) > 0 {
		return CellNoisy, fmt.Sprintf("%d blocks were dropped, %d remain: %s", len(s.dropped), len(s.values), s.dropped[0])
	}
	return CellBroken, "nothing was measured"
}

// warn passes on why blocks were dropped.
func (j *judge) warn(name string, s series) {
	for _, d := range s.dropped {
		j.v.Warnings = append(j.v.Warnings, name+": "+d)
	}
}

// fewExecutions is how many of a process hardly tell more than how it warms up.
const fewExecutions = 5

// hurried warns where a cell could not be judged whose processes executed it a few times each, because its confirmation was to take no longer.
func (j *judge) hurried(cell *Cell) {
	var executions []float64
	for _, m := range j.rec.Confirm {
		if m.Cell == cell.Cell && !m.Control && m.State == evidence.Measured && m.BoundNS > 0 {
			executions = append(executions, float64(len(m.Samples)*max(m.CallsPerSample, 1)))
		}
	}
	if cell.State != CellNoisy || len(executions) == 0 {
		return
	}
	median := stat.Median(executions)
	if median >= fewExecutions {
		return
	}
	times := "once"
	if median > 1 {
		times = fmt.Sprintf("%g times", median)
	}
	j.v.Warnings = append(j.v.Warnings, fmt.Sprintf("%s: to confirm it within %v, half of its processes executed it at most %s; a longer --confirm-time gives them more",
		cell.Name, time.Duration(j.p.ConfirmNS), times))
}

// controls judges what should not have moved.
func (j *judge) controls() {
	held := holding(j.rec)
	if len(held) == 0 {
		return // there is no statement about speed that they could void
	}
	add := func(name string, s series, delta float64) {
		j.v.Controls = append(j.v.Controls, Control{Name: name, Fired: j.p.fires(s.values, delta), Estimate: s.estimate()})
	}
	host := j.p.target(env.SharedCPU).Limits.Time.Delta
	add("reference workload", workloadBlocks(j.rec.Workload, Screen, j.p.ScreenBlocks), host)
	if len(j.rec.Confirm) > 0 {
		add("reference workload (confirmation)", workloadBlocks(j.rec.Workload, Confirm, j.p.ConfirmBlocks), host)
	}
	for _, c := range j.p.controlled(held) {
		delta := j.rec.target(c).Limits.Time.Delta
		s := controlBlocks(j.rec.Screen, c, j.p.ScreenBlocks, delta)
		add("A/A "+c.String(), s, delta)
		j.warn("A/A "+c.String(), s)
	}
}
