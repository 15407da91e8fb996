package stat

import (
	"math"
	"sort"
)

// quantileConfidence is LoadGen's confidence in an estimated percentile.
const quantileConfidence = 0.99

// SamplesForQuantile returns how many independent samples an estimate of the q-quantile takes, by the early-stopping rule of
// MLPerf LoadGen with tolerance 0: the smallest n for which at most one of n samples would exceed the true quantile with a
// probability of at most 1 - confidence,
//
//	qⁿ + n·(1-q)·qⁿ⁻¹ ≤ 1 - confidence,
//
// the binomial distribution at t = 1. From that n on, the greatest sample is an upper confidence bound of the quantile that one
// more greater sample does not void. (LoadGen counts h = n - t samples below and evaluates the same sum as an incomplete beta
// function: find_min_passing in loadgen/early_stopping.cc and EarlyStopping in loadgen/results.cc of
// github.com/mlcommons/inference.) At 0.99 these are 64 samples for p90 and 662 for p99.
//
// q and confidence are in (0, 1). Where no number suffices, q or confidence being 1 or more or NaN, it returns math.MaxInt.
func SamplesForQuantile(q, confidence float64) int {
	const most = 1 << 40
	n := sort.Search(most, func(n int) bool { return atMostOneAbove(n, q) <= 1-confidence })
	if n == most || !(q < 1 && confidence < 1) {
		return math.MaxInt
	}
	return n
}

// QuantileHolds tells whether n independent samples suffice to estimate the q-quantile, with LoadGen's confidence of 0.99.
func QuantileHolds(n int, q float64) bool { return n >= SamplesForQuantile(q, quantileConfidence) }

// atMostOneAbove returns the probability that at most one of n samples exceeds the q-quantile.
func atMostOneAbove(n int, q float64) float64 {
	if n == 0 {
		return 1
	}
	count := float64(n)
	return math.Exp((count-1)*math.Log(q)) * (q + count*(1-q))
}
