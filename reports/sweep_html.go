package reports

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/reports/plots"
)

//go:embed sweep.html
var sweepHTML string

var sweepPage = template.Must(template.Must(perfPage.Clone()).Parse(sweepHTML))

type sweepPageData struct {
	perfHead
	Unit              string // of the throughput
	Devices           bool   // some cells have times by a device's clock
	Problems          []string
	Groups            []sweepGroup
	Plots             []template.HTML
	Evaluated         string // on what; "" where on nothing
	Confidence        string // of the intervals of what was evaluated
	Plan, Environment []backends.Fact
}

// sweepGroup is the rows of one profile and scope.
type sweepGroup struct {
	Name string
	Rows []sweepRow
}

// sweepRow is one cell in words.
type sweepRow struct {
	Name, Full, Symbol                                                                string
	Verdict                                                                           sweepVerdict
	P50, P90, P95, P99, P99Why, Device, EndToEnd, Throughput, Spread, Samples         string
	FirstRun, Compile, HostPeak, DevicePeak, Allocs, Bytes, Tiles, Candidates, Parity string
	Budgets                                                                           []string
	Quality                                                                           qualityText
}

const mostProblems = 10

// SweepHTML writes a sweep as one self-contained page: what went wrong first, then every cell, grouped by profile and scope,
// pictures and environment. It runs no script and asks nothing of the network.
func SweepHTML(w io.Writer, r *sweep.Result) error {
	pictures := inline(sweepFigures(r))
	r = sweepResult(r)
	word, class, tally := sweepOutcome(r)
	p := sweepPageData{
		perfHead: perfHead{template.CSS(pageCSS + perfCSS), "sweep", "Sweep of " + sweepSubject(r), word, class, tally},
		Unit:     throughputUnit(r), Problems: sweepProblems(r), Groups: sweepGroups(r), Plots: pictures, Plan: planFacts(r), Environment: environmentFacts(r.Environment, r.Class),
	}
	if r.Plan.Quality != nil {
		p.Evaluated, p.Confidence = dataSetText(r.Plan.Quality), fmt.Sprintf("%g %%", 100*r.Plan.Quality.Policy.Confidence)
	}
	p.Devices = slices.ContainsFunc(r.Cells, func(c sweep.CellResult) bool { return c.Device != nil })
	return sweepPage.Execute(w, p)
}

// sweepFigures names the pictures of a sweep. Names of profiles and scopes come from a file, so they are reduced to what a file
// name may hold.
func sweepFigures(r *sweep.Result) []namedFigure {
	var list []namedFigure
	for i, f := range plots.Pareto(r) {
		if i == mostScalingPlot {
			break
		}
		list = append(list, namedFigure{fmt.Sprintf("pareto-%s-%s-b%d", fileName(f.Profile), fileName(f.Shape), f.Batch), f.Figure})
	}
	for i, f := range plots.Scaling(r) {
		if i == mostScalingPlot {
			break
		}
		name := fmt.Sprintf("scaling-%s-%s", fileName(f.Profile), fileName(string(f.Scope)))
		if slices.ContainsFunc(list, func(other namedFigure) bool { return other.name == name }) {
			name += fmt.Sprintf("-%d", i)
		}
		list = append(list, namedFigure{name, f.Figure})
	}
	return list
}

// fileName keeps letters, digits and hyphens.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 128 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') {
			return r
		}
		return '-'
	}, plots.Shorten(s, 40))
}

// sweepSubject lists the backends.
func sweepSubject(r *sweep.Result) string {
	var list []string
	for _, c := range r.Cells {
		if !slices.Contains(list, c.Cell.Backend) {
			list = append(list, c.Cell.Backend)
		}
	}
	if len(list) == 0 {
		return "no backends"
	}
	return plots.Shorten(strings.Join(list, ", "), 120)
}

// sweepProblems tells of the cells that failed, of those that broke and of those that were not compared, the first ten of them.
func sweepProblems(r *sweep.Result) []string {
	var list []string
	for _, class := range []string{"fail", "error", "unverified"} {
		for _, c := range r.Cells {
			if v := judgeSweepCell(c); v.Class == class {
				list = append(list, fmt.Sprintf("%s: %s, %s", c.Name, v.Word, cmp.Or(v.Why, "no reason given")))
			}
		}
	}
	if n := len(list) - mostProblems; n > 0 {
		list = append(list[:mostProblems], fmt.Sprintf("and %d more", n))
	}
	return list
}

// sweepGroups sorts the cells by profile and scope, each in the order of the sweep.
func sweepGroups(r *sweep.Result) []sweepGroup {
	var groups []sweepGroup
	at := map[string]int{}
	for _, c := range r.Cells {
		name := fmt.Sprintf("%s, %s", c.Cell.Profile, c.Cell.Scope)
		i, ok := at[name]
		if !ok {
			i = len(groups)
			at[name] = i
			groups = append(groups, sweepGroup{Name: name})
		}
		groups[i].Rows = append(groups[i].Rows, sweepRowOf(c))
	}
	return groups
}

var sweepSymbols = map[string]string{"pass": "✓", "fail": "✗", "error": "!", "unverified": "?", "skipped": "–"}

func sweepRowOf(c sweep.CellResult) sweepRow {
	v := judgeSweepCell(c)
	row := sweepRow{Name: rowName(c.Cell), Full: c.Name, Verdict: v, Symbol: sweepSymbols[v.Class],
		P50: none, P90: none, P95: none, P99: none, Throughput: none, Spread: none,
		FirstRun: milliseconds(c.FirstRunMS), Compile: milliseconds(c.CompileMS), HostPeak: cmp.Or(sizeText(c.HostPeakBytes), none), DevicePeak: sizeText(c.DevicePeakBytes),
		Allocs: none, Tiles: none, Parity: parityText(c.Parity)}
	if s := c.Summary; s != nil {
		row.P50, row.P90, row.P95, row.Throughput = milliseconds(s.P50), milliseconds(s.P90), milliseconds(s.P95), milliseconds(s.Throughput)
		row.Spread, row.Samples = s.SpreadText(1), counted(s.Samples, "sample")
		row.P99, row.P99Why = p99Text(s)
		row.Allocs, row.Bytes = fmt.Sprintf("%.0f", c.AllocsPerRun), sizeText(int64(min(c.BytesPerRun, math.MaxInt64/2)))
	}
	if c.Device != nil {
		row.Device = milliseconds(c.Device.P50)
	}
	if c.EndToEnd != nil {
		row.EndToEnd = milliseconds(c.EndToEnd.P50)
	}
	row.Quality = qualityOfCell(c)
	if c.Work != nil {
		row.Tiles, row.Candidates, row.Budgets = tilesText(c.Work), countsText(c.Work.Candidates), budgetsText(c.Work)
	}
	return row
}

// rowName names a cell within its group.
func rowName(c perf.Cell) string {
	if c.Scope == perf.AnyModel {
		return fmt.Sprintf("%s %s", c.Backend, c.Precision)
	}
	return fmt.Sprintf("%s %s %s b%d", c.Backend, c.Precision, c.Shape(), c.Batch)
}

// p99Text returns the percentile, or why there is none.
func p99Text(s *perf.Summary) (text, why string) {
	if s.P99 != nil {
		return milliseconds(*s.P99), ""
	}
	return "insufficient", fmt.Sprintf("it takes %d samples, and there are %d", s.P99Needs, s.Samples)
}

// tilesText lists the tiles of each level, summed over the batch.
func tilesText(w *perf.Work) string {
	var parts []string
	for _, level := range [][]int{w.TilesL0, w.TilesL1, w.TilesL2} {
		if level != nil {
			parts = append(parts, fmt.Sprint(sum(level)))
		}
	}
	return cmp.Or(strings.Join(parts, " + "), none)
}

func countsText(list []int) string {
	if list == nil {
		return ""
	}
	return fmt.Sprint(sum(list))
}

func sum(list []int) int {
	n := 0
	for _, v := range list {
		n += v
	}
	return n
}

// budgetsText has a line for each budget that allows anything: b1 15.5/16.
func budgetsText(w *perf.Work) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(w.Budgets)) {
		b := w.Budgets[name]
		if b.Limit == 0 && b.Spent == 0 {
			continue // of a level that does not run
		}
		line := fmt.Sprintf("%s %.4g/%.4g", name, b.Spent, b.Limit)
		if b.Over {
			line += " ✗ over"
		}
		lines = append(lines, line)
	}
	return lines
}
