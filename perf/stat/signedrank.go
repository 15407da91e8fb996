package stat

import (
	"cmp"
	"math"
	"slices"
)

// SignedRank returns the exact one-sided probability of Wilcoxon's signed-rank test: how likely the rank sum of the positive
// values would be at least as great as in x, if every value had either sign with equal probability (x symmetric about 0). A
// small p says that x lies above 0.
//
// Equal magnitudes share the mean of their ranks, and the distribution is that of the very ranks of x, so p is exact with ties
// too. Zeros take part in the ranking and are then left out (J. W. Pratt, "Remarks on Zeros and Ties in the Wilcoxon Signed Rank
// Procedures", Journal of the American Statistical Association 54 (1959)). The result is at least SmallestP(len(x)). It is 1,
// never significant, where x is empty, holds nothing but zeros, or a value that is not finite.
func SignedRank(x []float64) float64 {
	if !finite(x) {
		return 1
	}
	ranks, observed := doubledRanks(x)
	return upperTail(rankSums(ranks), observed)
}

// SmallestP returns 2⁻ⁿ, the least p that SignedRank can give for n values: only one of the 2ⁿ patterns of signs is all positive.
// It is 1 where n < 1.
func SmallestP(n int) float64 { return math.Ldexp(1, -max(n, 0)) }

// doubledRanks returns twice the midrank of every non-zero magnitude of x, which is an integer, and twice the sum of the ranks
// of the positive values.
func doubledRanks(x []float64) (ranks []int, positive int) {
	sorted := slices.Clone(x)
	slices.SortFunc(sorted, func(a, b float64) int { return cmp.Compare(math.Abs(a), math.Abs(b)) })
	for start := 0; start < len(sorted); {
		end := start + 1
		for end < len(sorted) && math.Abs(sorted[end]) == math.Abs(sorted[start]) {
			end++
		}
		rank := start + 1 + end // the group has the ranks start+1 to end, whose mean is half of this
		for _, v := range sorted[start:end] {
			if v == 0 {
				continue
			}
			ranks = append(ranks, rank)
			if v > 0 {
				positive += rank
			}
		}
		start = end
	}
	return ranks, positive
}

// rankSums returns the distribution of the sum of a random half of the ranks: the element s is the probability of the sum s.
// Probabilities, unlike counts, do not overflow; halving is exact.
func rankSums(ranks []int) []float64 {
	total := 0
	for _, r := range ranks {
		total += r
	}
	p := make([]float64, total+1)
	p[0] = 1
	reached := 0
	for _, r := range ranks {
		reached += r
		for s := reached; s >= r; s-- {
			p[s] = (p[s] + p[s-r]) / 2
		}
		for s := r - 1; s >= 0; s-- {
			p[s] /= 2
		}
	}
	return p
}

// upperTail sums the probabilities from the index on, the small ones first.
func upperTail(p []float64, from int) float64 {
	tail := 0.0
	for s := len(p) - 1; s >= from; s-- {
		tail += p[s]
	}
	return min(tail, 1)
}
