package parity

import (
	"math"
	"slices"
)

// relEps bounds the denominator of relative errors from below (spec/runtime.md 6.2).
const relEps = 1e-12

// Histogram counts absolute errors by decade. Decades[i] counts errors in [10^(i-13), 10^(i-12)); the first decade also takes
// everything smaller and the last, from 10^2, everything larger.
type Histogram struct {
	Zero      int     `json:"zero"` // equal elements, -0 and +0 and matching non-finite values included
	Decades   [16]int `json:"decades"`
	NonFinite int     `json:"non_finite"` // a non-finite value beside anything but its like
}

// FirstDecade is the exponent of the lower bound of Histogram.Decades[0].
const FirstDecade = -13

var decadeBounds = [...]float64{1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2}

func (h *Histogram) add(abs float64) {
	if abs == 0 {
		h.Zero++
		return
	}
	lo, hi := 0, len(decadeBounds)
	for lo < hi {
		mid := (lo + hi) / 2
		if abs < decadeBounds[mid] {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	h.Decades[lo]++
}

// largest keeps the n largest of the values offered; once it is full, values is a min-heap.
type largest struct {
	values []float64
	n      int
}

func (l *largest) offer(v float64) {
	switch {
	case len(l.values) < l.n:
		l.values = append(l.values, v)
		if len(l.values) == l.n {
			slices.Sort(l.values)
		}
	case v > l.values[0]:
		l.values[0] = v
		l.sink()
	}
}

// sink restores the heap below a new root.
func (l *largest) sink() {
	for at := 0; ; {
		child := 2*at + 1
		if child >= l.n {
			return
		}
		if child+1 < l.n && l.values[child+1] < l.values[child] {
			child++
		}
		if l.values[at] <= l.values[child] {
			return
		}
		l.values[at], l.values[child] = l.values[child], l.values[at]
		at = child
	}
}

// least returns the n-th largest value, 0 when fewer were offered.
func (l *largest) least() float64 {
	if len(l.values) < l.n {
		return 0
	}
	return l.values[0]
}

// measure accumulates the numbers of one pair of tensors.
type measure struct {
	tol                    Tolerance
	finite                 int // pairs of finite values
	mismatches, nonFinite  int
	signedZeros            int
	sumAbs, sumRel, sumErr float64
	sumSq, sumRef, sumCand float64 // of squares
	dot                    float64
	maxAbs, maxRel         float64
	maxMagnitude           float64 // of the reference
	maxULP                 uint64
	abs, rel               largest
	hist                   Histogram

	worst               int // flat index of the worst element, -1 while all are equal
	worstExcess, worstD float64
}

func newMeasure(tol Tolerance, n int) *measure {
	keep := tol.budget(n) + 1
	return &measure{tol: tol, worst: -1, abs: largest{n: keep}, rel: largest{n: keep}}
}

// add takes the pair of values at flat index i, ulp apart in the candidate's type. Both are finite.
func (m *measure) add(i int, ref, cand float64, ulp uint64) {
	d := cand - ref
	abs, mag := math.Abs(d), math.Abs(ref)
	m.finite++
	m.hist.add(abs)
	m.sumRef += ref * ref
	m.sumCand += cand * cand
	m.dot += ref * cand
	m.maxMagnitude = max(m.maxMagnitude, mag)
	if abs == 0 {
		if ref == 0 && math.Signbit(ref) != math.Signbit(cand) {
			m.signedZeros++
		}
		return
	}
	rel := abs / max(mag, relEps)
	m.sumAbs += abs
	m.sumRel += rel
	m.sumErr += d
	m.sumSq += d * d
	m.maxAbs, m.maxRel, m.maxULP = max(m.maxAbs, abs), max(m.maxRel, rel), max(m.maxULP, ulp)
	m.abs.offer(abs)
	m.rel.offer(smallestRel(abs, mag))
	allowed := m.tol.allowed(ref)
	if abs > allowed {
		m.mismatches++
	}
	m.rank(i, abs, abs/allowed)
}

// addNonFinite takes a pair of which at least one value is NaN or infinite: equal values match, anything else does not.
func (m *measure) addNonFinite(i int, ref, cand float64) {
	if ref == cand || math.IsNaN(ref) && math.IsNaN(cand) {
		m.hist.Zero++
		return
	}
	m.hist.NonFinite++
	m.nonFinite++
	m.mismatches++
	m.rank(i, math.Inf(1), math.Inf(1))
}

// rank keeps the element farthest beyond its own tolerance, and of those the one with the largest error.
func (m *measure) rank(i int, abs, excess float64) {
	if m.worst < 0 || excess > m.worstExcess || excess == m.worstExcess && abs > m.worstD {
		m.worst, m.worstExcess, m.worstD = i, excess, abs
	}
}

// smallestRel returns the smallest r, within rounding, with abs ≤ r·mag as computed in float64; +Inf when there is none.
func smallestRel(abs, mag float64) float64 {
	if mag == 0 {
		return math.Inf(1)
	}
	r := abs / mag
	for r*mag < abs && !math.IsInf(r, 1) {
		r = math.Nextafter(r, math.Inf(1))
	}
	return r
}

// ulpDistance returns how many representable values lie between two finite numbers of type T, counting one of the ends.
// -0 and +0 are the same value. Numbers map to integers in their order, so the distance is a difference.
func ulpDistance[T float32 | float64](a, b T) uint64 {
	x, y := ordinal(a), ordinal(b)
	if x < y {
		x, y = y, x
	}
	return uint64(x) - uint64(y) // exact in two's complement even where int64 would overflow
}

func ordinal[T float32 | float64](v T) int64 {
	var bits int64
	switch v := any(v).(type) {
	case float32:
		bits = int64(int32(math.Float32bits(v)))
		if bits < 0 {
			return -int64(math.Float32bits(v) &^ (1 << 31))
		}
	case float64:
		bits = int64(math.Float64bits(v))
		if bits < 0 {
			return -int64(math.Float64bits(v) &^ (1 << 63))
		}
	}
	return bits
}
