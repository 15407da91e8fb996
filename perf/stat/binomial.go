package stat

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// ClopperPearson returns the exact two-sided confidence interval of a probability of which k of n independent trials came out
// (C. J. Clopper and E. S. Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial",
// Biometrika 26 (1934)): quantiles of beta distributions, each end with half of 1 - confidence beyond it. No trials give (0, 1).
// Where 0 ≤ k ≤ n or 0 < confidence < 1 does not hold, both ends are NaN.
func ClopperPearson(k, n int, confidence float64) (low, high float64) {
	if k < 0 || k > n || !(confidence > 0 && confidence < 1) {
		return math.NaN(), math.NaN()
	}
	beyond := (1 - confidence) / 2
	successes, failures := float64(k), float64(n-k)
	high = 1
	if k > 0 {
		low = mathext.InvRegIncBeta(successes, failures+1, beyond)
	}
	if k < n {
		high = mathext.InvRegIncBeta(successes+1, failures, 1-beyond)
	}
	return low, high
}
