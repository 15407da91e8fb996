package plots

import (
	"cmp"
	"fmt"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/sweep"
)

// ParetoFigure is the Pareto of one profile, image size and batch.
type ParetoFigure struct {
	Profile string
	Shape   string
	Batch   int
	*Figure
}

// Pareto draws time against the average precision of boxes: one figure for each profile, image size and batch with cells that were timed and
// evaluated. A series is a backend and a precision, in the style that it has in Scaling.
func Pareto(r *sweep.Result) []ParetoFigure {
	if r == nil || r.Plan.Quality == nil {
		return nil
	}
	type group struct {
		profile, shape string
		batch          int
	}
	var order []group
	cells := map[group][]sweep.CellResult{}
	for _, c := range r.Cells {
		if !drawable(c) || c.Quality == nil || c.Quality.Result.Of(accuracy.BoxAP) == nil {
			continue
		}
		k := group{c.Cell.Profile, c.Cell.Shape(), c.Cell.Batch}
		if cells[k] == nil {
			order = append(order, k)
		}
		cells[k] = append(cells[k], c)
	}
	var figures []ParetoFigure
	styles := stylesOf(r.Cells)
	for _, k := range order {
		f := pareto(cells[k], r.Plan.Quality, styles)
		f.Title = fmt.Sprintf("Time and quality of %s, image %s, batch %d", k.profile, k.shape, k.batch)
		figures = append(figures, ParetoFigure{k.profile, k.shape, k.batch, f})
	}
	return figures
}

// rated is a cell with what it takes and what it finds.
type rated struct {
	name         string
	ms, p90      float64
	ap, low, top float64 // hundredths
}

func ratedOf(c sweep.CellResult) rated {
	s := c.Summary
	if c.Device != nil {
		s = c.Device
	}
	d := c.Quality.Result.Of(accuracy.BoxAP)
	return rated{seriesName(c.Cell), s.P50, max(s.P90, s.P50), 100 * d.Candidate, 100 * (d.Base + d.Low), 100 * (d.Base + d.High)}
}

func pareto(cells []sweep.CellResult, plan *accuracy.Plan, styles map[string]Series) *Figure {
	base := cells[0].Quality.Result
	f := &Figure{Height: 400, Subtitle: fmt.Sprintf("AP of boxes on %s, %d images; bars are %g %% intervals of the difference from %s, the level across, whiskers of the time reach from the median to the 90th percentile. "+
		"The grey steps bound what is reached: no other cell is both as fast and as good as one at their corners.", plan.DataSet.Name, plan.DataSet.Images, 100*plan.Policy.Confidence, base.Against)}
	if slices.ContainsFunc(cells, func(c sweep.CellResult) bool { return c.Device != nil }) {
		f.Subtitle += " Times are the device's where it has a clock, else the host's."
	}
	p := newPanel("", "latency of one call (ms)", "AP of boxes (hundredths)")
	addGrid(p)
	level := 100 * base.Of(accuracy.BoxAP).Base
	var all []rated
	xs, ys := []float64{}, []float64{level}
	for _, c := range cells {
		v := ratedOf(c)
		all = append(all, v)
		xs, ys = append(xs, v.ms, v.p90), append(ys, v.ap, v.low, v.top)
	}
	widen(&p.X, xs, 1.15)
	room := max(0.1, 0.1*(slices.Max(ys)-slices.Min(ys)))
	linear(&p.Y, slices.Min(ys)-room, slices.Max(ys)+room, 5)
	p.Add(&plotter.Line{XYs: plotter.XYs{{X: p.X.Min, Y: level}, {X: p.X.Max, Y: level}}, LineStyle: draw.LineStyle{Color: Soft, Width: vg.Points(0.9), Dashes: []vg.Length{4, 3}}})
	if corners := frontier(all); len(corners) > 1 {
		p.Add(&plotter.Line{XYs: corners, StepStyle: plotter.PostStep, LineStyle: draw.LineStyle{Color: faded(Soft, 0.5), Width: vg.Points(3)}})
	}
	for _, v := range all {
		p.Add(bars{v, styles[v.name]})
		f.Legend = append(f.Legend, styles[v.name].Entry(v.name, true, true))
	}
	for _, v := range all { // over all bars
		p.Add(&plotter.Scatter{XYs: plotter.XYs{{X: v.ms, Y: v.ap}}, GlyphStyle: styles[v.name].Glyph()})
	}
	f.Panels = [][]*plot.Plot{{p}}
	return f
}

// frontier lists the cells than which none is both as fast and as good, the fastest first.
func frontier(all []rated) (corners plotter.XYs) {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b rated) int { return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(b.ap, a.ap)) })
	for _, v := range sorted {
		if n := len(corners); n == 0 || v.ap > corners[n-1].Y {
			corners = append(corners, plotter.XY{X: v.ms, Y: v.ap})
		}
	}
	return corners
}

// bars is a plotter of the interval of what a cell finds and the spread of what it takes.
type bars struct {
	at    rated
	style Series
}

// Plot draws them.
func (c bars) Plot(canvas draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&canvas)
	end, line := draw.LineStyle{Color: c.style.Color, Width: vg.Points(1)}, c.style.Line()
	line.Width = end.Width
	v := c.at
	canvas.StrokeLine2(line, x(v.ms), y(v.low), x(v.ms), y(v.top))
	for _, at := range []float64{v.low, v.top} {
		canvas.StrokeLine2(end, x(v.ms)-3, y(at), x(v.ms)+3, y(at))
	}
	canvas.StrokeLine2(line, x(v.ms), y(v.ap), x(v.p90), y(v.ap))
	canvas.StrokeLine2(end, x(v.p90), y(v.ap)-2.5, x(v.p90), y(v.ap)+2.5)
}
