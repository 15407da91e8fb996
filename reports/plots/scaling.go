package plots

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/sweep"
)

// ScalingFigure is the Scaling of one profile and scope.
type ScalingFigure struct {
	Profile string
	Scope   perf.Scope
	*Figure
}

// Scaling draws how latency and throughput grow with the size of the image and with the batch: one figure for each profile and
// scope with measured cells of more than one size or batch, profiles by name and scopes in the order of perf.Scopes. A series is
// a backend and a precision and has the same style in all of them.
func Scaling(r *sweep.Result) []ScalingFigure {
	type group struct {
		profile string
		scope   perf.Scope
	}
	groups := map[group][]sweep.CellResult{}
	if r == nil {
		return nil
	}
	styles := stylesOf(r.Cells)
	for _, c := range r.Cells {
		if drawable(c) {
			k := group{c.Cell.Profile, c.Cell.Scope}
			groups[k] = append(groups[k], c)
		}
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b group) int {
		return cmp.Or(cmp.Compare(a.profile, b.profile), cmp.Compare(slices.Index(perf.Scopes, a.scope), slices.Index(perf.Scopes, b.scope)), cmp.Compare(a.scope, b.scope))
	})
	var figures []ScalingFigure
	for _, k := range keys {
		if f := scaling(fmt.Sprintf("Latency and throughput of %s, %s", k.profile, k.scope), groups[k], styles); f != nil {
			figures = append(figures, ScalingFigure{k.profile, k.scope, f})
		}
	}
	return figures
}

// drawable tells whether the cell has numbers, and numbers that count: speed without parity is none.
func drawable(c sweep.CellResult) bool {
	s := c.Summary
	return s != nil && c.Parity.State != "fail" && positive(s.P50) && positive(s.Throughput) && positive(pixels(c.Cell)) && positive(float64(c.Cell.Batch))
}

func seriesName(c perf.Cell) string { return fmt.Sprintf("%s %s", c.Backend, c.Precision) }

func pixels(c perf.Cell) float64 { return float64(c.Height) * float64(c.Width) }

// scaling draws one profile and scope: a column over the pixels at one batch, a column over the batch at one shape.
func scaling(title string, cells []sweep.CellResult, styles map[string]Series) *Figure {
	batch := commonest(cells, func(c sweep.CellResult) int { return c.Cell.Batch })
	shape := commonest(cells, func(c sweep.CellResult) string { return c.Cell.Shape() })
	atBatch := keep(cells, func(c sweep.CellResult) bool { return c.Cell.Batch == batch })
	atShape := keep(cells, func(c sweep.CellResult) bool { return c.Cell.Shape() == shape })
	f := &Figure{Title: title, Height: 520, Panels: make([][]*plot.Plot, 2),
		Subtitle: "Markers are the medians of all samples, by the host's clock, whiskers reach from there to the 90th percentile. Both axes are logarithmic: a straight line is a power law. " +
			"Cells that fail parity are left out."}
	if distinct(atBatch, func(c sweep.CellResult) float64 { return pixels(c.Cell) }) > 1 {
		f.column(fmt.Sprintf("batch %d", batch), "image size (pixels)", atBatch, func(c perf.Cell) float64 { return pixels(c) }, styles)
	}
	if distinct(atShape, func(c sweep.CellResult) int { return c.Cell.Batch }) > 1 {
		f.column(fmt.Sprintf("image %s", shape), "batch size (images)", atShape, func(c perf.Cell) float64 { return float64(c.Batch) }, styles)
	}
	if len(f.Panels[0]) == 0 {
		return nil
	}
	for _, name := range names(append(atBatch, atShape...)) {
		f.Legend = append(f.Legend, styles[name].Entry(name, true, true))
	}
	return f
}

// commonest returns the value that most cells have, and of those the one that comes first in the sweep.
func commonest[T comparable](cells []sweep.CellResult, of func(sweep.CellResult) T) T {
	count := map[T]int{}
	for _, c := range cells {
		count[of(c)]++
	}
	best := of(cells[0])
	for _, c := range cells {
		if v := of(c); count[v] > count[best] {
			best = v
		}
	}
	return best
}

func keep(cells []sweep.CellResult, ok func(sweep.CellResult) bool) []sweep.CellResult {
	return slices.DeleteFunc(slices.Clone(cells), func(c sweep.CellResult) bool { return !ok(c) })
}

func distinct[T comparable](cells []sweep.CellResult, of func(sweep.CellResult) T) int {
	seen := map[T]bool{}
	for _, c := range cells {
		seen[of(c)] = true
	}
	return len(seen)
}

// names lists the series of cells in the order of their first cells.
func names(cells []sweep.CellResult) []string {
	var list []string
	for _, c := range cells {
		if n := seriesName(c.Cell); !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// column appends a panel of latency and below it one of throughput.
func (f *Figure) column(title, xLabel string, cells []sweep.CellResult, x func(perf.Cell) float64, styles map[string]Series) {
	latency := scalingPanel(title, "latency of one call (ms)", cells, styles, x,
		func(s *perf.Summary) (v, whisker float64) { return s.P50, s.P90 })
	throughput := scalingPanel("", "throughput (images/s)", cells, styles, x,
		func(s *perf.Summary) (v, whisker float64) { return s.Throughput, s.Throughput * s.P50 / s.P90 })
	throughput.X.Label.Text = xLabel
	f.Panels[0] = append(f.Panels[0], latency)
	f.Panels[1] = append(f.Panels[1], throughput)
}

// scalingPanel draws one quantity of every series over x.
func scalingPanel(title, yLabel string, cells []sweep.CellResult, styles map[string]Series, x func(perf.Cell) float64, y func(*perf.Summary) (v, whisker float64)) *plot.Plot {
	p := newPanel(title, "", yLabel)
	addGrid(p)
	var xs, ys []float64
	for _, name := range names(cells) {
		points := whiskers{style: styles[name]}
		for _, c := range cells {
			if seriesName(c.Cell) != name {
				continue
			}
			v, end := y(c.Summary)
			if !positive(end) {
				end = v
			}
			points.at = append(points.at, whisker{x(c.Cell), v, end})
			xs, ys = append(xs, x(c.Cell)), append(ys, v, end)
		}
		slices.SortStableFunc(points.at, func(a, b whisker) int { return cmp.Compare(a.x, b.x) })
		line := &plotter.Line{LineStyle: points.style.Line()}
		for _, w := range points.at {
			line.XYs = append(line.XYs, plotter.XY{X: w.x, Y: w.y})
		}
		p.Add(line, points)
	}
	widen(&p.X, xs, 1.08)
	ticksAt(&p.X, xs)
	widen(&p.Y, ys, 1.15)
	return p
}

// widen sets a logarithmic axis around the values.
func widen(a *plot.Axis, values []float64, factor float64) {
	logarithmic(a, slices.Min(values)/factor, slices.Max(values)*factor)
}

// ticksAt labels an axis at the measured values themselves where they are few enough to be read, instead of at powers of ten.
func ticksAt(a *plot.Axis, values []float64) {
	sorted := slices.Compact(slices.Sorted(slices.Values(values)))
	room := math.Log(sorted[len(sorted)-1]/sorted[0]) / 8
	var ticks plot.ConstantTicks
	last := math.Inf(-1)
	for _, v := range sorted {
		tick := plot.Tick{Value: v}
		if math.Log(v)-last >= room {
			tick.Label, last = count(v), math.Log(v)
		}
		ticks = append(ticks, tick)
	}
	a.Tick.Marker = ticks
}

// count renders a whole number compactly: 65.5k, 1.05M.
func count(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.3gk", v/1e3)
	}
	return fmt.Sprintf("%g", v)
}

// whisker is a value with the far end of its spread.
type whisker struct{ x, y, end float64 }

// whiskers is a plotter of markers with one-sided whiskers.
type whiskers struct {
	at    []whisker
	style Series
}

// Plot draws the whiskers and then the markers.
func (w whiskers) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, v := range w.at {
		line := draw.LineStyle{Color: w.style.Color, Width: vg.Points(1)}
		c.StrokeLine2(line, x(v.x), y(v.y), x(v.x), y(v.end))
		c.StrokeLine2(line, x(v.x)-2.5, y(v.end), x(v.x)+2.5, y(v.end))
		c.DrawGlyphNoClip(w.style.Glyph(), vg.Point{X: x(v.x), Y: y(v.y)})
	}
}
