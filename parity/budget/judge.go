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
	Tile  int     // cells along a side of the tiles of an output [B,C,H,W] that are computed from each other's operands; 0 means 1
}

// Winograd's algorithm F(4×4, 3×3) computes tiles of 4×4 cells from sums and differences of what all of them read. Its transforms amplify rounding by
// Winograd, on top of the √K of a rule: what real layers show (TOLERANCES.md). And a cell has the errors of its tile, though all of its own terms
// may be 0.
const (
	Winograd     = 3
	WinogradTile = 4
)

// Tiled returns the value of which every cell of a plane has the largest spread of any tile of side×side cells in which it may be.
func (v Value) Tiled(side int) Value {
	if side <= 1 || v.Spread == nil || len(v.Shape()) != 4 {
		return v
	}
	h, w := v.Shape()[2], v.Shape()[3]
	rows, tiled := make([]float64, len(v.Spread)), make([]float64, len(v.Spread))
	pieces(len(tiled)/max(h*w, 1), func(low, high int) {
		for at := low * h * w; at < high*h*w; at += h * w {
			for y := range h {
				largestNear(rows[at+y*w:], v.Spread[at+y*w:], w, 1, side-1)
			}
			for x := range w {
				largestNear(tiled[at+x:], rows[at+x:], h, w, side-1)
			}
		}
	})
	return Value{Tensor: v.Tensor, Spread: tiled}
}

// largestNear sets each of n elements, a step apart, to the largest of those at most reach away.
func largestNear(to, from []float64, n, step, reach int) {
	for i := range n {
		most := 0.0
		for j := max(i-reach, 0); j <= min(i+reach, n-1); j++ {
			most = max(most, from[j*step])
		}
		to[i*step] = most
	}
}

// Judge holds a result to λ spreads of the exact value, and to what a margin adds. Integers and booleans must be equal. Shapes must be:
// the caller has compared them.
func (b *Budget) Judge(got *tensor.Tensor, want Value, m Margin) Judgement {
	if !want.DType().IsFloat() {
		return judgeEqual(got.Float64s(), want.Float64s())
	}
	j, want := Judgement{Worst: -1}, want.Tiled(m.Tile)
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
