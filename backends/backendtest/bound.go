package backendtest

import (
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// A bound says how far an output may be from the oracle's, which rounds where the session's precision does (graph.Lower) and computes
// in float64 between. An element w may differ by
//
//	8·unit·sum + store·|w|
//
// unit is that of the session's arithmetic: 2^-23 in every precision but fp64, since the sums of low precisions are float32 too. sum is
// what the rounding of the arithmetic is proportional to: of a matrix product the sum of the magnitudes of the terms that make the
// element, so that a backend that adds in a narrower format is found; else scale·(|w| + 1). store is for a backend that has
// the precision natively and may keep the element in its format: half a unit of that format.
//
// A Round with a scale may give the other neighbour where its quotient is within 2 units of the middle between two numbers: by slack, which
// is 0 elsewhere, beside 2·unit·|w|.
type bound struct {
	precision backends.Precision
	unit      float64
	scale     float64
	sums      []float64 // of a product; nil else
	store     float64
	exact     bool      // of a Round without a scale: no bit may differ
	slack     []float64 // of one with a scale; nil else
}

// newBound returns the bound of a precision, for a backend that does not store its results in a low one.
func newBound(p backends.Precision, scale float64) bound {
	b := bound{precision: p, unit: math.Ldexp(1, -23), scale: max(scale, 1)}
	if p == backends.FP64 {
		b.unit = math.Ldexp(1, -44) // the oracle itself rounds and adds in its own order
	}
	return b
}

// boundOf returns the bound for the outputs of an operator, given its operands and the sums of a product.
func boundOf(p backends.Precision, scale float64, level backends.SupportLevel, op graph.Op, in []*tensor.Tensor, sums func() ([]float64, error)) (bound, error) {
	b := newBound(p, scale)
	if f := p.Format(); (f == graph.FP16 || f == graph.BF16) && level == backends.Native {
		l, err := f.Layout()
		if err != nil {
			return b, err
		}
		b.store = math.Ldexp(1, -l.Significand)
	}
	var err error
	switch op := op.(type) {
	case graph.Round:
		if b.exact = !op.To.Scaled(); !b.exact {
			b.slack = neighbours(op, in)
		}
	case graph.Conv, graph.Gemm, graph.MatMul, graph.ConvTranspose:
		b.sums, err = sums()
	}
	return b, err
}

// termSums evaluates a product on the magnitudes of its operands.
func termSums(n *graph.Node, in []*tensor.Tensor) ([]float64, error) {
	magnitudes := make([]*tensor.Tensor, len(in))
	for i, t := range in {
		if t == nil {
			continue
		}
		magnitudes[i] = t.Clone()
		for j, v := range f64(t) {
			f64(magnitudes[i])[j] = math.Abs(v)
		}
	}
	out, err := Evaluate(n, magnitudes)
	if err != nil {
		return nil, err
	}
	return f64(out[0]), nil
}

// neighbours returns how much a Round changes when its operand changes by 2 units of float32.
func neighbours(op graph.Round, in []*tensor.Tensor) []float64 {
	rounded := func(factor float64) []float64 {
		x, out := in[0].Clone(), in[0].Clone()
		for i := range f64(x) {
			f64(x)[i] *= factor
		}
		roundScaled(op, x, in[1], out)
		return f64(out)
	}
	least, most := rounded(1-0x1p-22), rounded(1+0x1p-22)
	for i := range most {
		most[i] = math.Abs(most[i] - least[i])
	}
	return most
}

// allowed returns how far element i may be from w.
func (b bound) allowed(i int, w float64) float64 {
	if b.slack != nil {
		return b.slack[i] + 2*b.unit*math.Abs(w)
	}
	sum := b.scale * (math.Abs(w) + 1)
	if b.sums != nil {
		sum = b.sums[i]
	}
	return 8*b.unit*sum + b.store*math.Abs(w)
}

// compare judges an output: its element type (of a float that of the session), its shape, integers and booleans exactly, NaN and
// infinities by kind, floats by the bound.
func (b bound) compare(got, want *tensor.Tensor) error {
	if !slices.Equal(got.Shape(), want.Shape()) {
		return fmt.Errorf("shape %v, want %v", got.Shape(), want.Shape())
	}
	dtype := want.DType()
	if dtype.IsFloat() && b.precision != backends.FP64 {
		dtype = tensor.Float32
	}
	if got.DType() != dtype {
		return fmt.Errorf("element type %v, want %v in %s", got.DType(), dtype, b.precision)
	}
	exact := b.exact || !want.DType().IsFloat()
	g, w := got.Float64s(), want.Float64s()
	for i := range w {
		if b.precision != backends.FP64 && math.Abs(w[i]) > math.MaxFloat32 {
			w[i] = math.Inf(int(math.Copysign(1, w[i]))) // beyond the session's range
		}
		if !identical(g[i], w[i]) && (exact || !b.agree(i, g[i], w[i])) {
			return fmt.Errorf("element %d is %g, want %g", i, g[i], w[i])
		}
	}
	return nil
}

// identical compares bits, and takes one NaN for another.
func identical(x, y float64) bool {
	return math.Float64bits(x) == math.Float64bits(y) || math.IsNaN(x) && math.IsNaN(y)
}

// agree tells whether two numbers that are not identical differ by at most what element i may. Beside an infinity that bound is
// infinite, and bounds nothing.
func (b bound) agree(i int, got, want float64) bool {
	return !math.IsInf(want, 0) && math.Abs(got-want) <= b.allowed(i, want)
}
