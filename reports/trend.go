package reports

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/perf/trend"
)

// TrendTable writes a history for a terminal. For every class of machines there is a row per metric with its first and last value,
// the last against the last release (of times) and its change points; then one line for each change point, how many would be found
// by chance, every run that was removed or marked with the reason, what is odd about runs, and what the ratchet says. Rows are never
// cut: a terminal wraps them.
func TrendTable(w io.Writer, report *trend.Report, opt TableOptions) error {
	report = clean(report)
	t := &table{opt: opt}
	for i := range report.Classes {
		if i > 0 {
			t.out.WriteString("\n")
		}
		t.trendClass(&report.Classes[i])
	}
	if len(report.Classes) == 0 {
		t.out.WriteString("no run in the history fits\n")
	}
	_, err := io.WriteString(w, t.out.String())
	return err
}

func (t *table) trendClass(c *trend.Class) {
	last := &c.Runs[len(c.Runs)-1]
	fmt.Fprintf(&t.out, "%s (%s): %s, the last of %s, dated %s\n", c.ID, c.Kind, howMany(len(c.Runs), "run"), last.Name(), last.When.Format("2006-01-02"))
	rows := [][]string{{"metric", "unit", "runs", "first", "last", "release", "changes"}}
	for i := range c.Series {
		s := &c.Series[i]
		rows = append(rows, []string{s.Metric, string(s.Unit), strconv.Itoa(len(s.Values)), fourDigits(s.Values[0]), fourDigits(s.Values[len(s.Values)-1]),
			againstRelease(c, s.Metric), strconv.Itoa(len(s.Changes))})
	}
	t.aligned(rows)
	tested, found := 0, 0
	for i := range c.Series {
		if len(c.Series[i].Values) >= 2*trend.MinSegment {
			tested++
		}
		for _, change := range c.Series[i].Changes {
			t.out.WriteString(t.paint(33, "change") + " " + ChangeText(&c.Series[i], change) + "\n")
			found++
		}
	}
	if found > 0 { // each series has a test of its own
		fmt.Fprintf(&t.out, "%s tested at p ≤ %g each: chance alone divides about %.2g\n", howMany(tested, "metric"), trend.Significance, trend.Significance*float64(tested))
	}
	t.remarks(c)
	for i := range c.Ratchets {
		t.ratchet(&c.Ratchets[i])
	}
	if len(c.Ratchets) == 0 {
		fmt.Fprintf(&t.out, "%s  every run was removed\n", t.paint(33, "ratchet"))
	}
}

// remarks writes what people said of runs, and what is odd about them.
func (t *table) remarks(c *trend.Class) {
	for i := range c.Runs {
		r := &c.Runs[i]
		line := func(color int, word, text string) {
			fmt.Fprintf(&t.out, "%s %s (%s): %s\n", t.paint(color, word), r.ID(), r.Name(), text)
		}
		if r.Removed != "" {
			line(33, "removed", r.Removed)
		}
		if r.Marked != "" {
			line(36, "marked", r.Marked)
		}
		for _, w := range r.Warnings() {
			line(33, "warning", w)
		}
	}
}

// aligned writes rows in columns: text to the left, numbers to the right.
func (t *table) aligned(rows [][]string) {
	const textColumns = 2
	for _, row := range rows {
		var line strings.Builder
		for j, cell := range row {
			width := 0
			for _, other := range rows {
				width = max(width, widest(other[j]))
			}
			gap := strings.Repeat(" ", width-widest(cell))
			if j < textColumns {
				line.WriteString(cell + gap + "  ")
			} else {
				line.WriteString(gap + cell + "  ")
			}
		}
		t.out.WriteString("  " + strings.TrimRight(line.String(), " ") + "\n")
	}
}

// againstRelease is the newest value over the release's, as a percentage, where the ratchet compares the metric.
func againstRelease(c *trend.Class, metric string) string {
	for _, r := range c.Ratchets {
		i := slices.IndexFunc(r.Checks, func(check trend.Check) bool { return check.Metric == metric })
		switch {
		case i < 0:
		case r.Checks[i].Ratio == nil:
			return "missing"
		default:
			return signedPercent(*r.Checks[i].Ratio)
		}
	}
	return "-"
}

// ChangeText describes a change point in a line: what changed by how much, in which range of commits, how certain.
func ChangeText(s *trend.Series, c trend.Change) string {
	at := slices.IndexFunc(s.Segments, func(g trend.Segment) bool { return g.Start == c.Index })
	before, after := s.Segments[at-1], s.Segments[at]
	text := fmt.Sprintf("%s %s in %s..%s: %s ± %s → %s ± %s %s (p %s)", s.Metric, signedPercent(c.Ratio), c.Before, c.After,
		fourDigits(before.Mean), twoDigits(c.SDBefore), fourDigits(after.Mean), twoDigits(c.SDAfter), s.Unit, twoDigits(c.P))
	if c.Software != "" {
		text += "; software too: " + c.Software
	}
	return text
}

// ratchet writes the checks that did not pass and the verdict.
func (t *table) ratchet(r *trend.Ratchet) {
	if r.State == trend.RatchetNoRelease {
		fmt.Fprintf(&t.out, "%s  no release before the newest %s (name one with apexx trend add --release TAG)\n", t.paint(33, "ratchet"), r.Source)
		return
	}
	passed := 0
	for _, c := range r.Checks {
		switch {
		case c.State == trend.RatchetPassed:
			passed++
		case c.Newest == nil:
			fmt.Fprintf(&t.out, "%s %s: %s ms in %s, not measured at the newest commit\n", t.paint(31, string(c.State)), c.Metric, fourDigits(c.Release), r.Release)
		default:
			noise := "unknown"
			if c.Noise != nil {
				noise = strconv.FormatFloat(100**c.Noise, 'f', 1, 64) + " %"
			}
			fmt.Fprintf(&t.out, "%s %s: %s ms, %s against %s; at most %s ms allowed (δ %g %%, noise %s)\n", t.paint(31, string(c.State)),
				c.Metric, fourDigits(*c.Newest), signedPercent(*c.Ratio), r.Release, fourDigits(c.Allowed), 100*r.Delta, noise)
		}
	}
	color := 31
	if r.State == trend.RatchetPassed {
		color = 32
	}
	fmt.Fprintf(&t.out, "%s  ratchet of %ss against %s: %d of %s hold\n", t.paint(color, string(r.State)), r.Source, r.Release, passed, howMany(len(r.Checks), "time"))
}

// fourDigits shows four significant digits.
func fourDigits(v float64) string {
	if v >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// twoDigits shows a standard deviation or a p.
func twoDigits(v float64) string { return strconv.FormatFloat(v, 'g', 2, 64) }

// signedPercent shows a ratio as a signed percentage.
func signedPercent(ratio float64) string { return fmt.Sprintf("%+.1f %%", 100*(ratio-1)) }

func howMany(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
