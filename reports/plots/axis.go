package plots

import (
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Linear sets an axis to [low, high] with about n labelled ticks at round values.
func Linear(a *plot.Axis, low, high float64, n int) {
	if !(low < high) || math.IsInf(high-low, 0) {
		low, high = 0, 1
	}
	a.Min, a.Max = low, high
	a.Scale = plot.LinearScale{}
	step := roundStep((high - low) / float64(max(n, 1)))
	var ticks plot.ConstantTicks
	for k := math.Ceil(low/step - 1e-9); k*step <= high+step*1e-9; k++ {
		v := k * step
		ticks = append(ticks, plot.Tick{Value: min(max(v, low), high), Label: strconv.FormatFloat(roundTo(v, step), 'g', 6, 64)})
	}
	a.Tick.Marker = ticks
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

// Logarithmic sets an axis to a logarithmic scale over [low, high], both positive. Ticks are labelled at powers of ten; where
// those are fewer than three, also at 2 and 5 times them, or at 1 to 9 times.
func Logarithmic(a *plot.Axis, low, high float64) {
	if !(low > 0 && low < high) || math.IsInf(high, 0) {
		low, high = 1, 10
	}
	a.Min, a.Max = low, high
	a.Scale = plot.LogScale{}
	var ticks plot.ConstantTicks
	for _, labelled := range [][]int{{1}, {1, 2, 5}, {1, 2, 3, 4, 5, 6, 7, 8, 9}} {
		ticks = ticks[:0]
		count := 0
		for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
			for m := 1; m <= 9; m++ {
				v := float64(m) * math.Pow(10, e)
				if v < low || v > high {
					continue
				}
				tick := plot.Tick{Value: v}
				if slices.Contains(labelled, m) {
					tick.Label = strconv.FormatFloat(v, 'g', 3, 64)
					count++
				}
				ticks = append(ticks, tick)
			}
		}
		if count >= 3 {
			break
		}
	}
	a.Tick.Marker = ticks
}

// AddGrid draws lines at the labelled ticks. Add it before the data.
func AddGrid(p *plot.Plot) {
	g := plotter.NewGrid()
	g.Horizontal.Color, g.Vertical.Color = Grid, Grid
	g.Horizontal.Width, g.Vertical.Width = vg.Points(0.6), vg.Points(0.6)
	p.Add(g)
}

// Finite tells whether x can be drawn on a linear axis.
func Finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Positive tells whether x can be drawn on a logarithmic axis.
func Positive(x float64) bool { return x > 0 && Finite(x) }
