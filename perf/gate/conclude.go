package gate

import (
	"fmt"
	"slices"
	"strings"

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
	Pass: exit.OK, Regression: exit.Failed, ParityFailed: exit.Failed, QualityLost: exit.Failed, Inconclusive: exit.Inconclusive, NoBaseline: exit.NoBaseline,
	Unavailable: exit.Unavailable, Broken: exit.Internal,
}

// conclude takes the first of the outcomes that applies. Parity and quality come first: they do not depend on the machine's noise. A control that fired, or
// that is missing, voids every statement about speed, and none about what the head lost or what died.
func (j *judge) conclude() {
	fired := slices.DeleteFunc(slices.Clone(j.v.Controls), func(c Control) bool { return !c.Fired })
	absent := slices.DeleteFunc(slices.Clone(j.v.Controls), func(c Control) bool { return c.Estimate != nil })
	wrong, slow, broken, unverified := j.in(CellParityFailed), j.in(CellRegressed), j.in(CellBroken), j.in(CellUnverified)
	noisy, passed, without := j.in(CellNoisy), j.overtaken(), j.without()
	for _, c := range j.v.Cells {
		j.v.Resolution = max(j.v.Resolution, c.Resolution)
	}
	switch {
	case len(wrong) > 0:
		j.end(ParityFailed, "%s", j.why(CellParityFailed))
	case len(j.in(CellQualityLost)) > 0:
		j.end(QualityLost, "%s", j.lost())
	case len(fired) > 0 && len(broken) == 0:
		j.end(Inconclusive, "%s", moved(fired[0]))
	case len(slow) > 0 && len(absent) == 0 && len(fired) == 0:
		j.end(Regression, "%s", j.grown())
	case len(broken) > 0:
		j.end(Broken, "%s: crashed, hung or could not be measured", some(broken))
	case len(absent) > 0:
		j.end(Inconclusive, "the control %s is missing: nothing shows that the machine was quiet", absent[0].Name)
	case len(unverified) > 0:
		j.end(Inconclusive, "%s", j.why(CellUnverified))
	case len(noisy) > 0:
		j.end(Inconclusive, "%s", j.undecided(noisy))
	case len(passed) > 0:
		j.end(Inconclusive, "%s: greater by δ or more on the screen, and not confirmed for worse ones; more --max-confirm would tell", some(passed))
	case len(j.measured()) == 0:
		j.end(Unavailable, "nothing could be measured here")
	case len(without) > 0:
		j.end(Unavailable, "no cell of %s could be compared", some(without))
	case j.rec.hidden() != "":
		j.end(Inconclusive, "%s", j.rec.hidden())
	default:
		j.end(Pass, "no cell is slower by %s or more; a slowdown of up to %s could have been missed%s%s", j.deltas(), percent(1+j.v.Resolution), j.stepsMissed(), j.qualityKept())
	}
	j.more(fired)
	j.accepted()
	j.attribute(slow, len(fired) > 0)
}

// stepsMissed says how many steps were compared, and what could have been missed in them; "" where none was.
func (j *judge) stepsMissed() string {
	compared, worst := 0, 0.0
	for _, c := range j.v.Cells {
		if c.Steps != nil {
			compared += c.Steps.Compared
			worst = max(worst, c.Steps.Resolution)
		}
	}
	if compared == 0 {
		return ""
	}
	return fmt.Sprintf("; nor is any of %d steps, of which half could hide up to %s", compared, percent(1+worst))
}

// measured lists the cells that were compared.
func (j *judge) measured() (names []string) {
	for _, c := range j.v.Cells {
		if c.Final() != nil {
			names = append(names, c.Name)
		}
	}
	return names
}

// without lists what was asked for by name and has no cell that was compared.
func (j *judge) without() []string {
	return slices.DeleteFunc(slices.Clone(j.rec.Named), func(name string) bool {
		return slices.ContainsFunc(j.v.Cells, func(c Cell) bool {
			return c.Final() != nil && (c.Cell.Backend == name || string(c.Cell.Precision) == name)
		})
	})
}

// overtaken lists the cells that a screen put beyond δ and that were not confirmed.
func (j *judge) overtaken() (names []string) {
	for _, c := range j.v.Cells {
		limits := j.rec.target(c.Cell).Limits
		if slices.ContainsFunc(c.Series, func(s Series) bool {
			return s.State == CellUnconfirmed && limits.Of(s.Metric).reached(s.Screen.Values)
		}) || c.Steps.overtaken(limits.Step) {
			names = append(names, c.Name)
		}
	}
	return names
}

// overtaken tells whether the screen put a step beyond δ that was not confirmed.
func (s *Steps) overtaken(l Limit) bool {
	return s != nil && slices.ContainsFunc(s.Series, func(s StepSeries) bool { return s.State == CellUnconfirmed && l.reached(s.Screen.Values) })
}

// deltas writes δ of the time, of each kind of machine that a cell ran on.
func (j *judge) deltas() string {
	var list []string
	for _, c := range j.v.Cells {
		if d := percent(1 + j.rec.target(c.Cell).Limits.Time.Delta); c.Final() != nil && !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	return strings.Join(list, " or ")
}

// grown says in what cells have regressed, a clause for each metric. A run from end to end holds its execution: what that has lost is
// said once.
func (j *judge) grown() string {
	var clauses []string
	for _, k := range Metrics {
		var names []string
		var limit Limit
		for _, c := range j.v.Cells {
			if s := c.Of(k); s != nil && s.State == CellRegressed && !(k == EndToEnd && c.Of(Time).State == CellRegressed) {
				names, limit = append(names, c.Name), j.rec.target(c.Cell).Limits.Of(k)
			}
		}
		switch {
		case len(names) == 0:
		case k == Time:
			clauses = append(clauses, fmt.Sprintf("%s: slower by %s or more", some(names), limit.Text(k)))
		default:
			clauses = append(clauses, fmt.Sprintf("%s: %s greater by %s or more", some(names), k.Words(), limit.Text(k)))
		}
	}
	for _, c := range j.v.Cells {
		if c.Steps == nil || c.faster() {
			continue
		}
		for _, s := range c.Steps.Series {
			if s.State == CellRegressed {
				clauses = append(clauses, fmt.Sprintf("%s: step %s %s", c.Name, s.Step, s.Growth()))
			}
		}
	}
	if len(clauses) > mostClauses {
		clauses = append(clauses[:mostClauses:mostClauses], fmt.Sprintf("and %d more", len(clauses)-mostClauses))
	}
	return fmt.Sprintf("%s, confirmed in %d fresh blocks", strings.Join(clauses, "; "), j.p.ConfirmBlocks)
}

// mostClauses is how many things that grew a sentence tells.
const mostClauses = 12

// why names the cells of a state, and what its first one says.
func (j *judge) why(state CellState) string {
	names := j.in(state)
	word := "parity fails"
	if state == CellUnverified {
		word = "parity is not verified"
	}
	for _, c := range j.v.Cells {
		if c.State == state {
			return fmt.Sprintf("%s: %s, so speed does not count (%s)", some(names), word, c.Note)
		}
	}
	return ""
}

// undecided names the cells that nothing can be said of, and what the first one says.
func (j *judge) undecided(names []string) string {
	at := slices.IndexFunc(j.v.Cells, func(c Cell) bool { return c.State == CellNoisy })
	return fmt.Sprintf("%s: undecided (%s)", some(names), j.v.Cells[at].Note)
}

func (j *judge) end(o Outcome, format string, args ...any) {
	j.v.Outcome, j.v.ExitCode = o, exitCodes[o]
	j.v.Reasons = append(j.v.Reasons, fmt.Sprintf(format, args...))
}

// more adds what else is to be said, below the reason for the outcome.
func (j *judge) more(fired []Control) {
	add := func(applies bool, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); applies && !slices.Contains(j.v.Reasons, text) {
			j.v.Reasons = append(j.v.Reasons, text)
		}
	}
	if len(fired) > 0 {
		add(true, "%s", moved(fired[0]))
	}
	if len(j.in(CellRegressed)) > 0 {
		add(true, "%s", j.grown())
	}
	if noisy := j.in(CellNoisy); len(noisy) > 0 {
		add(true, "%s", j.undecided(noisy))
	}
	for _, list := range []struct {
		names []string
		what  string
	}{
		{j.in(CellBroken), "crashed, hung or could not be measured"}, {j.in(CellUnconfirmed), "greater on the screen, unconfirmed"}, {j.in(CellUnsupported), "not supported here"},
	} {
		add(len(list.names) > 0, "%s: %s", some(list.names), list.what)
	}
	hidden, faults := j.rec.hidden(), j.rec.faults(&j.rec.Head)
	add(hidden != "", "%s", hidden)
	add(hidden == "" && faults != "", "the workers of the head had faults injected (%s)", faults)
}

// accepted says what the head computes differently by permission, as a warning and in the sentence of the outcome.
func (j *judge) accepted() {
	var names []string
	for _, c := range j.v.Cells {
		if c.Change != nil && !c.Change.Holds() {
			names = append(names, c.Name)
		}
	}
	switch {
	case j.rec.Accepted == "":
	case len(names) == 0:
		j.v.Warnings = append(j.v.Warnings, fmt.Sprintf("a change of what the head computes was accepted (%s), and there is none", j.rec.Accepted))
	default:
		j.v.Warnings = append(j.v.Warnings, fmt.Sprintf("%s: the head computes something else than the base, accepted: %s", some(names), j.rec.Accepted))
		j.v.Reasons[0] += fmt.Sprintf("; %s computes something else than the base, let through by --accept-change (%s)", some(names), j.rec.Accepted)
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
		if c.Final() != nil {
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
