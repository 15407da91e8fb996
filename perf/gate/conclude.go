package gate

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/internal/exit"
)

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
		j.end(Inconclusive, "%s", moved(fired[0]))
	case len(slow) > 0:
		j.end(Regression, "%s: slower by %s or more, confirmed in %d fresh blocks", some(slow), percent(1+j.p.Delta), j.p.ConfirmBlocks)
	case len(broken) > 0:
		j.end(Broken, "%s: crashed, hung or could not be measured", some(broken))
	case len(noisy) > 0:
		j.end(Inconclusive, "%s: too noisy to tell", some(noisy))
	case measured == 0:
		j.end(Unavailable, "nothing could be measured here")
	case j.v.Resolution > j.p.MaxResolution:
		j.end(Inconclusive, "the machine is too noisy: a slowdown of %s could be missed, and %s has to be found", percent(1+j.v.Resolution), percent(1+j.p.MaxResolution))
	default:
		j.end(Pass, "no cell is slower by %s or more", percent(1+j.p.Delta))
	}
	j.more(slow, broken, noisy, fired)
	j.attribute(slow, len(fired) > 0)
}

func (j *judge) end(o Outcome, format string, args ...any) {
	j.v.Outcome, j.v.ExitCode = o, exitCodes[o]
	j.v.Reasons = append(j.v.Reasons, fmt.Sprintf(format, args...))
}

// more adds what else is to be said, below the reason for the outcome.
func (j *judge) more(slow, broken, noisy []string, fired []Control) {
	add := func(applies bool, format string, args ...any) {
		if applies {
			j.v.Reasons = append(j.v.Reasons, fmt.Sprintf(format, args...))
		}
	}
	o := j.v.Outcome
	if len(fired) > 0 {
		add(o != Inconclusive, "%s", moved(fired[0]))
	}
	add(len(slow) > 0 && o != Regression, "%s: slower, confirmed", some(slow))
	add(len(broken) > 0 && o != Broken, "%s: crashed, hung or could not be measured", some(broken))
	add(len(noisy) > 0 && (o != Inconclusive || len(fired) > 0), "%s: too noisy to tell", some(noisy))
	if rest := j.in(CellUnconfirmed); len(rest) > 0 {
		add(true, "%s: slower on the screen, unconfirmed", some(rest))
	}
	if none := j.in(CellUnsupported); len(none) > 0 {
		add(true, "%s: not supported here", some(none))
	}
}

// moved says what a control that fired did.
func moved(c Control) string {
	return fmt.Sprintf("%s moved by %s although nothing changed there: the machine moved", c.Name, percent(c.Estimate.Ratio))
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
