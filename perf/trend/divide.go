package trend

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// The parameters of ChangePoints.
const (
	MinSegment   = 5    // least number of values between two change points
	Permutations = 199  // of the test of a change point
	Significance = 0.05 // greatest p of a change point
)

// Division is one change point of a series.
type Division struct {
	Index int     // of the first value after the change
	P     float64 // of the permutation test: a multiple of 1/(Permutations+1), or an upper bound below Significance
}

// ChangePoints finds where the distribution of x changes, by e-divisive means (D. S. Matteson and N. A. James, "A Nonparametric
// Approach for Multiple Change Point Analysis of Multivariate Data", Journal of the American Statistical Association 109 (2014)):
// hierarchical bisection by the energy statistic with exponent α = 1. Inside every segment, the split at τ with the end κ of the
// right part is chosen that maximises
//
//	Q = n·m/(n+m) · (2/(n·m)·Σ|x_i-y_j| - 2/(n·(n-1))·Σ|x_i-x_k| - 2/(m·(m-1))·Σ|y_j-y_k|),
//
// x being the n values from the segment's start to τ and y the m values from τ to κ; the best over all segments is tested. Under
// the null hypothesis the values of a segment can be exchanged, so they are permuted Permutations times inside their segments: the
// change is kept, and its segment divided, if the share of at least as great a Q, the original counted in, is at most
// Significance. Segments have at least MinSegment values, so a series shorter than two of them has no change point.
//
// The permutations depend on seed alone. The result is in ascending order. The time is quadratic in len(x) per permutation, the
// memory linear. A value that is not finite is an error.
func ChangePoints(x []float64, seed uint64) ([]Division, error) {
	for i, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("value %d of the series is %v; change points need finite values", i+1, v)
		}
	}
	random := rand.New(rand.NewPCG(seed, 0))
	bounds := []int{0, len(x)}
	var found []Division
	for {
		tau, q := bestSplit(x, bounds)
		if tau < 0 {
			break
		}
		p, kept := permutationTest(x, bounds, q, random)
		if !kept {
			break
		}
		found = append(found, Division{tau, p})
		bounds = append(bounds, tau)
		slices.Sort(bounds)
	}
	slices.SortFunc(found, func(a, b Division) int { return a.Index - b.Index })
	return found, nil
}

// permutationTest returns the p of the statistic q and whether it is significant. It stops as soon as it cannot be.
func permutationTest(x []float64, bounds []int, q float64, random *rand.Rand) (p float64, significant bool) {
	permuted := slices.Clone(x)
	reached := 1 // the series itself
	for range Permutations {
		for i, end := range bounds[1:] {
			segment := permuted[bounds[i]:end]
			random.Shuffle(len(segment), func(a, b int) { segment[a], segment[b] = segment[b], segment[a] })
		}
		// Sums in another order differ in the last digits; equal statistics count as reached.
		if _, other := bestSplit(permuted, bounds); other >= q*(1-1e-9) {
			reached++
		}
		if float64(reached) > Significance*(Permutations+1) {
			return 1, false
		}
	}
	return float64(reached) / (Permutations + 1), true
}

// bestSplit returns the split with the greatest statistic over all segments, or -1 where none can be split.
func bestSplit(x []float64, bounds []int) (tau int, q float64) {
	tau = -1
	for i, end := range bounds[1:] {
		start := bounds[i]
		if at, value := splitSegment(x[start:end]); at >= 0 && (tau < 0 || value > q) {
			tau, q = start+at, value
		}
	}
	return tau, q
}

// splitSegment maximises Q over τ and κ. While κ grows by one value, right[τ] grows by the distances of that value to those from τ
// on; left[κ], the sum over all before κ, is right[0]. With the sums L, R and B within the left part, within the right part and
// between them,
//
//	Q·(n+m)/2 = B - m·L/(n-1) - n·R/(m-1),
//
// which is free of divisions where the inner loop is.
func splitSegment(x []float64) (tau int, q float64) {
	tau = -1
	right := make([]float64, len(x)+1)    // right[τ] = Σ |x_i-x_k| over τ ≤ i < k < κ
	left := make([]float64, len(x)+1)     // left[τ] = Σ |x_i-x_k| over i < k < τ
	leftMean := make([]float64, len(x)+1) // left[τ]/(τ-1)
	inverse := make([]float64, len(x))    // inverse[k] = 1/k
	for k := 1; k < len(x); k++ {
		inverse[k] = 1 / float64(k)
	}
	for last, value := range x {
		kappa := last + 1
		sum := 0.0
		for t := last - 1; t >= 0; t-- {
			sum += math.Abs(x[t] - value)
			right[t] += sum
		}
		left[kappa] = right[0]
		leftMean[kappa] = left[kappa] / max(float64(last), 1)
		best, at := math.Inf(-1), -1
		for t := MinSegment; t <= kappa-MinSegment; t++ {
			n, m := float64(t), float64(kappa-t)
			within := right[t] * (1 + n*inverse[kappa-t-1])
			if g := left[kappa] - left[t] - m*leftMean[t] - within; g > best {
				best, at = g, t
			}
		}
		if best *= 2 / float64(kappa); at >= 0 && (tau < 0 || best > q) {
			tau, q = at, best
		}
	}
	return tau, q
}
