package reports

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/reports/plots"
)

// GateTable writes a gate's record for a terminal: a row for each cell that is not simply clear, the worst first, then the
// controls, the warnings and the verdict with its reasons, which is the last thing on the screen.
func GateTable(w io.Writer, r *gate.Record, opt TableOptions) error {
	if opt.Width == 0 {
		opt.Width = 100
	}
	r = gateRecord(r)
	t := &gateTable{table: table{opt: opt}, v: r.Verdict}
	t.cells()
	t.controls()
	for _, warning := range t.v.Warnings {
		t.wrapped("warning: "+warning, "  ")
	}
	t.verdict()
	_, err := io.WriteString(w, inertLines(t.out.String()))
	return err
}

// inertLines keeps what a record quotes from becoming a command of the runner of GitHub Actions, which looks for :: at the start
// of a line and for ##[ anywhere in it.
func inertLines(s string) string {
	return commandStart.ReplaceAllString(strings.ReplaceAll(s, "##[", "## ["), "$1: :")
}

var commandStart = regexp.MustCompile(`(?m)^(\s*)::`)

type gateTable struct {
	table
	v *gate.Verdict
}

// classColors are the ANSI colours of the classes of states.
var classColors = map[string]int{"pass": 32, "explained": 36, "warn": 33, "fail": 31}

// gateColumns are the numbers at the right, with their headings.
var gateColumns = []struct {
	heading string
	width   int
	of      func(estimateText) string
}{
	{"change", 9, func(t estimateText) string { return t.Change }},
	{"interval", 18, func(t estimateText) string { return t.Interval }},
	{"p", 8, func(t estimateText) string { return t.P }},
	{"base ms", 8, func(t estimateText) string { return t.Base }},
	{"head ms", 8, func(t estimateText) string { return t.Head }},
}

func numbersWidth() int {
	n := 0
	for _, c := range gateColumns {
		n += 1 + c.width
	}
	return n
}

func numberColumns(t estimateText) string {
	var s strings.Builder
	for _, c := range gateColumns {
		s.WriteString(" " + padLeft(c.of(t), c.width))
	}
	return s.String()
}

func padLeft(s string, n int) string { return strings.Repeat(" ", max(n-widest(s), 0)) + s }

// cells writes the rows: in one line where the name fits beside the numbers, else in two.
func (t *gateTable) cells() {
	var rows []gate.Cell
	clear := 0
	for _, c := range t.v.Worst() {
		if c.State == gate.CellClear {
			clear++
		} else {
			rows = append(rows, c)
		}
	}
	names := make([]string, len(rows))
	for i, c := range rows {
		names[i] = plots.Shorten(c.Name, max(t.opt.Width-2, 20))
	}
	width := widest(append(names, "cell")...)
	oneLine := 2+width+numbersWidth() <= t.opt.Width
	if len(rows) > 0 {
		heading := estimateText{Change: "change", Interval: "interval", P: "p", Base: "base ms", Head: "head ms"}
		if oneLine {
			t.line("  " + pad("cell", width) + numberColumns(heading))
		} else {
			t.line("  cell")
			t.line("  " + numberColumns(heading))
		}
	}
	for i, c := range rows {
		numbers := numberColumns(textOf(c.Final()))
		symbol := t.paint(classColors[cellClass(c.State)], cellSymbol(c.State))
		if oneLine {
			t.line(symbol + " " + pad(names[i], width) + numbers)
		} else {
			t.line(symbol + " " + names[i])
			if c.Final() != nil {
				t.line("  " + numbers)
			}
		}
		t.wrapped(stateAndNote(c), "    ")
		for _, line := range otherSeries(c) {
			t.wrapped(line, "    ")
		}
	}
	if clear > 0 && len(rows) > 0 {
		t.line(fmt.Sprintf("%s and %s clear", t.paint(32, "✓"), moreCells(clear)))
	}
}

func stateAndNote(c gate.Cell) string {
	s := string(c.State)
	if c.Note != "" {
		s += ": " + plots.Shorten(c.Note, 400)
	}
	return s
}

func moreCells(n int) string {
	if n == 1 {
		return "1 more cell is"
	}
	return fmt.Sprintf("%d more cells are", n)
}

// controls says in a line that all are quiet, or names those that are not.
func (t *gateTable) controls() {
	quiet := 0
	for _, c := range t.v.Controls {
		if !c.Fired {
			quiet++
			continue
		}
		e := textOf(c.Estimate)
		t.wrapped(fmt.Sprintf("control fired: %s moved by %s (%s, p %s)", plots.Shorten(c.Name, 160), e.Change, e.Interval, e.P), "  ")
	}
	if quiet > 0 {
		t.line(fmt.Sprintf("%d of %s quiet", quiet, counted(len(t.v.Controls), "control")))
	}
}

func (t *gateTable) verdict() {
	if t.out.Len() > 0 {
		t.line("")
	}
	t.line(fmt.Sprintf("%s  %s", t.paint(classColors[outcomeClass(t.v.Outcome)], outcomeWord(t.v.Outcome)), gateTally(t.v)))
	for _, reason := range t.v.Reasons {
		t.wrapped(reason, "  ")
	}
	if t.v.Attribution != "" {
		t.wrapped(t.v.Attribution, "  ")
	}
	if text := power(t.v); text != "" {
		t.wrapped(text, "  ")
	}
}

// wrapped writes text in lines no wider than the terminal; the lines after the first are indented too.
func (t *gateTable) wrapped(text, indent string) {
	for _, l := range wrap(text, t.opt.Width-len(indent)) {
		t.line(indent + l)
	}
}
