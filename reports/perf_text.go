package reports

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/gate"
)

// none stands for a number that does not exist.
const none = "–"

// milliseconds renders a duration with three significant digits, trailing zeros included.
func milliseconds(ms float64) string {
	switch {
	case !(ms > 0) || math.IsInf(ms, 0):
		return none
	case ms >= 1e6 || ms < 1e-4:
		return fmt.Sprintf("%.2e", ms)
	}
	return strconv.FormatFloat(ms, 'f', max(2-int(math.Floor(math.Log10(ms))), 0), 64)
}

// change renders a ratio of times as a signed percentage: +22.4 %.
func change(ratio float64) string {
	if !(ratio > 0) || math.IsInf(ratio, 0) {
		return none
	}
	s := fmt.Sprintf("%+.1f %%", 100*(ratio-1))
	if s == "-0.0 %" || s == "+0.0 %" {
		return "0.0 %"
	}
	return strings.Replace(s, "-", "−", 1)
}

// changes renders the interval of an estimate: −0.4 to +3.1 %.
func changes(e *gate.Estimate) string {
	if e == nil || change(e.Low) == none || change(e.High) == none {
		return none
	}
	return strings.TrimSuffix(change(e.Low), " %") + " to " + change(e.High)
}

// probability renders a p with two significant digits.
func probability(p float64) string {
	if !(p >= 0 && p <= 1) {
		return none
	}
	return fmt.Sprintf("%.2g", p)
}

// estimateText is what a row shows of an estimate.
type estimateText struct{ Change, Interval, P, Base, Head, Blocks string }

func textOf(e *gate.Estimate) estimateText {
	if e == nil {
		return estimateText{none, none, none, none, none, none}
	}
	blocks := strconv.Itoa(e.Blocks)
	if e.Dropped > 0 {
		blocks += fmt.Sprintf(" (%d dropped)", e.Dropped)
	}
	return estimateText{change(e.Ratio), changes(e), probability(e.P), milliseconds(e.Base), milliseconds(e.Head), blocks}
}

// parityText says how a cell's parity ended.
func parityText(p perf.Parity) string {
	if p.State == "" {
		return none
	}
	if p.MaxAbs > 0 {
		return fmt.Sprintf("%s, max abs %.1e", p.State, p.MaxAbs)
	}
	return string(p.State)
}

// gateRecord returns a clean copy that every report of a gate is made of; parts that are not there are empty.
func gateRecord(r *gate.Record) *gate.Record {
	if r == nil {
		r = &gate.Record{}
	}
	bare := *r
	bare.Screen, bare.Confirm = nil, nil // pictures read the measurements of the record itself
	bare = clean(bare)
	if bare.Verdict == nil {
		bare.Verdict = &gate.Verdict{Outcome: "no verdict", Reasons: []string{"the record holds no verdict: the gate did not finish"}}
	}
	for i := range bare.Verdict.Cells {
		c := &bare.Verdict.Cells[i]
		c.Name = cmp.Or(c.Name, clean(c.Cell.String()))
	}
	return &bare
}

// outcomeWord is the verdict in words.
func outcomeWord(o gate.Outcome) string {
	switch o {
	case gate.ParityFailed:
		return "PARITY FAILED"
	case gate.QualityLost:
		return "QUALITY LOST"
	case gate.NoBaseline:
		return "NO BASELINE"
	case gate.Unavailable:
		return "NOTHING MEASURED"
	}
	return strings.ToUpper(string(o))
}

// outcomeClass is the colour of a verdict: pass, fail or warn.
func outcomeClass(o gate.Outcome) string {
	switch o {
	case gate.Pass:
		return "pass"
	case gate.Inconclusive, gate.NoBaseline, gate.Unavailable:
		return "warn"
	}
	return "fail"
}

// power says above what slowdown a run finds what is slower, over its cells; "" where nothing was compared.
func power(v *gate.Verdict) string {
	least := math.Inf(1)
	for _, c := range v.Cells {
		if c.Resolution > 0 {
			least = min(least, c.Resolution)
		}
	}
	switch most := v.Resolution; {
	case math.IsInf(least, 1):
		return ""
	case least < most:
		return fmt.Sprintf("slowdowns of more than %.3g %% to %.3g %%, by cell, are found 19 times in 20; smaller ones can be missed", 100*least, 100*most)
	default:
		return fmt.Sprintf("slowdowns of more than %.3g %% are found 19 times in 20; smaller ones can be missed", 100*most)
	}
}

// missed is the slowdown of a cell up to which one can be missed, in a column.
func missed(c gate.Cell) string {
	if !(c.Resolution > 0) {
		return none
	}
	return milliseconds(100*c.Resolution) + " %" // of three digits too
}

// otherSeries are what a cell finds in a data set, and the metrics beside its time, and its steps, that are not clear, with what is to be said of each.
func otherSeries(c gate.Cell) (lines []string) {
	lines = qualityLines(c)
	for _, s := range c.Series {
		if e := s.Final(); s.Metric != gate.Time && s.State != gate.CellClear && e != nil {
			lines = append(lines, fmt.Sprintf("%s: %s, %s → %s (p %s)", s.Metric.Words(), s.State, s.Metric.Amount(e.Base), s.Metric.Amount(e.Head), probability(e.P)))
		}
	}
	if c.Steps == nil {
		return lines
	}
	for _, s := range c.Steps.Series {
		if e := s.Final(); e != nil {
			lines = append(lines, fmt.Sprintf("step %s: %s, %s → %s (p %s)", s.Step, s.State, gate.Step.Amount(e.Base), gate.Step.Amount(e.Head), probability(e.P)))
		}
	}
	return append(lines, stepsText(c.Steps))
}

// stepsText says how many steps were compared, and what could have been missed in them.
func stepsText(s *gate.Steps) string {
	text := "steps: none compared, " + s.Note
	if s.Compared > 0 {
		text = fmt.Sprintf("steps: %d compared; half of them could hide up to %.3g %%, the noisiest up to %.3g %%", s.Compared, 100*s.Resolution, 100*s.Noisiest)
	}
	if len(s.Changed) > 0 {
		text += fmt.Sprintf("; %d are not the same in both builds", len(s.Changed))
	}
	return text
}

// changeText says how a cell's head compares with its base.
func changeText(c gate.Cell) string {
	if c.Change == nil {
		return none
	}
	return parityText(*c.Change)
}

// cellClass is the colour of a cell's state: pass, fail, warn or explained.
func cellClass(s gate.CellState) string {
	switch s {
	case gate.CellClear, gate.CellCleared:
		return "pass"
	case gate.CellFaster:
		return "explained"
	case gate.CellUnverified, gate.CellNoisy, gate.CellUnconfirmed, gate.CellUnsupported:
		return "warn"
	}
	return "fail"
}

// cellSymbol tells states apart without colour.
func cellSymbol(s gate.CellState) string {
	switch s {
	case gate.CellClear, gate.CellCleared:
		return "✓"
	case gate.CellFaster:
		return "↑"
	case gate.CellRegressed:
		return "↓"
	case gate.CellUnverified, gate.CellNoisy, gate.CellUnconfirmed:
		return "?"
	case gate.CellUnsupported:
		return "–"
	case gate.CellBroken:
		return "!"
	}
	return "✗"
}

// gateTally counts the cells by state, worst first: "40 cells: 2 regression, 38 clear".
func gateTally(v *gate.Verdict) string {
	count := map[gate.CellState]int{}
	for _, c := range v.Cells {
		count[c.State]++
	}
	var parts []string
	for _, s := range gate.CellStates {
		if count[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[s], s))
		}
		delete(count, s)
	}
	for _, s := range slices.Sorted(maps.Keys(count)) {
		parts = append(parts, fmt.Sprintf("%d %s", count[s], s))
	}
	if len(parts) == 0 {
		return "no cells"
	}
	return counted(len(v.Cells), "cell") + ": " + strings.Join(parts, ", ")
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "s") {
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
