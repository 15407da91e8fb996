package stat

import (
	"math"
	"slices"
)

// HodgesLehmann estimates the centre of symmetry of x, in its unit: the median of the Walsh averages (x_i + x_j)/2 with i ≤ j
// (J. L. Hodges and E. L. Lehmann, "Estimates of Location Based on Rank Tests", Annals of Mathematical Statistics 34 (1963)). It
// is NaN where x is empty or holds a value that is not finite.
func HodgesLehmann(x []float64) float64 {
	if len(x) == 0 || !finite(x) {
		return math.NaN()
	}
	return Median(walshAverages(x))
}

// HodgesLehmannInterval returns a distribution-free confidence interval of the centre of symmetry of x, in its unit, by
// inverting the two-sided signed-rank test: from the k-th smallest to the k-th greatest Walsh average, with the greatest k that
// covers the centre with at least the given confidence (in (0, 1)). Coverage comes in steps; attained is what this one has,
// 1 - 2·P(W < k), W being the signed-rank sum of len(x) values without ties (with ties it covers more).
//
// Where there are too few values for the confidence the interval runs from the least to the greatest Walsh average, and attained,
// 1 - 2^(1-n), is less than confidence. Where x is empty or holds a value that is not finite, the ends are NaN and attained is 0.
func HodgesLehmannInterval(x []float64, confidence float64) (low, high, attained float64) {
	if len(x) == 0 || !finite(x) {
		return math.NaN(), math.NaN(), 0
	}
	ranks := make([]int, len(x))
	for i := range ranks {
		ranks[i] = i + 1
	}
	p := rankSums(ranks)
	k, tail := 1, p[0] // tail: P(W < k)
	for 1-2*(tail+p[k]) >= confidence {
		tail += p[k]
		k++
	}
	averages := walshAverages(x)
	slices.Sort(averages)
	return averages[k-1], averages[len(averages)-k], 1 - 2*tail
}

// walshAverages returns the n·(n+1)/2 means of pairs, each value with itself included. Halving first keeps sums from overflowing.
func walshAverages(x []float64) []float64 {
	averages := make([]float64, 0, len(x)*(len(x)+1)/2)
	for i, a := range x {
		averages = append(averages, a)
		for _, b := range x[:i] {
			averages = append(averages, a/2+b/2)
		}
	}
	return averages
}
