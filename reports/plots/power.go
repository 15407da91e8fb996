package plots

import (
	"cmp"
	"fmt"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/apex-x/apexx/perf/stat"
)

// PowerPoint is what gate runs with one injected slowdown concluded.
type PowerPoint struct {
	Slowdown     float64 // injected into one cell, relative: 0.05 is 5 %. 0 is an A/A run, where every detection is a false alarm
	Runs         int
	Detected     int // runs that ended as a regression
	Named        int // of those, runs that named the slowed cell, and no cell of another backend
	Inconclusive int // runs that did not decide
}

// valid tells whether the counts fit each other.
func (p PowerPoint) valid() bool {
	return p.Runs > 0 && p.Detected >= 0 && p.Detected <= p.Runs && p.Named >= 0 && p.Named <= p.Detected &&
		p.Inconclusive >= 0 && p.Inconclusive <= p.Runs-p.Detected && p.Slowdown >= 0 && finite(p.Slowdown)
}

// powerConfidence is that of the intervals in a power curve.
const powerConfidence = 0.95

// Power draws how often a gate detects a slowdown over its size, with exact binomial intervals, and at 0 its false alarms. where
// says on what machine and cells it was measured. Points whose counts contradict each other are an error; no points give a nil
// figure.
func Power(where string, points []PowerPoint) (*Figure, error) {
	if len(points) == 0 {
		return nil, nil
	}
	points = slices.SortedStableFunc(slices.Values(points), func(a, b PowerPoint) int { return cmp.Compare(a.Slowdown, b.Slowdown) })
	for i, p := range points {
		if !p.valid() || i > 0 && p.Slowdown == points[i-1].Slowdown {
			return nil, fmt.Errorf("draw the power of the gate: the counts at a slowdown of %g %% contradict each other: %+v", 100*p.Slowdown, p)
		}
	}
	detected := func(p PowerPoint) int { return p.Detected }
	series := []rate{
		{"detected (false alarms at 0 %)", detected, seriesOf(0), 0},
		{"detected and the right cell named", func(p PowerPoint) int { return p.Named }, seriesOf(2), 1},
		{"inconclusive", func(p PowerPoint) int { return p.Inconclusive }, seriesOf(1), -1},
	}
	p := newPanel("", "slowdown injected into one cell (%)", "share of the gate's runs (%)")
	high := 100 * points[len(points)-1].Slowdown
	linear(&p.X, 0, max(high, 1)*1.04, 10)
	p.X.Min = -0.03 * max(high, 1)
	linear(&p.Y, 0, 100, 5)
	addGrid(p)
	f := &Figure{Title: "Power of the gate", Height: 400, Panels: [][]*plot.Plot{{p}}}
	for _, s := range series {
		p.Add(s.plotter(points))
		f.Legend = append(f.Legend, s.style.Entry(s.name, true, true))
	}
	p.Add(runsNote(points))
	p.Y.Min, p.Y.Max = -1, 101
	f.Subtitle = fmt.Sprintf("%s%s Bars are exact %.0f %% intervals (Clopper-Pearson).", sentence(where), falseAlarms(points[0]), 100*powerConfidence)
	return f, nil
}

// sentence ends a text with a full stop and a space.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return s + ". "
}

// falseAlarms says what the A/A runs gave.
func falseAlarms(p PowerPoint) string {
	if p.Slowdown != 0 {
		return "There were no A/A runs, so the false-alarm rate is not known."
	}
	_, high := stat.ClopperPearson(p.Detected, p.Runs, powerConfidence)
	return fmt.Sprintf("False alarms: %d of %d A/A runs, so the rate is at most %.3g %%.", p.Detected, p.Runs, 100*high)
}

// rate is one series of the curve. Series are set apart by a small offset, so that their intervals stay legible.
type rate struct {
	name  string
	of    func(PowerPoint) int
	style Series
	shift vg.Length // in units of 4 points
}

func (r rate) plotter(points []PowerPoint) plot.Plotter {
	list := intervals{style: r.style, shift: 4 * r.shift}
	for _, p := range points {
		if r.shift > 0 && p.Slowdown == 0 {
			continue // an A/A run has no right cell to name
		}
		k := r.of(p)
		low, high := stat.ClopperPearson(k, p.Runs, powerConfidence)
		list.at = append(list.at, interval{100 * p.Slowdown, 100 * float64(k) / float64(p.Runs), 100 * low, 100 * high})
	}
	return list
}

type interval struct{ x, y, low, high float64 }

// intervals is a plotter of markers with intervals, joined by a line.
type intervals struct {
	at    []interval
	style Series
	shift vg.Length
}

// Plot draws the line, the intervals and the markers.
func (s intervals) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var line []vg.Point
	for _, v := range s.at {
		line = append(line, vg.Point{X: x(v.x) + s.shift, Y: y(v.y)})
	}
	if len(line) > 1 {
		c.StrokeLines(s.style.Line(), line)
	}
	for i, v := range s.at {
		bar := draw.LineStyle{Color: s.style.Color, Width: vg.Points(1)}
		c.StrokeLine2(bar, line[i].X, y(v.low), line[i].X, y(v.high))
		for _, end := range []float64{v.low, v.high} {
			c.StrokeLine2(bar, line[i].X-2.5, y(end), line[i].X+2.5, y(end))
		}
		c.DrawGlyphNoClip(s.style.Glyph(), line[i])
	}
}

// runsNote writes the number of runs above each point, at the upper edge.
func runsNote(points []PowerPoint) plot.Plotter {
	l := &plotter.Labels{Offset: vg.Point{Y: 6}}
	for _, p := range points {
		style := text(tickSize, Soft, false)
		style.XAlign = draw.XCenter
		l.XYs = append(l.XYs, plotter.XY{X: 100 * p.Slowdown, Y: 101})
		l.Labels = append(l.Labels, fmt.Sprintf("n = %d", p.Runs))
		l.TextStyle = append(l.TextStyle, style)
	}
	return l
}
