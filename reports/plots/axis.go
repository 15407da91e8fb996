package plots

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// linear sets an axis to [low, high] with about n labelled ticks at round values.
func linear(a *plot.Axis, low, high float64, n int) {
	if !(low < high) || math.IsInf(high-low, 0) {
		low, high = 0, 1
	}
	a.Min, a.Max = low, high
	a.Scale = plot.LinearScale{}
	step := roundStep((high - low) / float64(max(n, 1)))
	first := math.Ceil(low/step - 1e-9)
	var ticks plot.ConstantTicks
	for i := range 2*n + 2 { // counted, since adding 1 to a great float changes nothing
		v := (first + float64(i)) * step
		if v > high+step*1e-9 {
			break
		}
		ticks = append(ticks, plot.Tick{Value: min(max(v, low), high), Label: strconv.FormatFloat(roundTo(v, step)+0, 'g', 6, 64)}) // +0 makes -0 positive
	}
	alike(ticks)
	a.Tick.Marker = ticks
}

// alike gives labels the decimals of the one that has most: 81.8 and 82.0.
func alike(ticks plot.ConstantTicks) {
	most := 0
	for _, t := range ticks {
		if strings.ContainsRune(t.Label, 'e') {
			return
		}
		if _, decimals, ok := strings.Cut(t.Label, "."); ok {
			most = max(most, len(decimals))
		}
	}
	for i, t := range ticks {
		whole, decimals, _ := strings.Cut(t.Label, ".")
		if most > 0 {
			ticks[i].Label = whole + "." + decimals + strings.Repeat("0", most-len(decimals))
		}
	}
}

// roundStep returns the least of 1, 2, 2.5 and 5 times a power of ten that is at least x.
func roundStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= x*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// roundTo removes the error of the multiplication k·step, which would show as 0.30000000000000004.
func roundTo(v, step float64) float64 {
	scale := math.Pow(10, math.Ceil(-math.Log10(step))+2)
	if r := math.Round(v*scale) / scale; !math.IsInf(r, 0) && !math.IsNaN(r) {
		return r
	}
	return v
}

// logarithmic sets an axis to a logarithmic scale over [low, high], both positive. Ticks are labelled at powers of ten; where
// those are fewer than three, also at 2 and 5 times them, or at more multiples.
func logarithmic(a *plot.Axis, low, high float64) {
	if !(low > 0 && low < high) || math.IsInf(high, 0) {
		low, high = 1, 10
	}
	linear(a, low, high, 4) // the ticks of an axis that is too short for any of those below
	a.Scale = plot.LogScale{}
	every := math.Ceil((math.Log10(high) - math.Log10(low)) / 8) // decades between labels
	for _, labelled := range [][]float64{{1}, {1, 2, 5}, {1, 1.5, 2, 3, 5, 7}, {1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9}} {
		ticks, labels := logTicks(low, high, every, labelled)
		if labels >= 2 {
			a.Tick.Marker = ticks
		}
		if labels >= 3 {
			break
		}
	}
}

// logTicks returns ticks at 1 to 9 times the powers of ten in [low, high] and how many of them are labelled.
func logTicks(low, high, every float64, labelled []float64) (ticks plot.ConstantTicks, labels int) {
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for _, m := range []float64{1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9} {
			v := m * math.Pow(10, e)
			if v < low || v > high {
				continue
			}
			tick := plot.Tick{Value: v}
			if slices.Contains(labelled, m) && math.Mod(e, every) == 0 {
				tick.Label = strconv.FormatFloat(v, 'g', 6, 64)
				labels++
			}
			if m != 1.5 || tick.Label != "" {
				ticks = append(ticks, tick)
			}
		}
	}
	return ticks, labels
}

// addGrid draws lines at the labelled ticks. Add it before the data.
func addGrid(p *plot.Plot) {
	g := plotter.NewGrid()
	g.Horizontal.Color, g.Vertical.Color = Grid, Grid
	g.Horizontal.Width, g.Vertical.Width = vg.Points(0.6), vg.Points(0.6)
	p.Add(g)
}

// The greatest and the least magnitude that is drawn: far beyond any measurement, and safe from overflow in what is computed of
// it.
const greatest, least = 1e15, 1e-12

// finite tells whether x can be drawn on a linear axis: a number of at most 10¹⁵.
func finite(x float64) bool { return math.Abs(x) <= greatest }

// positive tells whether x can be drawn on a logarithmic axis: a number from 10⁻¹² to 10¹⁵.
func positive(x float64) bool { return x >= least && x <= greatest }
