package body

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
)

// round is a pair of casts where ONNX has the format. It has no type for TF32, whose significand is that of FP16, though: scaled
// by a power of two into the range of FP16, a number rounds there as it does in TF32. Formats with a scale have a pair of operators of
// their own, which runtimes know to fuse into integer arithmetic.
func round(b *builder, o graph.Round, in []graph.Type) *Function {
	x := b.in(0)
	if o.To.Scaled() {
		return quantize(b, o, in)
	}
	through := func(x value, to int) value { return b.cast(b.cast(x, to), onnxFloat) }
	switch o.To {
	case graph.FP16:
		return b.finish(through(x, onnxFloat16))
	case graph.BF16:
		return b.finish(through(x, onnxBFloat16))
	}
	scale := tf32Scale(b, x)
	return b.finish(b.do("Div", through(b.do("Mul", x, scale), onnxFloat16), scale))
}

// tf32Scale returns the power of two by which each x is multiplied. The normal numbers of FP16 begin at 2^-14, and the sums of
// steps of 29 binades reach from there to 2^15. The lowest step has the factor 2^112, which maps the least normal number of TF32 to
// that of FP16, so that the subnormal numbers coincide too; the highest leaves room for what rounds to infinity. Products with the
// factor and quotients by it are exact: none leaves the range of float32 but by that.
func tf32Scale(b *builder, x value) value {
	const lowest, step, top = 112, 29, 15 // top: numbers below 2^top do not round to FP16's infinity
	magnitude := b.do("Abs", x)
	scale := b.float(math.Ldexp(1, lowest))
	for e := lowest - step; top-step-e < 128; e -= step {
		above := b.do("GreaterOrEqual", magnitude, b.float(math.Ldexp(1, top-e-step)))
		scale = b.do("Where", above, b.float(math.Ldexp(1, e)), scale)
	}
	return scale
}

func quantize(b *builder, o graph.Round, in []graph.Type) *Function {
	elem := onnxInt8
	if o.To == graph.FP8 {
		elem = onnxFloat8E4M3
	}
	var axis []Attr
	if len(in[1].Shape) > 0 {
		axis = []Attr{{"axis", int64(o.Axis)}}
	}
	zero := b.with("Constant", []Attr{{"value", ZeroPoint{elem, in[1].Shape}}})
	q := b.with("QuantizeLinear", axis, b.in(0), b.in(1), zero)
	return b.finish(b.with("DequantizeLinear", axis, q, b.in(1), zero))
}
