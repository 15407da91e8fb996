package gate

import (
	"math"

	"github.com/apex-x/apexx/perf/stat"
)

// scatter is what is known of how the block values of a cell scatter: about the variance, sd² is what ν·sd²/χ² is distributed about,
// with ν degrees of freedom.
type scatter struct {
	sd      float64
	freedom float64
}

// priorFreedom is how many degrees of freedom the noise of the other cells counts for beside a cell's own. Five blocks of a cell alone
// do not tell its noise well, and the noise of others does not either. It is fitted by moments (Smyth's, from the variance of log s²)
// to the two screens of 40 cells on the EPYC (baselines/evidence), which say 1.9 and 2.8; the error rates are those on every machine.
const priorFreedom = 2

// scatterOf returns what the block values of a cell say, moderated by the other cells of its kind: s² = (d₀·s₀² + d·s²)/(d₀+d)
// (G. K. Smyth, "Linear Models and Empirical Bayes Methods", Statistical Applications in Genetics and Molecular Biology 3 (2004)).
// Where there are no others, its own blocks are all there is.
func scatterOf(own []float64, others ...[]float64) scatter {
	return moderated(own, stat.Shamos(others...))
}

// moderated is scatterOf by what the others say, NaN where there are none.
func moderated(own []float64, prior float64) scatter {
	freedom, bias := stat.ShamosFreedom(len(own))
	variance := square(stat.Shamos(own)) / bias
	if math.IsNaN(prior) {
		return scatter{math.Sqrt(variance), freedom}
	}
	return scatter{math.Sqrt((priorFreedom*prior*prior + freedom*variance) / (priorFreedom + freedom)), priorFreedom + freedom}
}

// power is the share of the slowdowns of a size that a pass asks to be found.
const power = 0.95

// finding tells whether cells that scatter like this one are found with the power asked for when they are slower by a ratio: they
// have to become a candidate on the screen, and then to be confirmed, by the estimate and by the test. An estimate has the variance of
// Hodges and Lehmann's under normal noise, π/3·sd²/n (Annals of Mathematical Statistics 34 (1963)). What the sd may be is averaged over
// (fiducially, as Student's t does), since few blocks do not tell it.
func (p Policy) finding(l Limit, s scatter) func(slowdown float64) bool {
	return p.findingBeyond(l, s, 0)
}

// findingBeyond is finding where a candidate also has to lie beyond so many standard errors of the screen.
func (p Policy) findingBeyond(l Limit, s scatter, margin float64) func(slowdown float64) bool {
	bar, width := testPower(p.ConfirmBlocks, p.Alpha)
	return s.finds(func(by, sd float64) float64 {
		error := standardError(sd, p.ScreenBlocks)
		screened := beyond(max(math.Log1p(l.Delta/2), margin*error), by, error)
		estimated := beyond(math.Log1p(l.Delta), by, standardError(sd, p.ConfirmBlocks))
		return screened * min(estimated, beyond(bar*sd, by, width*sd))
	})
}

// testPower says where the signed-rank test of n blocks finds a shift, in units of their sd: half of the time at bar, with a normal
// distribution as wide as width. Under a shift h, the statistic has the mean n·p₁ + n(n-1)/2·p₂ and the variance
// n(n-1)(n-2)(p₃-p₂²) + n(n-1)/2·(2(p₁-p₂)² + 3p₂(1-p₂)) + n·p₁(1-p₁) with p₁ = Φ(h), p₂ = Φ(√2·h), p₃ = E Φ(z+2h)² (E. L. Lehmann,
// "Nonparametrics: Statistical Methods Based on Ranks", chapter 4). It has to reach the value that has the probability α without a
// shift: far more than small shifts make likely, because the statistic is bounded.
func testPower(blocks int, alpha float64) (bar, width float64) {
	n := float64(blocks)
	critical := min(n*(n+1)/4+normalQuantile(1-alpha)*math.Sqrt(n*(n+1)*(2*n+1)/24), n*(n+1)/2-0.5)
	mean := func(h float64) float64 {
		return n*beyond(0, h, 1) + n*(n-1)/2*beyond(0, h, math.Sqrt2/2)
	}
	bar = least(func(h float64) bool { return mean(h) >= critical })
	p1, p2, p3 := beyond(0, bar, 1), beyond(0, bar, math.Sqrt2/2), 0.0
	for _, z := range normalQuantiles {
		p3 += square(beyond(0, z+2*bar, 1)) / float64(len(normalQuantiles))
	}
	variance := n*(n-1)*(n-2)*max(p3-p2*p2, 0) + n*(n-1)/2*(2*square(p1-p2)+3*p2*(1-p2)) + n*p1*(1-p1)
	const step = 1e-4
	return bar, math.Sqrt(variance) * 2 * step / (mean(bar+step) - mean(bar-step))
}

// finds averages a probability of being found, which depends on a slowdown in log units and on the sd of the blocks, over the sd.
func (s scatter) finds(probability func(by, sd float64) float64) func(slowdown float64) bool {
	sds := s.quantiles()
	return func(slowdown float64) bool {
		by, sum := math.Log1p(slowdown), 0.0
		for _, sd := range sds {
			sum += probability(by, sd)
		}
		return sum >= power*float64(len(sds))
	}
}

// quantiles returns what the standard deviation may be, with equal probabilities: sd·√(ν/χ²), by E. B. Wilson and M. M. Hilferty's
// approximation of χ²/ν, (1 - a + z·√a)³ with a = 2/9ν ("The Distribution of Chi-Square", PNAS 17 (1931)).
func (s scatter) quantiles() (sds [len(normalQuantiles)]float64) {
	a := 2 / (9 * s.freedom)
	for i, z := range normalQuantiles {
		root := max(1-a+z*math.Sqrt(a), 0.1) // where the freedom is small, the approximation runs into zero
		sds[i] = s.sd / math.Sqrt(root*root*root)
	}
	return sds
}

// normalQuantiles are those of the standard normal distribution in the middles of equal probabilities.
var normalQuantiles = func() (list [64]float64) {
	for i := range list {
		list[i] = normalQuantile((float64(i) + 0.5) / float64(len(list)))
	}
	return list
}()

// least returns the least number above 0 that something holds for which holds for all greater ones: of what finds slowdowns, the
// resolution.
func least(holds func(x float64) bool) float64 {
	low, high := 0.0, 1.0
	for !holds(high) {
		low, high = high, 2*high
	}
	for range 50 {
		if middle := low + (high-low)/2; holds(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// standardError is that of the estimate of blocks that scatter by sd.
func standardError(sd float64, blocks int) float64 {
	return sd * math.Sqrt(math.Pi/3/float64(blocks))
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
