package parity

import (
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
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

// objects divides the elements of a tensor into what a mismatch ratio counts in. The zero value is one object of all.
type objects struct {
	at   func(flat int) int // object of an element, -1 for padding
	size []int              // elements of each object
}

// object collects what a mismatch ratio needs of one object.
type object struct {
	budget, mismatches int
	abs, rel           largest // errors, as many as one more than may mismatch
}

// measure accumulates the numbers of one pair of tensors.
type measure struct {
	tol                         Tolerance
	total                       int // pairs that are compared
	finite                      int // of these, pairs of finite values
	mismatches, nonFinite       int
	beyond                      int // mismatches that no ratio forgives
	signedZeros                 int
	sumAbs, sumRel, sumErr      float64
	sumSq, sumRef, sumCand      float64 // of squares
	dot                         float64
	maxAbs, maxRel, maxSmallest float64 // maxSmallest is the largest relative error without a bound of its denominator
	maxAngle                    float64 // of vectors
	maxULP                      uint64
	objectOf                    func(flat int) int // nil with one object of all
	objects                     []object           // the last one is padding
	hist                        Histogram

	worst, worstCand    int // flat indices of the worst element, -1 while all are equal
	worstExcess, worstD float64
}

func newMeasure(tol Tolerance, of objects, total int) *measure {
	m := &measure{tol: tol, total: total, worst: -1, objectOf: of.at}
	if of.at == nil {
		of.size = []int{total}
	}
	for _, n := range append(slices.Clone(of.size), 0) {
		budget := tol.budget(n)
		m.objects = append(m.objects, object{budget: budget, abs: largest{n: budget + 1}, rel: largest{n: budget + 1}})
	}
	return m
}

func (m *measure) object(flat int) *object {
	if m.objectOf == nil {
		return &m.objects[0]
	}
	at := m.objectOf(flat)
	if at < 0 {
		at = len(m.objects) - 1
	}
	return &m.objects[at]
}

// add takes a pair of finite values at their flat indices, ulp apart in the candidate's type.
func (m *measure) add(at, other int, ref, cand float64, ulp uint64) {
	d := cand - ref
	abs, mag := math.Abs(d), math.Abs(ref)
	m.finite++
	m.hist.add(abs)
	m.sumRef += ref * ref
	m.sumCand += cand * cand
	m.dot += ref * cand
	if abs == 0 {
		if ref == 0 && math.Signbit(ref) != math.Signbit(cand) {
			m.signedZeros++
		}
		return
	}
	rel, smallest := abs/max(mag, relEps), smallestRel(abs, mag)
	m.sumAbs += abs
	m.sumRel += rel
	m.sumErr += d
	m.sumSq += d * d
	m.maxAbs, m.maxRel, m.maxULP = max(m.maxAbs, abs), max(m.maxRel, rel), max(m.maxULP, ulp)
	m.maxSmallest = max(m.maxSmallest, smallest)
	o := m.object(at)
	o.abs.offer(abs)
	o.rel.offer(smallest)
	allowed := m.tol.allowed(ref)
	if abs > allowed {
		m.mismatches++
		o.mismatches++
	}
	if abs > forgiven*allowed {
		m.beyond++
	}
	m.rank(at, other, abs, abs/allowed)
}

// mismatch counts an element that no tolerance lets pass.
func (m *measure) mismatch(at int) {
	m.mismatches++
	m.beyond++
	m.object(at).mismatches++
}

// addNonFinite takes a pair of which at least one value is NaN or infinite: equal infinities match, anything else does not.
func (m *measure) addNonFinite(at, other int, ref, cand float64) {
	if ref == cand {
		m.hist.Zero++
		return
	}
	m.hist.NonFinite++
	m.nonFinite++
	m.mismatch(at)
	m.rank(at, other, math.Inf(1), math.Inf(1))
}

// turned judges the rows along the last axis as vectors instead of element by element: one mismatches, with all its elements,
// when its distance from the reference exceeds Angle·‖reference‖ or is no number.
func (m *measure) turned(ref, cand *tensor.Tensor, parts []stretch) {
	length := ref.Shape()[ref.Rank()-1]
	m.mismatches, m.beyond = 0, 0
	for _, p := range parts {
		for at := 0; at < p.n; at += length {
			var distance, norm float64
			for i := range length {
				r, c := element(ref, p.ref+at+i), element(cand, p.cand+at+i)
				distance += (c - r) * (c - r)
				norm += r * r
			}
			distance, norm = math.Sqrt(distance), math.Sqrt(norm)
			if distance > 0 {
				m.maxAngle = max(m.maxAngle, distance/norm)
			}
			if !(distance <= m.tol.Angle*norm) {
				m.mismatches += length
			}
		}
	}
}

// passes tells whether the mismatches of every object are within its budget, and none is too large to be forgiven.
func (m *measure) passes() bool {
	if m.tol.Angle > 0 {
		return m.nonFinite == 0 && m.mismatches == 0
	}
	over := slices.ContainsFunc(m.objects, func(o object) bool { return o.mismatches > o.budget })
	return m.nonFinite == 0 && m.beyond == 0 && !over
}

// smallest returns the smallest tolerances that would pass: of every object the largest error after those that may mismatch, and
// a tenth of the largest error of all.
func (m *measure) smallest() *SmallestRule {
	s := &SmallestRule{Number(math.Inf(1)), Number(math.Inf(1)), nil}
	if m.nonFinite > 0 {
		return s
	}
	const roundUp = 1 + 0x1p-50 // for the two products of a relative bound
	s.Abs, s.Rel = Number(tenth(m.maxAbs)), Number(tenth(m.maxSmallest)*roundUp)
	for i := range m.objects {
		s.Abs = max(s.Abs, Number(m.objects[i].abs.least()))
		s.Rel = max(s.Rel, Number(m.objects[i].rel.least()))
	}
	if m.tol.Angle > 0 {
		angle := Number(m.maxAngle)
		s.Angle = &angle
	}
	return s
}

// tenth returns the smallest bound of which v is at most the forgiven multiple.
func tenth(v float64) float64 {
	t := v / forgiven
	if t == 0 || math.IsInf(t, 1) {
		return t
	}
	for below := math.Nextafter(t, 0); forgiven*below >= v; below = math.Nextafter(t, 0) {
		t = below
	}
	for forgiven*t < v {
		t = math.Nextafter(t, math.Inf(1))
	}
	return t
}

// rank keeps the element farthest beyond its own tolerance, and of those the one with the largest error.
func (m *measure) rank(at, other int, abs, excess float64) {
	if m.worst < 0 || excess > m.worstExcess || excess == m.worstExcess && abs > m.worstD {
		m.worst, m.worstCand, m.worstExcess, m.worstD = at, other, excess, abs
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
