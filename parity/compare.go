package parity

import (
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// TensorReport holds every number of one compared pair of tensors, whether it passed or not. The JSON keys up to passed are
// those of spec/runtime.md 6.8. Statistics are over pairs of finite values, errors are candidate minus reference, relative
// errors are over max(|reference|, 1e-12).
type TensorReport struct {
	Name           string `json:"name"`
	ReferenceDType string `json:"reference_dtype"`
	CandidateDType string `json:"candidate_dtype"`
	Shape          []int  `json:"shape"` // of the reference
	Atol           Number `json:"atol"`  // 0 for integers and booleans, which must be equal
	Rtol           Number `json:"rtol"`
	MaxAbsErr      Number `json:"max_abs_err"`
	MeanAbsErr     Number `json:"mean_abs_err"`
	MaxRelErr      Number `json:"max_rel_err"`
	MeanRelErr     Number `json:"mean_rel_err"`
	MismatchCount  int    `json:"mismatch_count"`
	TotalCount     int    `json:"total_count"` // compared elements
	MismatchRatio  Number `json:"mismatch_ratio"`
	Passed         bool   `json:"passed"`

	MaxULPErr           uint64         `json:"max_ulp_err"` // in the candidate's type; 0 for integers
	RMSErr              Number         `json:"rms_err"`     // √(Σd²/n)
	NMSE                Number         `json:"nmse"`        // Σd²/Σref²; infinite when only the reference is all zeros
	Bias                Number         `json:"bias"`        // Σd/n
	Cosine              Number         `json:"cosine"`      // Σref·cand/√(Σref²·Σcand²); 1 for two zero vectors, 0 for one
	Histogram           Histogram      `json:"histogram"`   // of absolute errors
	Worst               *Worst         `json:"worst"`       // the element farthest beyond its tolerance; null when all are equal
	Smallest            *SmallestRule  `json:"smallest_passing"`
	NonFiniteMismatches int            `json:"nonfinite_mismatch_count"`
	Unforgiven          int            `json:"unforgiven_count,omitempty"` // mismatches that are off by more than any mismatch ratio forgives
	SignedZeros         int            `json:"signed_zero_count"`          // pairs of -0 and +0, which are equal
	Tolerance           string         `json:"tolerance"`                  // the whole rule, for people
	Class               string         `json:"tolerance_class,omitempty"`
	Judgement           JudgementBasis `json:"judged_by"`
	Problem             string         `json:"problem,omitempty"` // why the tensors could not be compared element by element
	Note                string         `json:"note,omitempty"`    // what was compared in another order
	Coverage            Coverage       `json:"coverage"`
	Budget              *BudgetReport  `json:"budget,omitempty"` // beside what rounding may leave; null where nobody derived that

	anyScale bool  // judged by the largest element, as nothing is known of the output
	noisy    bool  // the noise is beyond its bound
	lost     []int // images of which too little was compared
}

// JudgementBasis says what decides whether an output passed.
type JudgementBasis string

// The bases. Decided outputs are indices, ids and counts: their numbers are recorded, and the decisions judge them.
const (
	ByTolerance JudgementBasis = "tolerance"
	ByEquality  JudgementBasis = "equality"
	ByDecisions JudgementBasis = "decisions"
	ByNothing   JudgementBasis = "nothing" // no tolerance is defined
	ByBudget    JudgementBasis = "budget"  // of a model that amplifies rounding: beyond the tolerance, and within what its arithmetic leaves
)

// Worst is one element. Index counts along each axis of the reference, Flat in row-major order.
type Worst struct {
	Flat      int    `json:"flat_index"`
	Index     []int  `json:"index"`
	Reference Number `json:"reference"`
	Candidate Number `json:"candidate"`
}

// SmallestRule holds the smallest tolerances under which a float tensor would pass with its mismatch ratio: an absolute one
// with a relative of 0, or a relative one with an absolute of 0; of vectors the angle. Infinite means that no tolerance would.
type SmallestRule struct {
	Abs   Number  `json:"abs"`
	Rel   Number  `json:"rel"`
	Angle *Number `json:"angle,omitempty"` // radians; null unless vectors were judged
}

// String renders the rule as "abs=1.2e-06 or rel=3.4e-05", or "angle=1.2e-05".
func (s SmallestRule) String() string {
	if math.IsInf(float64(s.Abs), 1) {
		return "no tolerance"
	}
	if s.Angle != nil {
		return fmt.Sprintf("angle=%.3g", float64(*s.Angle))
	}
	if math.IsInf(float64(s.Rel), 1) {
		return fmt.Sprintf("abs=%.3g", float64(s.Abs))
	}
	return fmt.Sprintf("abs=%.3g or rel=%.3g", float64(s.Abs), float64(s.Rel))
}

// Compare measures a candidate against a reference. Floating-point tensors of either width are compared in float64 under
// tol; integers of either width and booleans must be equal. Non-finite values follow a table, under every tolerance and mismatch
// ratio:
//
//	reference   candidate
//	-0          +0, or the reverse    equal, and counted
//	+Inf        +Inf                  equal; -Inf likewise
//	±Inf        anything else         mismatch
//	NaN         anything, NaN too     mismatch: inputs are finite, so a NaN is no result on either side
//	anything    NaN                   mismatch
//
// Tensors of different shapes, or of kinds that do not compare (float, integer, boolean), give a failed report whose Problem says
// so. Under an Undefined tolerance finite values pass, and the report's Judgement says that nothing judged them.
func Compare(ref, cand *tensor.Tensor, tol Tolerance) TensorReport {
	return compareParts(ref, cand, tol, []stretch{{0, 0, ref.Len()}}, objects{})
}

// stretch is a run of n elements that are compared, by the flat index of its first in each tensor.
type stretch struct{ ref, cand, n int }

func lengthOf(parts []stretch) int {
	n := 0
	for _, p := range parts {
		n += p.n
	}
	return n
}

// compareParts compares the stretches of two tensors. What objects divides is the reference.
func compareParts(ref, cand *tensor.Tensor, tol Tolerance, parts []stretch, of objects) TensorReport {
	r := TensorReport{
		ReferenceDType: ref.DType().String(), CandidateDType: cand.DType().String(), Shape: slices.Clone(ref.Shape()),
		Judgement: ByEquality, Tolerance: "equal", Coverage: Coverage{Expected: ref.Len()},
	}
	switch {
	case !slices.Equal(ref.Shape(), cand.Shape()):
		r.Problem = fmt.Sprintf("the reference has shape %v, the candidate %v", ref.Shape(), cand.Shape())
	case kindOf(ref.DType()) != kindOf(cand.DType()):
		r.Problem = fmt.Sprintf("the reference holds %v, the candidate %v", ref.DType(), cand.DType())
	case ref.DType().IsFloat():
		r.Judgement, r.Tolerance = ByTolerance, tol.String()
		r.anyScale = tol.OfLargest > 0
		tol = tol.resolve(ref)
		if tol.Undefined {
			r.Judgement = ByNothing
		}
		r.Atol, r.Rtol = Number(tol.Abs), Number(tol.Rel)
		m := newMeasure(tol, of, lengthOf(parts))
		compareFloats(m, ref, cand, parts)
		if tol.Angle > 0 {
			m.turned(ref, cand, parts)
		}
		r.conclude(m, ref, cand)
	default:
		r.conclude(compareExact(ref, cand, parts), ref, cand)
		r.Smallest = nil
	}
	return r
}

type kind uint8

const (
	floats kind = iota
	integers
	booleans
)

func kindOf(d tensor.DType) kind {
	switch {
	case d.IsFloat():
		return floats
	case d == tensor.Bool:
		return booleans
	default:
		return integers
	}
}

func compareFloats(m *measure, ref, cand *tensor.Tensor, parts []stretch) {
	switch wide, wideCand := ref.DType() == tensor.Float64, cand.DType() == tensor.Float64; {
	case wide && wideCand:
		scanFloats(m, tensor.Data[float64](ref), tensor.Data[float64](cand), parts)
	case wide:
		scanFloats(m, tensor.Data[float64](ref), tensor.Data[float32](cand), parts)
	case wideCand:
		scanFloats(m, tensor.Data[float32](ref), tensor.Data[float64](cand), parts)
	default:
		scanFloats(m, tensor.Data[float32](ref), tensor.Data[float32](cand), parts)
	}
}

// scanFloats rounds the reference to the candidate's type for the distance in ULP alone.
func scanFloats[R, C tensor.Float](m *measure, ref []R, cand []C, parts []stretch) {
	for _, p := range parts {
		for i, c := range cand[p.cand : p.cand+p.n] {
			r := ref[p.ref+i]
			if r-r != 0 || c-c != 0 { // NaN or infinite
				m.addNonFinite(p.ref+i, p.cand+i, float64(r), float64(c))
				continue
			}
			var ulp uint64
			if narrow := C(r); narrow != c {
				ulp = math.MaxUint64
				if narrow-narrow == 0 { // a float64 beyond the float32 range rounds to an infinity
					ulp = ulpDistance(narrow, c)
				}
			}
			m.add(p.ref+i, p.cand+i, float64(r), float64(c), ulp)
		}
	}
}

func compareExact(ref, cand *tensor.Tensor, parts []stretch) *measure {
	m := newMeasure(Tolerance{}, objects{}, lengthOf(parts))
	r, c := integersOf(ref), integersOf(cand)
	for _, p := range parts {
		for i := range p.n {
			at, other := p.ref+i, p.cand+i
			m.add(at, other, float64(r[at]), float64(c[other]), 0)
			if r[at] != c[other] && float64(r[at]) == float64(c[other]) { // beyond 2^53 neighbours round to one float64
				m.mismatch(at)
				m.hist.Zero--
				m.hist.add(1)
				m.maxAbs = max(m.maxAbs, 1)
				m.rank(at, other, 1, math.Inf(1))
			}
		}
	}
	return m
}

// integersOf widens the elements of an integer or boolean tensor.
func integersOf(t *tensor.Tensor) []int64 {
	switch t.DType() {
	case tensor.Int64:
		return tensor.Data[int64](t)
	case tensor.Int32:
		out := make([]int64, t.Len())
		for i, v := range tensor.Data[int32](t) {
			out[i] = int64(v)
		}
		return out
	default:
		out := make([]int64, t.Len())
		for i, v := range tensor.Data[bool](t) {
			if v {
				out[i] = 1
			}
		}
		return out
	}
}

// conclude turns what was measured into the report's numbers and verdict.
func (r *TensorReport) conclude(m *measure, ref, cand *tensor.Tensor) {
	n := float64(max(m.finite, 1))
	r.MaxAbsErr, r.MaxRelErr, r.MaxULPErr = Number(m.maxAbs), Number(m.maxRel), m.maxULP
	r.MeanAbsErr, r.MeanRelErr, r.Bias = Number(m.sumAbs/n), Number(m.sumRel/n), Number(m.sumErr/n)
	r.RMSErr = Number(math.Sqrt(m.sumSq / n))
	r.NMSE, r.Cosine = Number(ratio(m.sumSq, m.sumRef)), Number(m.cosine())
	r.MismatchCount, r.NonFiniteMismatches, r.SignedZeros = m.mismatches, m.nonFinite, m.signedZeros
	r.TotalCount, r.Coverage.Compared, r.Unforgiven = m.total, m.total, m.beyond
	r.MismatchRatio = Number(float64(m.mismatches) / float64(max(m.total, 1)))
	r.Histogram = m.hist
	r.noisy = m.tol.noisy(r.NMSE, m.total)
	r.Passed = m.passes() && !r.noisy
	r.Smallest = m.smallest()
	if m.worst >= 0 {
		r.Worst = &Worst{Flat: m.worst, Index: unravel(m.worst, ref.Shape()),
			Reference: Number(element(ref, m.worst)), Candidate: Number(element(cand, m.worstCand))}
	}
}

// ratio returns a/b with 0/0 = 0.
func ratio(a, b float64) float64 {
	if a == 0 {
		return 0
	}
	return a / b
}

// cosine divides in two steps, which keeps the product of two large norms from overflowing. Equal vectors give exactly 1.
func (m *measure) cosine() float64 {
	switch {
	case m.sumSq == 0:
		return 1
	case m.sumRef == 0 || m.sumCand == 0:
		return 0
	}
	return max(-1, min(1, m.dot/math.Sqrt(m.sumRef)/math.Sqrt(m.sumCand)))
}

func unravel(flat int, shape []int) []int {
	index := make([]int, len(shape))
	for axis := len(shape) - 1; axis >= 0; axis-- {
		index[axis] = flat % shape[axis]
		flat /= shape[axis]
	}
	return index
}

func element(t *tensor.Tensor, i int) float64 {
	switch t.DType() {
	case tensor.Float64:
		return tensor.Data[float64](t)[i]
	case tensor.Float32:
		return float64(tensor.Data[float32](t)[i])
	case tensor.Int64:
		return float64(tensor.Data[int64](t)[i])
	case tensor.Int32:
		return float64(tensor.Data[int32](t)[i])
	default:
		if tensor.Data[bool](t)[i] {
			return 1
		}
		return 0
	}
}

// failure says in one clause why the report did not pass, "" when it did.
func (r *TensorReport) failure() string {
	switch {
	case r.Problem != "":
		return r.Problem
	case r.Passed:
		return ""
	case r.Judgement == ByDecisions:
		return "a decision is a bug"
	case r.NonFiniteMismatches > 0:
		return fmt.Sprintf("%d of %d elements are NaN, or infinite on one side", r.NonFiniteMismatches, r.TotalCount)
	case r.Unforgiven > 0 && r.Atol+r.Rtol > 0:
		return fmt.Sprintf("%d of %d elements differ by more than %s; %d by more than %d×", r.MismatchCount, r.TotalCount, r.Tolerance, r.Unforgiven, forgiven)
	case r.MismatchCount > 0:
		return fmt.Sprintf("%d of %d elements differ by more than %s", r.MismatchCount, r.TotalCount, r.Tolerance)
	default:
		return fmt.Sprintf("the noise is %.2g of the reference, more than allowed: %s", math.Sqrt(float64(r.NMSE)), r.Tolerance)
	}
}
