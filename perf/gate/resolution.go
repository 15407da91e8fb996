package gate

import (
	"math"

	"github.com/apex-x/apexx/perf/stat"
)

// residuals returns block values less the estimate of their series, scaled for the degree of freedom that it took.
func residuals(values []float64) (out []float64) {
	if len(values) < minScreenBlocks {
		return nil
	}
	center, grow := shift(values), math.Sqrt(float64(len(values))/float64(len(values)-1))
	for _, v := range values {
		out = append(out, (v-center)*grow)
	}
	return out
}

// spread returns the robust standard deviation of block values about the estimates of their series, pooled: the median of the
// magnitudes over that of a standard normal distribution. (The median absolute deviation from the median is 0 where three of five
// blocks agree, however far off the others are.)
func spread(list ...[]float64) float64 {
	var all []float64
	for _, values := range list {
		for _, r := range residuals(values) {
			all = append(all, math.Abs(r))
		}
	}
	if len(all) == 0 {
		return 0
	}
	return stat.Median(all) / normalQuantile(0.75)
}

// priorFreedom is how many degrees of freedom the noise of all cells counts for beside a cell's own, which five blocks alone do not
// tell well: with 4, equal builds of 40 cells would be inconclusive four times as often as with 12.
const priorFreedom = 12

// moderated returns the standard deviation of a cell's block values: its own, drawn towards that of all cells by their degrees of
// freedom, √((d₀·s₀² + d·s²)/(d₀+d)) (G. K. Smyth, "Linear Models and Empirical Bayes Methods", Statistical Applications in Genetics
// and Molecular Biology 3 (2004), with d₀ given).
func moderated(pooled float64, own ...[]float64) float64 {
	freedom := 0
	for _, values := range own {
		if len(values) >= minScreenBlocks {
			freedom += len(values) - 1
		}
	}
	s := spread(own...)
	return math.Sqrt((priorFreedom*pooled*pooled + float64(freedom)*s*s) / float64(priorFreedom+freedom))
}

// resolution returns the slowdown that would have been found with a power of 95 %, where blocks scatter by sd: its cell has to become
// a candidate on the screen, and then to be confirmed. An estimate has the variance of Hodges and Lehmann's under normal noise,
// π/3·sd²/n (Annals of Mathematical Statistics 34 (1963)); the signed-rank test is taken from the same normal approximation. What is
// slower by less may be missed.
func (p Policy) resolution(l Limit, sd float64) float64 {
	const power = 0.95
	screenError, confirmError := sd*math.Sqrt(math.Pi/3/float64(p.ScreenBlocks)), sd*math.Sqrt(math.Pi/3/float64(p.ConfirmBlocks))
	bar := max(math.Log1p(l.Delta), normalQuantile(1-p.Alpha)*confirmError)
	found := func(slowdown float64) bool {
		return beyond(math.Log1p(l.Delta/2), slowdown, screenError)*beyond(bar, slowdown, confirmError) >= power
	}
	low, high := bar, bar+20*(screenError+confirmError)
	for range 60 {
		if middle := low + (high-low)/2; found(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return math.Expm1(high)
}

// beyond is the probability that an estimate with a standard error comes out at a bar or above.
func beyond(bar, truth, standardError float64) float64 {
	if standardError == 0 {
		if truth >= bar {
			return 1
		}
		return 0
	}
	return math.Erfc((bar-truth)/standardError/math.Sqrt2) / 2
}

// normalQuantile is the inverse of the standard normal distribution.
func normalQuantile(q float64) float64 { return math.Sqrt2 * math.Erfinv(2*q-1) }
