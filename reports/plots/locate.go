package plots

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/locate"
)

// The series of an error along a graph.
var (
	localSeries       = Series{Blue, Disk, nil}
	accumulatedSeries = Series{Orange, Ring, nil}
	beyondSeries      = Series{Vermillion, Diamond, nil}
	budgetLine        = draw.LineStyle{Color: Ink, Width: vg.Points(1), Dashes: []vg.Length{5, 3}}
)

// Locate draws the error of a candidate along a graph: above, the largest local error of every step over its budget; below, the noise of every
// step by itself and of the whole run up to it. Steps without an error are left out.
func Locate(name string, t *locate.Trace) *Figure {
	ratio := func(e *locate.Error) float64 {
		if e.Wrong != "" {
			return math.Inf(1)
		}
		return float64(e.Ratio)
	}
	upper := newPanel("", "", "local error over budget")
	lower := newPanel("", "step, in the order of execution", "noise")
	var within, beyond, local, whole plotter.XYs
	top := 10.0
	for i := range t.Steps {
		if r := ratio(&t.Steps[i].Local); positive(r) {
			top = max(top, min(r, 1e6)*2)
		}
	}
	for i := range t.Steps {
		s := &t.Steps[i]
		x := float64(i + 1)
		if r := ratio(&s.Local); r > 1 {
			beyond = append(beyond, plotter.XY{X: x, Y: min(r, top)})
		} else if positive(r) {
			within = append(within, plotter.XY{X: x, Y: max(r, 1e-3)})
		}
		for _, p := range []struct {
			to *plotter.XYs
			v  parity.Number
		}{{&local, s.Local.Noise}, {&whole, s.Accumulated.Noise}} {
			if positive(float64(p.v)) {
				*p.to = append(*p.to, plotter.XY{X: x, Y: float64(p.v)})
			}
		}
	}
	if len(local)+len(whole) == 0 {
		return nil
	}
	for _, p := range []*plot.Plot{upper, lower} {
		linear(&p.X, 1, float64(max(len(t.Steps), 2)), 8)
		addGrid(p)
	}
	logarithmic(&upper.Y, 1e-3, top)
	low, high := math.Inf(1), 0.0
	for _, p := range append(append(plotter.XYs{}, local...), whole...) {
		low, high = min(low, p.Y), max(high, p.Y)
	}
	logarithmic(&lower.Y, low/2, high*2)
	upper.Add(&plotter.Line{XYs: plotter.XYs{{X: 1, Y: 1}, {X: float64(len(t.Steps)), Y: 1}}, LineStyle: budgetLine},
		points(within, localSeries), points(beyond, beyondSeries))
	lower.Add(points(local, localSeries), points(whole, accumulatedSeries))
	budget := budgetLine
	f := &Figure{Title: fmt.Sprintf("%s: %s beside %s", name, t.Candidate, t.Reference), Height: 480, Panels: [][]*plot.Plot{{upper}, {lower}},
		Subtitle: fmt.Sprintf("Every step is fed the reference's values. Above, the largest error of an element over what rounding may leave there (profile %s, λ = %g); "+
			"below, √(Σ error²/Σ value²) of each step by itself and of the whole run up to it. Steps whose values are equal to the bit are not drawn.", t.Profile, t.Factor),
		Legend: []LegendEntry{localSeries.Entry("one step, fed the reference's values", false, true), accumulatedSeries.Entry("the whole run", false, true),
			beyondSeries.Entry("beyond its budget", false, true), {Label: "budget", Line: &budget}}}
	if t.Finding != nil && len(beyond) > 0 && t.Finding.By == "candidate" {
		upper.Add(stepLabel{t.Steps[t.Finding.Step].Name, beyond[0], Vermillion})
	}
	return f
}

func points(at plotter.XYs, style Series) plot.Plotter {
	return &plotter.Scatter{XYs: at, GlyphStyle: style.Glyph()}
}

// stepLabel names a step beside its point.
type stepLabel struct {
	name  string
	at    plotter.XY
	color color.Color
}

// Plot writes the name on the side that has room.
func (l stepLabel) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	style := text(tickSize, l.color, true)
	style.YAlign = draw.YCenter
	at := vg.Point{X: toX(l.at.X) + 6, Y: toY(l.at.Y)}
	if at.X > c.Center().X {
		style.XAlign, at.X = draw.XRight, at.X-12
	}
	onPaper(&c, style, at, fit(printable(l.name), style, (c.Max.X-c.Min.X)*0.48))
}
