package gate

import (
	"math"
	"slices"
	"strconv"

	"github.com/apex-x/apexx/perf/stat"
)

// intervalConfidence is what the interval of an estimate is asked for; few blocks give less.
const intervalConfidence = 0.90

// estimate sums up a series, nil where it has too few blocks to say anything.
func (s series) estimate() *Estimate {
	e := &Estimate{Blocks: len(s.values), Dropped: len(s.dropped), Values: make([]float64, len(s.values))}
	if e.Blocks < minScreenBlocks {
		return nil
	}
	low, high, _ := stat.HodgesLehmannInterval(s.values, intervalConfidence)
	e.Ratio, e.Low, e.High = rounded(math.Exp(stat.HodgesLehmann(s.values))), rounded(math.Exp(low)), rounded(math.Exp(high))
	e.P = rounded(stat.SignedRank(s.values))
	e.BaseMS, e.HeadMS = rounded(stat.Median(s.base)), rounded(stat.Median(s.head))
	for i, v := range s.values {
		e.Values[i] = rounded(v)
	}
	return e
}

// rounded keeps eight significant digits: more than any measurement has, and few enough that processors with and without fused
// multiply-add agree on them.
func rounded(x float64) float64 {
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 8, 64), 64)
	if err != nil {
		return x
	}
	return y
}

// shift returns the Hodges-Lehmann estimate in log units.
func shift(values []float64) float64 { return stat.HodgesLehmann(values) }

// candidate tells whether a screened cell has to be confirmed: slower by half of δ or more.
func (p Policy) candidate(values []float64) bool {
	return len(values) >= minScreenBlocks && shift(values) >= math.Log1p(p.Delta/2)
}

// slower tells whether the blocks of a confirmation show a regression, and whether its estimate alone would.
func (p Policy) slower(values []float64) (beyondDoubt, byEstimate bool) {
	if len(values) == 0 {
		return false, false
	}
	byEstimate = shift(values) >= math.Log1p(p.Delta)
	return byEstimate && stat.SignedRank(values) <= p.Alpha, byEstimate
}

// fires tells whether a control says that the machine moved: its estimate, to either side, reaches δ, and the signed-rank test
// to that side α. Where there are too few blocks for α, every one of them has to agree.
func (p Policy) fires(values []float64) bool {
	if len(values) < minScreenBlocks {
		return false
	}
	by := shift(values)
	if math.Abs(by) < math.Log1p(p.Delta) {
		return false
	}
	toSide := slices.Clone(values)
	for i := range toSide {
		toSide[i] = math.Copysign(1, by) * toSide[i]
	}
	return stat.SignedRank(toSide) <= max(p.Alpha, stat.SmallestP(len(values)))
}

// worst returns the indices of the candidates to confirm, the slowest first, and of the others.
func (p Policy) worst(screen [][]float64) (confirm, rest []int) {
	for i, values := range screen {
		if p.candidate(values) {
			confirm = append(confirm, i)
		}
	}
	slices.SortStableFunc(confirm, func(a, b int) int {
		x, y := shift(screen[a]), shift(screen[b])
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	n := min(p.MaxConfirm, len(confirm))
	return confirm[:n], confirm[n:]
}

// spread returns the robust standard deviation of block values about the estimates of their cells, pooled over the cells.
func spread(screen [][]float64) float64 {
	var residuals []float64
	for _, values := range screen {
		if len(values) < minScreenBlocks {
			continue
		}
		center := shift(values)
		grow := math.Sqrt(float64(len(values)) / float64(len(values)-1)) // the estimate took one degree of freedom
		for _, v := range values {
			residuals = append(residuals, (v-center)*grow)
		}
	}
	if len(residuals) == 0 {
		return 0
	}
	return stat.RobustSD(residuals)
}

// resolution returns the slowdown that the confirmation would find with 95 % power when blocks scatter by sd: the estimate has
// to reach δ, and the signed-rank test α. Its variance is that of the Hodges-Lehmann estimate under normal noise, π/3·sd²/n
// (Hodges and Lehmann, 1963); the test's power is taken from the same normal approximation.
func (p Policy) resolution(sd float64) float64 {
	const power = 1.6448536269514722 // standard normal quantile of 0.95
	se := sd * math.Sqrt(math.Pi/3/float64(p.ConfirmBlocks))
	byEstimate := math.Log1p(p.Delta) + power*se
	byTest := (normalQuantile(1-p.Alpha) + power) * se
	return math.Expm1(max(byEstimate, byTest))
}

// normalQuantile is the inverse of the standard normal distribution.
func normalQuantile(q float64) float64 { return math.Sqrt2 * math.Erfinv(2*q-1) }
