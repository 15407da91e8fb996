package budget

import (
	"math"

	"github.com/apex-x/apexx/backends/tensor"
)

// Judgement is what a result is beside its budget.
type Judgement struct {
	Elements int     // compared
	Unknown  int     // left out: nothing is known of them
	Beyond   int     // farther off than allowed
	Ratio    float64 // the largest error over what is allowed there; infinite where nothing but equality is, or a value is not finite
	Worst    int     // flat index of that element, -1 where all are equal
	Got      float64 // at Worst
	Want     float64
	Allowed  float64 // error at Worst
	MaxAbs   float64 // largest error
	Noise    float64 // √(Σ error²/Σ reference²) over what is compared
	Square   float64 // Σ error²
}

// Within tells whether no element is farther off than allowed.
func (j Judgement) Within() bool { return j.Beyond == 0 }

// smallest is the least normal float32: devices may flush what is smaller to zero.
const smallest = 0x1p-126

// Margin is what a backend's way to compute adds to a budget. The zero Margin is a float32 that is computed term by term.
type Margin struct {
	Store float64 // relative: half a unit of the format in which the result is kept; 0 for float32
	Times float64 // by how much an algorithm amplifies what a sum term by term rounds; 0 means 1
}

// Winograd is by how much the transforms of Winograd's algorithm F(4×4, 3×3) amplify rounding, on top of the √K of a rule: what real layers
// show (TOLERANCES.md).
const Winograd = 3

// Judge holds a result to λ spreads of the exact value, and to what a margin adds. Integers and booleans must be equal. Shapes must be:
// the caller has compared them.
func (b *Budget) Judge(got *tensor.Tensor, want Value, m Margin) Judgement {
	if !want.DType().IsFloat() {
		return judgeEqual(got.Float64s(), want.Float64s())
	}
	j := Judgement{Worst: -1}
	times, of := b.Factor*max(m.Times, 1), want.floats()
	var reference float64
	each(got, func(i int, g float64) {
		w, spread := of[i], want.spread(i)
		if math.IsInf(spread, 1) {
			j.Unknown++
			return
		}
		j.Elements++
		reference += w * w
		if g == w {
			return
		}
		allowed := times*spread + m.Store*math.Abs(w)
		if allowed > 0 {
			allowed += smallest
		}
		j.add(i, g, asStored(w, got.DType()), allowed)
	})
	switch {
	case j.Square == 0:
	case reference == 0:
		j.Noise = math.Inf(1)
	default:
		j.Noise = math.Sqrt(j.Square / reference)
	}
	return j
}

// each visits the elements of a floating-point tensor, widened.
func each(t *tensor.Tensor, visit func(i int, v float64)) {
	if t.DType() == tensor.Float64 {
		for i, v := range tensor.Data[float64](t) {
			visit(i, v)
		}
		return
	}
	for i, v := range tensor.Data[float32](t) {
		visit(i, float64(v))
	}
}

// asStored rounds what is beyond the range of float32 to an infinity.
func asStored(w float64, dtype tensor.DType) float64 {
	if dtype == tensor.Float32 && math.IsInf(float64(float32(w)), 0) {
		return math.Inf(int(math.Copysign(1, w)))
	}
	return w
}

// add takes one element.
func (j *Judgement) add(i int, got, want, allowed float64) {
	if got == want {
		return
	}
	off := math.Abs(got - want)
	ratio := math.Inf(1)
	if off <= math.MaxFloat64 { // no NaN, no infinity
		j.MaxAbs, j.Square = max(j.MaxAbs, off), j.Square+off*off
		if off <= j.Ratio*allowed && off <= allowed {
			return // the most of them
		}
		if allowed > 0 {
			ratio = off / allowed
		}
	}
	if ratio > 1 {
		j.Beyond++
	}
	if j.Worst < 0 || ratio > j.Ratio {
		j.Worst, j.Ratio, j.Got, j.Want, j.Allowed = i, ratio, got, want, allowed
	}
}

func judgeEqual(got, want []float64) Judgement {
	j := Judgement{Worst: -1, Elements: len(want)}
	for i, w := range want {
		j.add(i, got[i], w, 0)
	}
	return j
}
