package plots

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/apex-x/apexx/perf/trend"
)

// The styles of a trend: runs in blue, means and their confidence bands in sky, change points in vermillion, releases in green.
var (
	runStyle    = Series{Blue, Disk, nil}
	meanLine    = draw.LineStyle{Color: Ink, Width: vg.Points(1.3)}
	bandFill    = faded(Sky, 0.45)
	changeStyle = draw.LineStyle{Color: Vermillion, Width: vg.Points(1.2), Dashes: []vg.Length{5, 3}}
	tagStyle    = Series{Green, Diamond, nil}
	markStyle   = Series{Purple, Square, nil}
)

// Trend draws one metric of a class of machines over its runs, in the order in which they are judged and evenly spaced: every value, the
// mean between change points with its 95 % confidence interval shaded, change points as vertical lines that name the range of commits
// and the effect, releases, and runs that were marked with what was said of them; how many runs were removed is said. Values that cannot be drawn are left
// out; it is nil where none is left.
func Trend(c *trend.Class, s *trend.Series) *Figure {
	if !slices.ContainsFunc(s.Values, finite) || len(s.Runs) != len(s.Values) {
		return nil
	}
	p := newPanel("", "run, in the order of commits, with the date of its measurement (UTC)", quantity(s))
	low, high := trendRange(s)
	n := len(s.Values)
	p.X.Min, p.X.Max = -0.6, float64(n)-0.4
	p.X.Tick.Marker = runTicks(c, s)
	tags := tagsOf(c, s)
	linear(&p.Y, low, high, 6)
	row := (high - low) * 0.09
	p.Y.Min, p.Y.Max = low-row*float64(min(len(tags), tagRows)), high+row*float64(min(len(s.Changes), labelRows))
	addGrid(p)
	for _, g := range s.Segments {
		p.Add(band(g))
	}
	for _, change := range s.Changes {
		p.Add(changeLine(change))
	}
	p.Add(tags...)
	p.Add(runsOf(s, runStyle.Glyph(), func(int) bool { return true }))
	p.Add(runsOf(s, tagStyle.Glyph(), func(i int) bool { return c.Runs[s.Runs[i]].Release != "" }))
	p.Add(runsOf(s, markStyle.Glyph(), func(i int) bool { return c.Runs[s.Runs[i]].Marked != "" }))
	for i, change := range s.Changes {
		p.Add(changeLabel{change, i % labelRows})
	}
	f := &Figure{Title: s.Metric, Height: 340, Panels: [][]*plot.Plot{{p}}, Legend: trendLegend(c, s)}
	f.Subtitle = fmt.Sprintf("%s, %s. Change points by e-divisive means (at least %d runs on either side, permutation test at %g): %s. The value axis does not begin at 0.%s",
		c.ID, howMany(n, "run"), trend.MinSegment, trend.Significance, found(len(s.Changes)), removed(c))
	return f
}

// removed says how many runs of a class were removed.
func removed(c *trend.Class) string {
	n := 0
	for _, r := range c.Runs {
		if r.Removed != "" {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" %s removed: see apexx trend show.", howMany(n, "run"))
}

func trendLegend(c *trend.Class, s *trend.Series) []LegendEntry {
	some := func(has func(trend.RunRef) bool) bool {
		return slices.ContainsFunc(s.Runs, func(i int) bool { return has(c.Runs[i]) })
	}
	mean, change := meanLine, changeStyle
	entries := []LegendEntry{
		runStyle.Entry("run", false, true),
		{Label: "mean between change points", Line: &mean},
		{Label: "its 95 % confidence interval (Student's t)", Line: &draw.LineStyle{Color: bandFill, Width: vg.Points(8)}},
	}
	if len(s.Changes) > 0 {
		entries = append(entries, LegendEntry{Label: "change point", Line: &change})
	}
	if some(func(r trend.RunRef) bool { return r.Release != "" }) {
		entries = append(entries, tagStyle.Entry("release", false, true))
	}
	if some(func(r trend.RunRef) bool { return r.Marked != "" }) {
		entries = append(entries, markStyle.Entry("marked by hand", false, true))
	}
	return entries
}

func howMany(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func found(changes int) string {
	if changes == 0 {
		return "none"
	}
	return fmt.Sprint(changes)
}

// quantity names what a metric is and its unit: "p50 (ms)" for NAME.p50_ms.
func quantity(s *trend.Series) string {
	name := s.Metric[strings.LastIndexByte(s.Metric, '.')+1:]
	name = strings.TrimSuffix(strings.TrimSuffix(name, "_ms"), "_mib")
	return fmt.Sprintf("%s (%s)", strings.ReplaceAll(name, "_", " "), s.Unit)
}

// trendRange returns the range of values and bands with some room, never without height.
func trendRange(s *trend.Series) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	take := func(v float64) {
		if finite(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	for _, v := range s.Values {
		take(v)
	}
	for _, g := range s.Segments {
		take(g.Low)
		take(g.High)
	}
	room := 0.08 * (high - low)
	if least := 0.01 * math.Max(math.Abs(high), 1e-9); room < least {
		room = least // a constant series is a line in the middle, not noise blown up
	}
	return low - room, high + room
}

// runTicks labels at most eight runs with their dates.
func runTicks(c *trend.Class, s *trend.Series) plot.ConstantTicks {
	const most = 8
	step := (len(s.Runs) + most - 1) / most
	var ticks plot.ConstantTicks
	for i := 0; i < len(s.Runs); i += max(step, 1) {
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: c.Runs[s.Runs[i]].When.UTC().Format("2006-01-02")})
	}
	return ticks
}

// runsOf draws the values of the runs that keep chooses.
func runsOf(s *trend.Series, style draw.GlyphStyle, keep func(int) bool) plot.Plotter {
	points := &plotter.Scatter{GlyphStyle: style}
	for i, v := range s.Values {
		if finite(v) && keep(i) {
			points.XYs = append(points.XYs, plotter.XY{X: float64(i), Y: v})
		}
	}
	return points
}

// tag names a release, or says what a run was marked for, at the lower edge, joined to its point.
type tag struct {
	name  string
	color color.Color
	x, y  float64
	row   int // from the lower edge, so that near ones do not cover each other
}

// Plot draws the thin line and the name.
func (t tag) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	x := toX(t.x)
	style := text(tickSize, t.color, true)
	style.YAlign, style.XAlign = draw.YBottom, draw.XCenter
	label := Shorten(printable(t.name), 20)
	half := style.Width(label) / 2
	at := vg.Point{X: min(max(x, c.Min.X+half), c.Max.X-half), Y: c.Min.Y + 1 + vg.Length(t.row)*style.Height("Ag")*1.25}
	c.StrokeLine2(draw.LineStyle{Color: t.color, Width: vg.Points(0.8)}, x, toY(t.y), x, at.Y+style.Height("Ag"))
	onPaper(&c, style, at, label)
}

// tagsOf returns the tags of the runs that are releases or were marked.
func tagsOf(c *trend.Class, s *trend.Series) (tags []plot.Plotter) {
	for i, v := range s.Values {
		r := &c.Runs[s.Runs[i]]
		for _, t := range []tag{{name: r.Release, color: Green}, {name: r.Marked, color: markStyle.Color}} {
			if t.name != "" && finite(v) {
				t.x, t.y, t.row = float64(i), v, len(tags)%tagRows
				tags = append(tags, t)
			}
		}
	}
	return tags
}

// onPaper writes text on a ground that hides the lines behind it.
func onPaper(c *draw.Canvas, style draw.TextStyle, at vg.Point, label string) {
	r := style.Rectangle(label).Add(at)
	c.SetColor(Paper)
	c.Fill(vg.Rectangle{Min: vg.Point{X: r.Min.X - 2, Y: r.Min.Y}, Max: vg.Point{X: r.Max.X + 2, Y: r.Max.Y}}.Path())
	c.FillText(style, at, label)
}

// band is the mean of a segment with its confidence interval.
type band trend.Segment

// Plot draws the interval and the mean over it.
func (b band) Plot(c draw.Canvas, p *plot.Plot) {
	if !finite(b.Low) || !finite(b.High) {
		return
	}
	x, y := p.Transforms(&c)
	left, right := x(float64(b.Start)-0.4), x(float64(b.End)-0.6)
	c.FillPolygon(bandFill, []vg.Point{{X: left, Y: y(b.Low)}, {X: right, Y: y(b.Low)}, {X: right, Y: y(b.High)}, {X: left, Y: y(b.High)}})
	c.StrokeLine2(meanLine, left, y(b.Mean), right, y(b.Mean))
}

// In how many rows the labels of change points and of releases alternate.
const (
	labelRows = 3
	tagRows   = 2
)

// changeLine is the line of a change point.
type changeLine trend.Change

// Plot draws it between the two runs.
func (l changeLine) Plot(c draw.Canvas, p *plot.Plot) {
	toX, _ := p.Transforms(&c)
	x := toX(float64(l.Index) - 0.5)
	c.StrokeLine2(changeStyle, x, c.Min.Y, x, c.Max.Y)
}

// changeLabel names the effect and the range of commits of a change point, in a row from the upper edge.
type changeLabel struct {
	trend.Change
	row int
}

// Plot writes the label on the side of the line that has room.
func (l changeLabel) Plot(c draw.Canvas, p *plot.Plot) {
	toX, _ := p.Transforms(&c)
	x := toX(float64(l.Index) - 0.5)
	style := text(tickSize, Vermillion, true)
	style.YAlign = draw.YTop
	label := fit(fmt.Sprintf("%+.1f %% in %s..%s", 100*(l.Ratio-1), printable(l.Before), printable(l.After)), style, (c.Max.X-c.Min.X)*0.48)
	at := vg.Point{X: x + 4, Y: c.Max.Y - 2 - vg.Length(l.row)*style.Height("Ag")*1.25}
	if x > c.Center().X {
		style.XAlign, at.X = draw.XRight, x-4
	}
	onPaper(&c, style, at, label)
}
