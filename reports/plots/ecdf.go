package plots

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/stat"
)

const ecdfColumns = 3

// Cumulative draws the empirical distribution functions of a gate's cells, one panel each: at most most cells, the worst
// first. The whole shift of a distribution shows, and not its middle alone. A nil figure means that nothing was measured.
func Cumulative(r *gate.Record, most int) *Figure {
	rows := worstWithSamples(r)
	if len(rows) == 0 {
		return nil
	}
	more := ""
	if n := len(rows) - most; n > 0 {
		more = fmt.Sprintf(" The %d worst cells are shown, and %d more are not.", most, n)
		rows = rows[:most]
	}
	f := &Figure{
		Title: "Distribution of the latency, base against head",
		Subtitle: "Share of the samples that took no longer than the time at the bottom, all replicates together, up to the 99th percentile on the time axis. Markers at 50 % are " +
			"the medians of the replicates: where those of one side lie apart, the machine changed between processes." + more,
		Legend: []LegendEntry{baseSeries.Entry("base", true, true), headSeries.Entry("head", true, true)},
	}
	for i := 0; i < len(rows); i += ecdfColumns {
		row := make([]*plot.Plot, ecdfColumns)
		for j, c := range rows[i:min(i+ecdfColumns, len(rows))] {
			row[j] = cumulativePanel(c)
		}
		f.Panels = append(f.Panels, row)
	}
	f.Height = vg.Length(95 + 185*len(f.Panels))
	return f
}

// cumulativePanel draws one cell.
func cumulativePanel(c cellSamples) *plot.Plot {
	p := newPanel(Shorten(c.cell.Name, 40), "time of one call (ms)", "samples (%)")
	p.Title.TextStyle = text(tickSize, Ink, true)
	p.Title.TextStyle.XAlign, p.Title.TextStyle.YAlign = draw.XCenter, draw.YBottom
	low, high := math.Inf(1), math.Inf(-1)
	for _, arm := range c.arms {
		low, high = min(low, arm.pooled[0]), max(high, stat.Quantile(arm.pooled, 0.99))
	}
	if low >= high {
		low, high = low*0.99, low*1.01
	}
	if high/low > 5 {
		logarithmic(&p.X, low, high)
	} else {
		linear(&p.X, low, high, 4)
	}
	linear(&p.Y, 0, 100, 4)
	addGrid(p)
	for _, side := range []struct {
		arm   perf.Arm
		style Series
	}{{perf.Base, baseSeries}, {perf.Head, headSeries}} {
		arm, ok := c.arms[side.arm]
		if !ok {
			continue
		}
		line := &plotter.Line{XYs: steps(arm, low, high), LineStyle: side.style.Line()}
		p.Add(line)
		medians := &plotter.Scatter{GlyphStyle: side.style.Glyph()}
		medians.Color, medians.Radius = faded(side.style.Color, 0.6), 2.4
		for _, m := range arm.medians {
			if m >= low && m <= high {
				medians.XYs = append(medians.XYs, plotter.XY{X: m, Y: 50})
			}
		}
		p.Add(medians)
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = low, high, 0, 100
	return p
}

// steps is the empirical distribution function between low and high, in percent, at no more than 160 of its steps.
func steps(arm armSamples, low, high float64) plotter.XYs {
	n := len(arm.pooled)
	stride := max(n/160, 1)
	xys := plotter.XYs{{X: low, Y: 0}}
	last := 0.0
	for i := 0; i < n && arm.pooled[i] <= high; i += stride {
		v := arm.pooled[i]
		xys = append(xys, plotter.XY{X: v, Y: last}, plotter.XY{X: v, Y: 100 * float64(i+1) / float64(n)})
		last = xys[len(xys)-1].Y
	}
	return append(xys, plotter.XY{X: high, Y: last})
}
