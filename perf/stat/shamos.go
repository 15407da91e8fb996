package stat

import "math"

// Shamos estimates the standard deviation of normal values about the centre of their series, in their unit: the median distance of
// two values of one series, over that of a standard normal distribution (M. I. Shamos, "Geometry and Statistics: Problems at the
// Interface", 1976). It belongs to the estimate of Hodges and Lehmann as the standard deviation belongs to the mean: no outlier
// beyond 29 % of the values moves it far, and it is 86 % as efficient as the standard deviation (P. J. Rousseeuw and C. Croux,
// "Alternatives to the Median Absolute Deviation", Journal of the American Statistical Association 88 (1993)). It is NaN where no
// series has two values, or one holds a value that is not finite.
//
// Of few values it is too large: ShamosFreedom says by how much.
func Shamos(series ...[]float64) float64 {
	pairs := 0
	for _, x := range series {
		pairs += len(x) * (len(x) - 1) / 2
	}
	distances := make([]float64, 0, pairs)
	for _, x := range series {
		if !finite(x) {
			return math.NaN()
		}
		for i, a := range x {
			for _, b := range x[:i] {
				distances = append(distances, math.Abs(a-b))
			}
		}
	}
	if len(distances) == 0 {
		return math.NaN()
	}
	return Median(distances) / (math.Sqrt2 * normalUpperQuartile)
}

// normalUpperQuartile is that of the standard normal distribution.
const normalUpperQuartile = 0.67448975019608171

// ShamosFreedom says how the square of Shamos' estimate of n ≥ 3 normal values scatters: it is about bias·σ²·χ²/freedom with that many
// degrees of freedom. Both are fitted to simulations of 3 to 40 values; from 5 on, the freedom is right to 5 % and the bias to 2 %,
// and with fewer values the freedom is too small rather than too large.
func ShamosFreedom(n int) (freedom, bias float64) {
	return 0.86*float64(n-1) - 0.5, 1 + 1.6/float64(n-1)
}
