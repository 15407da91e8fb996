package reports

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/sweep"
)

// SweepTable writes a sweep for a terminal: a row for each cell with the latency and throughput of its execution, the median of whole runs
// with their transfers, start-up and memory, with the reason below it where it does not count; then the verdict. Times are the host's, but for the
// column of the device, which is there where any cell has one. Rows are as wide as they are; reasons are wrapped.
func SweepTable(w io.Writer, r *sweep.Result, opt TableOptions) error {
	opt.Width = cmp.Or(opt.Width, 100)
	r = sweepResult(r)
	var columns []sweepColumn
	for _, c := range sweepColumns(r) {
		if c.when == nil || slices.ContainsFunc(r.Cells, c.when) {
			columns = append(columns, c)
		}
	}
	rows := [][]string{nil}
	for _, c := range columns {
		rows[0] = append(rows[0], c.heading)
	}
	for _, c := range r.Cells {
		var row []string
		for _, column := range columns {
			row = append(row, column.of(c))
		}
		rows = append(rows, row)
	}
	t := table{opt: opt}
	for i, line := range aligned(rows) {
		if i == 0 {
			t.line("  " + line)
			continue
		}
		v := judgeSweepCell(r.Cells[i-1])
		t.line(t.paint(sweepColors[v.Class], sweepSymbols[v.Class]) + " " + line)
		if v.Class == "pass" {
			continue
		}
		for _, reason := range wrap(v.Word+": "+cmp.Or(v.Why, "no reason given"), opt.Width-4) {
			t.line("    " + reason)
		}
	}
	if p := r.Plan.Quality; p != nil {
		t.line(fmt.Sprintf("AP of boxes on %s; points are against the reference in fp32, with %g %% intervals", dataSetText(p), 100*p.Policy.Confidence))
	}
	word, class, tally := sweepOutcome(r)
	t.line(t.paint(sweepColors[class], word) + "  " + tally)
	_, err := io.WriteString(w, inertLines(t.out.String()))
	return err
}

// sweepColors are the ANSI colours of the classes of cells and outcomes.
var sweepColors = map[string]int{"pass": 32, "fail": 31, "error": 31, "unverified": 33, "skipped": 33, "warn": 33}

// sweepColumn is what a table of a sweep tells of every cell.
type sweepColumn struct {
	heading string
	of      func(sweep.CellResult) string
	when    func(sweep.CellResult) bool // tells of a cell whether it needs the column; nil: always there
}

func sweepColumns(r *sweep.Result) []sweepColumn {
	time := func(of func(*perf.Summary) float64) func(sweep.CellResult) string {
		return func(c sweep.CellResult) string { return milliseconds(of(cmp.Or(c.Summary, &perf.Summary{}))) }
	}
	evaluated := func(sweep.CellResult) bool { return r.Plan.Quality != nil }
	return []sweepColumn{
		{"cell", func(c sweep.CellResult) string { return c.Name }, nil},
		{"p50 ms", time(func(s *perf.Summary) float64 { return s.P50 }), nil},
		{"device ms", func(c sweep.CellResult) string { return milliseconds(cmp.Or(c.Device, &perf.Summary{}).P50) }, func(c sweep.CellResult) bool { return c.Device != nil }},
		{"p95 ms", time(func(s *perf.Summary) float64 { return s.P95 }), nil},
		{"spread", func(c sweep.CellResult) string {
			if c.Summary == nil {
				return none
			}
			return c.Summary.SpreadText(1)
		}, nil},
		{throughputUnit(r) + "/s", time(func(s *perf.Summary) float64 { return s.Throughput }), nil},
		{"end to end ms", func(c sweep.CellResult) string { return milliseconds(cmp.Or(c.EndToEnd, &perf.Summary{}).P50) }, nil},
		{"first ms", func(c sweep.CellResult) string { return milliseconds(c.FirstRunMS) }, nil},
		{"compile ms", func(c sweep.CellResult) string { return milliseconds(c.CompileMS) }, nil},
		{"peak MiB", func(c sweep.CellResult) string {
			if c.HostPeakBytes == 0 {
				return none
			}
			return fmt.Sprintf("%.0f", float64(c.HostPeakBytes)/(1<<20))
		}, nil},
		{"AP", func(c sweep.CellResult) string { return qualityOfCell(c).AP }, evaluated},
		{"points against fp32", func(c sweep.CellResult) string { return cmp.Or(qualityOfCell(c).Points, none) }, evaluated},
		{"parity", parityWord, nil},
	}
}

// aligned sets rows, the first of which has the headings, with the first and the last column to the left and numbers to the right.
func aligned(rows [][]string) []string {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, text := range row {
			width[i] = max(width[i], widest(text))
		}
	}
	var lines []string
	for _, row := range rows {
		line := pad(row[0], width[0])
		for i := 1; i < len(row)-1; i++ {
			line += "  " + padLeft(row[i], width[i])
		}
		lines = append(lines, line+"  "+row[len(row)-1])
	}
	return lines
}

// throughputUnit is the unit of the cells, which are all of one kind of model.
func throughputUnit(r *sweep.Result) string {
	var first perf.Cell
	if len(r.Cells) > 0 {
		first = r.Cells[0].Cell
	}
	return first.Unit()
}

// parityWord is a cell's parity, with the largest error of any output.
func parityWord(c sweep.CellResult) string {
	switch state := cmp.Or(string(c.Parity.State), string(evidence.NotRun)); {
	case c.Parity.MaxAbs > 0:
		return fmt.Sprintf("%s %.1e", state, c.Parity.MaxAbs)
	case c.Parity.Holds():
		return state + " 0"
	default:
		return state
	}
}
