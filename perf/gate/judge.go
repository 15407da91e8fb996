package gate

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf"
)

// Candidates returns the cells of a screened record that have to be confirmed, the worst first, at most MaxConfirm.
func Candidates(rec *Record) []perf.Cell {
	cells, screen := screened(rec)
	confirm, _ := rec.Policy.worst(values(screen))
	var out []perf.Cell
	for _, i := range confirm {
		out = append(out, cells[i])
	}
	return out
}

// screened returns the cells whose speed counts and what their screening blocks say.
func screened(rec *Record) ([]perf.Cell, []series) {
	cells := holding(rec)
	list := make([]series, len(cells))
	for i, c := range cells {
		list[i] = blocksOf(rec.Screen, c, rec.Policy.ScreenBlocks, false, rec.Policy.Delta)
	}
	return cells, list
}

func values(list []series) [][]float64 {
	out := make([][]float64, len(list))
	for i, s := range list {
		out[i] = s.values
	}
	return out
}

// Judge concludes. It uses the policy, the cells and the measurements of a record and nothing else, so it gives the same
// verdict whenever it is asked. Check says whether a record that comes from a file is whole.
func Judge(rec *Record) *Verdict {
	j := judge{rec: rec, p: rec.Policy, v: &Verdict{Reasons: []string{}, Cells: []Cell{}, Controls: []Control{}, Warnings: []string{}}}
	cells, screen := screened(rec)
	sd := spread(values(screen))
	j.v.Resolution = rounded(j.p.resolution(sd))
	j.cells(cells, screen)
	j.controls()
	j.conclude()
	return j.v
}

type judge struct {
	rec *Record
	p   Policy
	v   *Verdict
}

// cells gives every cell of the record its state.
func (j *judge) cells(held []perf.Cell, screen []series) {
	confirm, rest := j.p.worst(values(screen))
	for _, c := range j.rec.Cells {
		cell := Cell{Cell: c, Name: c.String()}
		cell.Parity, _ = parityOf(j.rec, c)
		at := slices.Index(held, c)
		switch {
		case at < 0:
			cell.State, cell.Note = unheld(cell.Parity)
		default:
			cell.Screen = screen[at].estimate()
			j.warn(cell.Name, screen[at])
			j.screenState(&cell, screen[at])
			if slices.Contains(rest, at) {
				cell.State = CellUnconfirmed
				cell.Note = fmt.Sprintf("slower on the screen; only the worst %d candidates are confirmed", j.p.MaxConfirm)
			}
			if slices.Contains(confirm, at) {
				j.confirmState(&cell)
			}
			if why := dead(slices.Concat(j.rec.Screen, j.rec.Confirm), c); why != "" {
				cell.State, cell.Note = CellBroken, why
			}
		}
		j.v.Cells = append(j.v.Cells, cell)
	}
}

// unheld is the state of a cell whose parity does not hold.
func unheld(p perf.Parity) (CellState, string) {
	switch p.State {
	case "fail":
		return CellParityFailed, p.Detail
	case "unsupported":
		return CellUnsupported, p.Detail
	}
	return CellBroken, p.Detail
}

// screenState judges by the screen alone.
func (j *judge) screenState(cell *Cell, s series) {
	switch {
	case cell.Screen == nil:
		cell.State, cell.Note = missing(j.rec.Screen, cell.Cell, s)
	case cell.Screen.High < 1 && cell.Screen.Ratio <= 1/(1+j.p.Delta):
		cell.State = CellFaster
	default:
		cell.State = CellClear
	}
}

// dead tells how the head failed on a cell, "" if it never did. One failure among many replicates is enough: a build that
// crashes now and then is not fit, however fast.
func dead(list []perf.Measurement, c perf.Cell) string {
	for _, m := range list {
		if m.Cell == c && m.Arm == perf.Head && m.State != perf.Measured {
			return fmt.Sprintf("the head %s: %s %s", m.State, m.Reason, m.Detail)
		}
	}
	return ""
}

// missing says why a cell has too few blocks: a side that fails is broken, blocks that were dropped are noise.
func missing(list []perf.Measurement, c perf.Cell, s series) (CellState, string) {
	for _, m := range list {
		if m.Cell == c && m.State != perf.Measured {
			return CellBroken, fmt.Sprintf("%s %s: %s %s", m.Arm, m.State, m.Reason, m.Detail)
		}
	}
	if len(s.dropped) > 0 {
		return CellNoisy, fmt.Sprintf("%d blocks were dropped, %d remain: %s", len(s.dropped), len(s.values), s.dropped[0])
	}
	return CellBroken, "nothing was measured"
}

// confirmState judges a candidate by its fresh blocks.
func (j *judge) confirmState(cell *Cell) {
	s := blocksOf(j.rec.Confirm, cell.Cell, j.p.ConfirmBlocks, false, j.p.Delta)
	cell.Confirm = s.estimate()
	j.warn(cell.Name+" (confirmation)", s)
	beyondDoubt, byEstimate := j.p.slower(s.values)
	switch {
	case cell.Confirm == nil:
		cell.State, cell.Note = missing(j.rec.Confirm, cell.Cell, s)
	case beyondDoubt:
		cell.State, cell.Note = CellRegressed, ""
	case byEstimate:
		cell.State = CellNoisy
		cell.Note = fmt.Sprintf("slower by the estimate, but p = %.2g is above %.2g", cell.Confirm.P, j.p.Alpha)
	default:
		cell.State, cell.Note = CellCleared, "slower on the screen, not when confirmed"
	}
}

// warn passes on why blocks were dropped.
func (j *judge) warn(name string, s series) {
	for _, d := range s.dropped {
		j.v.Warnings = append(j.v.Warnings, name+": "+d)
	}
}

// controls judges what should not have moved.
func (j *judge) controls() {
	add := func(name string, s series) {
		if e := s.estimate(); e != nil {
			j.v.Controls = append(j.v.Controls, Control{Name: name, Fired: j.p.fires(s.values), Estimate: e})
		}
	}
	add("reference workload", workloadBlocks(j.rec.Workload, Screen, j.p.ScreenBlocks))
	if len(j.rec.Confirm) > 0 {
		add("reference workload (confirmation)", workloadBlocks(j.rec.Workload, Confirm, j.p.ConfirmBlocks))
	}
	for _, c := range j.rec.Cells {
		add("A/A "+c.String(), blocksOf(j.rec.Screen, c, j.p.ScreenBlocks, true, j.p.Delta))
	}
}

// in returns the names of the cells in a state.
func (j *judge) in(state CellState) (names []string) {
	for _, c := range j.v.Cells {
		if c.State == state {
			names = append(names, c.Name)
		}
	}
	return names
}

var exitCodes = map[Outcome]int{
	Pass: exit.OK, Regression: exit.Failed, ParityFailed: exit.Failed, Inconclusive: exit.Inconclusive, NoBaseline: exit.NoBaseline,
	Unavailable: exit.Unavailable, Broken: exit.Internal,
}

// conclude takes the first of the outcomes that applies. Parity comes first: it does not depend on noise. A control that fired
// voids every statement about speed.
func (j *judge) conclude() {
	fired := slices.DeleteFunc(slices.Clone(j.v.Controls), func(c Control) bool { return !c.Fired })
	measured := len(j.v.Cells) - len(j.in(CellUnsupported)) - len(j.in(CellBroken)) - len(j.in(CellParityFailed))
	wrong, slow, broken, noisy := j.in(CellParityFailed), j.in(CellRegressed), j.in(CellBroken), j.in(CellNoisy)
	switch {
	case len(wrong) > 0:
		j.end(ParityFailed, "%s: parity fails, so speed does not count", some(wrong))
	case len(fired) > 0:
		j.end(Inconclusive, "%s moved by %s although nothing changed there: the machine moved", fired[0].Name, percent(fired[0].Estimate.Ratio))
	case len(slow) > 0:
		j.end(Regression, "%s: slower by %s or more, confirmed in %d fresh blocks", some(slow), percent(1+j.p.Delta), j.p.ConfirmBlocks)
	case len(broken) > 0:
		j.end(Broken, "%s: could not be measured", some(broken))
	case len(noisy) > 0:
		j.end(Inconclusive, "%s: too noisy to tell", some(noisy))
	case measured == 0:
		j.end(Unavailable, "nothing could be measured here")
	case j.v.Resolution > j.p.MaxResolution:
		j.end(Inconclusive, "the machine is too noisy: a slowdown of %s could be missed, and %s has to be found", percent(1+j.v.Resolution), percent(1+j.p.MaxResolution))
	default:
		j.end(Pass, "no cell is slower by %s or more", percent(1+j.p.Delta))
	}
	j.more(slow, broken, noisy)
	j.attribute(slow, len(fired) > 0)
}

func (j *judge) end(o Outcome, format string, args ...any) {
	j.v.Outcome, j.v.ExitCode = o, exitCodes[o]
	j.v.Reasons = append(j.v.Reasons, fmt.Sprintf(format, args...))
}

// more adds what else is to be said, below the reason for the outcome.
func (j *judge) more(slow, broken, noisy []string) {
	add := func(applies bool, format string, args ...any) {
		if applies {
			j.v.Reasons = append(j.v.Reasons, fmt.Sprintf(format, args...))
		}
	}
	o := j.v.Outcome
	add(len(slow) > 0 && o != Regression, "%s: slower, confirmed", some(slow))
	add(len(broken) > 0 && o != Broken, "%s: could not be measured", some(broken))
	add(len(noisy) > 0 && o != Inconclusive, "%s: too noisy to tell", some(noisy))
	if rest := j.in(CellUnconfirmed); len(rest) > 0 {
		add(true, "%s: slower on the screen, unconfirmed", some(rest))
	}
	if none := j.in(CellUnsupported); len(none) > 0 {
		add(true, "%s: not supported here", some(none))
	}
}

// attribute says what moved.
func (j *judge) attribute(slow []string, control bool) {
	switch {
	case control:
		j.v.Attribution = "the control moved: suspect the machine, not the change"
		return
	case len(slow) == 0:
		return
	}
	moved, all := map[string]bool{}, map[string]bool{}
	var order []string
	for _, c := range j.v.Cells {
		b := c.Cell.Backend
		if c.Screen != nil {
			all[b] = true
		}
		if (c.State == CellRegressed || c.State == CellUnconfirmed) && !moved[b] {
			moved[b] = true
			order = append(order, b)
		}
	}
	switch {
	case len(all) == 1:
		j.v.Attribution = fmt.Sprintf("backend %s moved; no other was measured", order[0])
	case len(moved) == len(all):
		j.v.Attribution = "all backends moved: suspect what they share, the graph or the way they are run"
	case len(moved) == 1:
		j.v.Attribution = fmt.Sprintf("one backend moved: %s", order[0])
	default:
		j.v.Attribution = fmt.Sprintf("%d of %d backends moved: %s", len(moved), len(all), some(order))
	}
}

// some joins the first names of a list.
func some(names []string) string {
	const most = 5
	text := ""
	for i, n := range names {
		if i == most {
			return text + fmt.Sprintf(" and %d more", len(names)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += n
	}
	return text
}

// percent writes a ratio as a change.
func percent(ratio float64) string { return fmt.Sprintf("%.3g %%", 100*(ratio-1)) }
