package gate

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/apex-x/apexx/perf/env"
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
	e.Base, e.Head = rounded(s.metric.shown(stat.Median(s.base))), rounded(s.metric.shown(stat.Median(s.head)))
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

// candidate tells whether a screened series has to be confirmed: greater by half of δ or more.
func (l Limit) candidate(values []float64) bool {
	return len(values) >= minScreenBlocks && shift(values) >= math.Log1p(l.Delta/2)
}

// reached tells whether the estimate of a series is δ or more.
func (l Limit) reached(values []float64) bool {
	return len(values) >= minScreenBlocks && shift(values) >= math.Log1p(l.Delta)
}

// exceeded tells whether the blocks of a confirmation show a regression: their estimate reaches δ, and the signed-rank test α.
func (l Limit) exceeded(values []float64, alpha float64) bool {
	return l.reached(values) && stat.SignedRank(values) <= alpha
}

// fires tells whether a control says that the machine moved: its estimate, to either side, reaches δ, and the signed-rank test
// to that side α. Where there are too few blocks for α, every one of them has to agree.
func (p Policy) fires(values []float64, delta float64) bool {
	if len(values) < minScreenBlocks {
		return false
	}
	by := shift(values)
	if math.Abs(by) < math.Log1p(delta) {
		return false
	}
	toSide := slices.Clone(values)
	for i := range toSide {
		toSide[i] = math.Copysign(1, by) * toSide[i]
	}
	return stat.SignedRank(toSide) <= max(p.Alpha, stat.SmallestP(len(values)))
}

// screened is a cell on the screen.
type screened struct {
	kind   env.Kind // of the machine that executed it
	target Target   // what counts there
	values map[Metric][]float64

	others  [][]float64 // times of the other cells of its kind, which its noise is moderated by
	scatter scatter     // of its time
	noisy   bool        // what could be missed is more than may be

	steps stepScreen
}

// observe finds out how noisy the cells of a screen are.
func (p Policy) observe(screen []screened) {
	for i := range screen {
		s := &screen[i]
		if len(s.values[Time]) < minScreenBlocks {
			continue
		}
		for j, other := range screen {
			if j != i && other.kind == s.kind && len(other.values[Time]) >= minScreenBlocks {
				s.others = append(s.others, other.values[Time])
			}
		}
		s.scatter = scatterOf(s.values[Time], s.others...)
		s.noisy = !p.finding(s.target.Limits.Time, s.scatter)(s.target.MaxResolution)
	}
}

// candidates returns the metrics that grew on the screen and have to be confirmed.
func (s screened) candidates() (list []Metric) {
	for _, k := range Metrics {
		if s.target.Limits.Of(k).candidate(s.values[k]) {
			list = append(list, k)
		}
	}
	return list
}

// asked returns the metrics that a confirmation of the cell is to tell: those that grew, and the time of a noisy cell.
func (s screened) asked() []Metric {
	list := s.candidates()
	if s.noisy && !slices.Contains(list, Time) {
		list = append(list, Time)
	}
	return list
}

// grew tells whether a metric or a step of the cell has to be confirmed.
func (s screened) grew() bool { return len(s.candidates()) > 0 || len(s.steps.candidates) > 0 }

// lead says how far the cell is ahead in line for the confirmation: by its time, and, behind every cell that is slower, by the
// metric or the step that grew most in units of its δ. A build that compiles longer everywhere must not keep a slower cell from being confirmed.
func (s screened) lead() (time, other float64) {
	for _, k := range s.candidates() {
		l := s.target.Limits.Of(k)
		by := shift(s.values[k]) / math.Log1p(l.Delta)
		if k == Time {
			time = by
		} else {
			other = max(other, by)
		}
	}
	return time, max(other, s.steps.lead)
}

// worst returns the indices of the cells to confirm, and of the candidates that are passed over: the worst candidates come first. Other
// cells that are noisy come behind, twice as many: two or three of 40 are by chance, on the machines of
// baselines/evidence. Where they are more, the machine is not fit, and nothing is gained by measuring some of them anew.
func (p Policy) worst(screen []screened) (confirm, rest []int) {
	var noisy []int
	for i, s := range screen {
		switch {
		case s.grew():
			confirm = append(confirm, i)
		case s.noisy:
			noisy = append(noisy, i)
		}
	}
	slices.SortStableFunc(confirm, func(a, b int) int {
		timeA, otherA := screen[a].lead()
		timeB, otherB := screen[b].lead()
		return cmp.Or(cmp.Compare(timeB, timeA), cmp.Compare(otherB, otherA))
	})
	n := min(p.MaxConfirm, len(confirm))
	confirm, rest = confirm[:n:n], confirm[n:]
	for _, i := range rest {
		if screen[i].noisy {
			noisy = append(noisy, i)
		}
	}
	if len(noisy) <= 2*p.MaxConfirm {
		confirm = append(confirm, noisy...)
		rest = slices.DeleteFunc(rest, func(i int) bool { return screen[i].noisy })
	}
	return confirm, rest
}
