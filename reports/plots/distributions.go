package plots

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/stat"
)

// The styles of the two sides of a gate.
var (
	baseSeries = Series{Color: Blue, Marker: Disk}
	headSeries = Series{Color: Vermillion, Marker: Triangle, Dashes: []vg.Length{6, 2.5}}
)

const dotsPerArm = 140 // more would only darken the strip and make the SVG heavy

// Distributions draws the samples of a gate's cells as strips, base above head: at most most cells, the worst first. Times are
// relative to the median of the cell's base, so that cells of any size share an axis. A nil figure means that no cell has
// samples of both sides.
func Distributions(r *gate.Record, most int) *Figure {
	var rows []cellSamples
	for _, c := range worstWithSamples(r) {
		if len(c.arms[perf.Base].pooled) > 0 && len(c.arms[perf.Head].pooled) > 0 {
			rows = append(rows, c)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	more := ""
	if n := len(rows) - most; n > 0 {
		more = fmt.Sprintf(" The %d worst cells are shown, and %d more are not.", most, n)
		rows = rows[:most]
	}
	p := newPanel("", "time of one call, % of the median of the cell's base", "")
	strips := &strips{rows: rows}
	strips.low, strips.high = strips.bounds()
	if strips.high/strips.low > 4 {
		logarithmic(&p.X, strips.low, strips.high)
	} else {
		linear(&p.X, strips.low, strips.high, 8)
	}
	p.Y.Min, p.Y.Max = -0.5, float64(len(rows))-0.5
	p.Y.Padding, p.Y.Tick.Length, p.Y.Width = 0, 0, 0
	p.Y.Tick.Marker = strips.names()
	p.Add(strips)
	return &Figure{
		Title: "Latency of the cells, base against head",
		Subtitle: fmt.Sprintf("Small dots are raw samples, at most %d of each side at even distances in rank; markers are the medians of the replicates, which decide; the tall bar "+
			"is their median. At the right, the gate's estimate and medians.%s", dotsPerArm, more),
		Legend: []LegendEntry{baseSeries.Entry("base: median of a replicate", false, true), headSeries.Entry("head: median of a replicate", false, true),
			{Label: "median of the medians", Glyph: &draw.GlyphStyle{Color: Ink, Radius: 6, Shape: bar{}}}},
		Panels: [][]*plot.Plot{{p}}, Height: vg.Length(120 + 34*len(rows)),
	}
}

// strips is a plotter of one pair of strips per cell.
type strips struct {
	rows      []cellSamples
	low, high float64 // of the axis, in percent
}

// bounds covers every replicate's median and the samples but the extreme percents, which a few slow calls would stretch.
func (s *strips) bounds() (low, high float64) {
	low, high = 97, 103
	for _, row := range s.rows {
		base := row.arms[perf.Base].middle
		for _, arm := range row.arms {
			for _, v := range []float64{slices.Min(arm.medians), slices.Max(arm.medians), stat.Quantile(arm.pooled, 0.01), stat.Quantile(arm.pooled, 0.97)} {
				if x := 100 * v / base; positive(x) {
					low, high = min(low, x), max(high, x)
				}
			}
		}
	}
	low, high = max(low, 1), min(high, 1e4) // a hundred times faster or slower is off any scale
	pad := math.Pow(high/low, 0.02)
	return low / pad, high * pad
}

// names labels the rows from the top.
func (s *strips) names() plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for i, row := range s.rows {
		ticks = append(ticks, plot.Tick{Value: float64(len(s.rows) - 1 - i), Label: Shorten(printable(row.cell.Name), 42)})
	}
	return ticks
}

// remark is what stands at the right of a row, in two lines.
func (s *strips) remark(row cellSamples) (string, string) {
	first := string(row.cell.State)
	if e := row.cell.Final(); e != nil {
		first = fmt.Sprintf("%s  %s", change(e.Ratio), row.cell.State)
	}
	if why := row.cell.Because(); why != "" {
		first += ": " + why
	}
	base, head := row.arms[perf.Base], row.arms[perf.Head]
	second := fmt.Sprintf("%s → %s ms", digits(base.middle), digits(head.middle))
	beyond := 0
	for _, arm := range row.arms {
		for _, v := range arm.pooled {
			if x := 100 * v / base.middle; x < s.low || x > s.high {
				beyond++
			}
		}
	}
	if beyond > 0 {
		second += fmt.Sprintf(", %d off scale", beyond)
	}
	return printable(Shorten(first, 34)), second
}

// change renders a ratio as a signed percentage.
func change(ratio float64) string {
	return strings.Replace(fmt.Sprintf("%+.1f %%", 100*(ratio-1)), "-", "−", 1)
}

// digits renders a positive number with three significant digits, trailing zeros included.
func digits(v float64) string {
	if v >= 1e5 || v < 1e-3 {
		return fmt.Sprintf("%.2e", v)
	}
	return strconv.FormatFloat(v, 'f', max(2-int(math.Floor(math.Log10(v))), 0), 64)
}

var remarkStyle, softRemarkStyle = text(tickSize, Ink, false), text(tickSize, Soft, false)

// GlyphBoxes reserves the space of the remarks at the right.
func (s *strips) GlyphBoxes(*plot.Plot) []plot.GlyphBox {
	var width vg.Length
	for _, row := range s.rows {
		a, b := s.remark(row)
		width = max(width, remarkStyle.Width(a), softRemarkStyle.Width(b))
	}
	return []plot.GlyphBox{{X: 1, Y: 0.5, Rectangle: vg.Rectangle{Max: vg.Point{X: width + 10}}}}
}

// Plot draws the strips.
func (s *strips) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if !t.IsMinor() {
			c.StrokeLine2(draw.LineStyle{Color: Grid, Width: vg.Points(0.6)}, x(t.Value), c.Min.Y, x(t.Value), c.Max.Y)
		}
	}
	if s.low < 100 && s.high > 100 {
		c.StrokeLine2(draw.LineStyle{Color: Soft, Width: vg.Points(0.8), Dashes: []vg.Length{2, 2}}, x(100), c.Min.Y, x(100), c.Max.Y)
	}
	for i, row := range s.rows {
		mid := y(float64(len(s.rows) - 1 - i))
		if i > 0 {
			c.StrokeLine2(draw.LineStyle{Color: Grid, Width: vg.Points(0.6)}, c.Min.X, mid+17, c.Max.X, mid+17)
		}
		base := row.arms[perf.Base].middle
		s.strip(c, x, mid+7, base, row.arms[perf.Base], baseSeries)
		s.strip(c, x, mid-7, base, row.arms[perf.Head], headSeries)
		a, b := s.remark(row)
		c.FillText(remarkStyle, vg.Point{X: c.Max.X + 10, Y: mid + 3}, a)
		c.FillText(softRemarkStyle, vg.Point{X: c.Max.X + 10, Y: mid - 9}, b)
	}
}

// strip draws one arm of one cell about the height y.
func (s *strips) strip(c draw.Canvas, x func(float64) vg.Length, y vg.Length, base float64, arm armSamples, style Series) {
	var dots vg.Path
	for i, v := range arm.thinned(dotsPerArm) {
		if percent := 100 * v / base; percent >= s.low && percent <= s.high {
			at := vg.Point{X: x(percent), Y: y + vg.Length(9*(radicalInverse(i)-0.5))}
			dots.Move(vg.Point{X: at.X - 0.6, Y: at.Y})
			dots.Line(vg.Point{X: at.X + 0.6, Y: at.Y})
		}
	}
	c.SetLineStyle(draw.LineStyle{Color: faded(style.Color, 0.45), Width: vg.Points(1.2)})
	c.Stroke(dots)
	glyph := style.Glyph()
	glyph.Radius, glyph.Color = 2.4, faded(style.Color, 0.75)
	for _, v := range arm.medians {
		if percent := 100 * v / base; percent >= s.low && percent <= s.high {
			c.DrawGlyphNoClip(glyph, vg.Point{X: x(percent), Y: y})
		}
	}
	if percent := 100 * arm.middle / base; percent >= s.low && percent <= s.high {
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: Ink, Radius: 6, Shape: bar{}}, vg.Point{X: x(percent), Y: y})
	}
}

// bar is the marker of a median of medians.
type bar struct{}

// DrawGlyph draws an upright stroke of twice the radius.
func (bar) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	c.StrokeLine2(draw.LineStyle{Color: style.Color, Width: vg.Points(1.6)}, at.X, at.Y-style.Radius, at.X, at.Y+style.Radius)
}

// radicalInverse mirrors the bits of i at the binary point (van der Corput's sequence): neighbours in rank are spread over the
// strip's height, the same way each time.
func radicalInverse(i int) float64 {
	v, share := 0.0, 0.5
	for ; i > 0; i >>= 1 {
		v += share * float64(i&1)
		share /= 2
	}
	return v
}
