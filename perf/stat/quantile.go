package stat

import (
	"math"
	"slices"

	"github.com/montanaflynn/stats"
)

// normalMAD turns the median absolute deviation of a normal distribution into its standard deviation: 1/Φ⁻¹(3/4).
const normalMAD = 1.4826

// Median returns the middle value of x, for an even number the mean of the two in the middle. It is NaN where x is empty or
// holds a NaN. It leaves x as it is.
func Median(x []float64) float64 {
	if anyNaN(x) {
		return math.NaN()
	}
	m, err := stats.Median(x)
	if err != nil { // empty
		return math.NaN()
	}
	return m
}

// Quantile returns the q-quantile of x, q in [0, 1]: with h = q·(n-1), the value between the order statistics ⌊h⌋ and ⌈h⌉
// (from 0) by linear interpolation. That is definition 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", The
// American Statistician 50 (1996); its 0.5-quantile is Median. It is NaN where x is empty or holds a NaN, or q is outside of
// [0, 1]. It leaves x as it is.
func Quantile(x []float64, q float64) float64 {
	if len(x) == 0 || anyNaN(x) || !(q >= 0 && q <= 1) {
		return math.NaN()
	}
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	h := q * float64(len(x)-1)
	below := math.Floor(h)
	low := sorted[int(below)]
	if h == below {
		return low
	}
	high := sorted[int(below)+1]
	if low == high { // also where both are infinite
		return low
	}
	return low + (h-below)*(high-low)
}

// StandardDeviation returns the sample standard deviation of x, whose divisor is n-1, in the unit of x. It is NaN where there
// are fewer than two values or one of them is NaN.
func StandardDeviation(x []float64) float64 {
	if len(x) < 2 {
		return math.NaN()
	}
	sd, err := stats.StandardDeviationSample(x)
	if err != nil {
		return math.NaN()
	}
	return sd
}

// RobustSD estimates the standard deviation of x, in its unit, such that up to half of the values may be outliers: 1.4826 times
// the median absolute deviation from the median. It is NaN where x is empty or holds a NaN.
func RobustSD(x []float64) float64 {
	center := Median(x)
	deviations := make([]float64, len(x))
	for i, v := range x {
		deviations[i] = math.Abs(v - center)
	}
	return normalMAD * Median(deviations)
}

func anyNaN(x []float64) bool { return slices.ContainsFunc(x, math.IsNaN) }

func finite(x []float64) bool {
	return !slices.ContainsFunc(x, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
}
