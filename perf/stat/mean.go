package stat

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// MeanInterval returns the mean of x and half the width of its confidence interval by Student's t distribution with n-1 degrees
// of freedom, t·s/√n, in the unit of x. Confidence is in (0, 1). The half width is NaN for fewer than two values, the mean too for
// none.
func MeanInterval(x []float64, confidence float64) (mean, halfWidth float64) {
	n := float64(len(x))
	for _, v := range x {
		mean += v / n
	}
	if len(x) < 2 || !(confidence > 0 && confidence < 1) {
		if len(x) == 0 {
			mean = math.NaN()
		}
		return mean, math.NaN()
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile((1 + confidence) / 2)
	return mean, t * StandardDeviation(x) / math.Sqrt(n)
}
