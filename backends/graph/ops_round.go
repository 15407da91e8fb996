package graph

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// Round rounds every element to a narrower format and widens it again: x of any shape → y of the same shape. A value that is
// stored in To, or read by a unit that takes operands in To, is written this way; the arithmetic around it stays float32.
//
// With the layout (p, emin, emax) of To and, for x ≠ 0, e = max(floor(log2|x|), emin):
//
//	y = q·rint(x/q),  q = 2^(e-p+1)
//
// where rint rounds to the nearest integer and halves to the even one. Below 2^emin, q stays that of 2^emin: subnormal numbers are
// kept, and half of the least of them becomes 0. |y| > (2 - 2^(1-p))·2^emax becomes an infinity, so |x| ≥ 65520 does in fp16. Zeros
// and infinities stay themselves, y has the sign of x, and a NaN is a NaN (of any payload). Round(Round(x)) = Round(x).
//
// A float64 session rounds its float64 values to To directly, not by way of float32.
//
// To a format with a scale a second input gives it: s > 0, of rank 0 for all of x, or [x.Shape[Axis]], one for each slice along Axis.
// This is QuantizeLinear and DequantizeLinear of ONNX with the zero point 0, so that 0 is a number of every range:
//
//	int8  y = s·clamp(rint(x/s), -128, 127), and +0 for -0
//	fp8   y = s·E4M3(clamp(x/s, -448, 448)), rounded as above
//
// Quotient and product are those of the session's type: beside the middle between two numbers of the format a quotient in float32 may
// round to the other neighbour than one in float64, or a product with 1/s. Infinities become the largest number. int8 has no NaN: what
// becomes of one is undefined in ONNX, and the reference hands it on, so that a comparison shows it.
type Round struct {
	own
	To   Format
	Axis int // of a scale for each slice; else 0
}

// OpType implements Op.
func (Round) OpType() string { return "Round" }

// Infer implements Op.
func (o Round) Infer(in []Type) ([]Type, error) {
	operands := 1
	if o.To.Scaled() {
		operands = 2
	}
	if err := cmp.Or(floats(in, operands, operands), o.To.Known()); err != nil {
		return nil, err
	}
	if operands == 1 {
		return in[:1], nil
	}
	return in[:1], o.checkScale(in[0], in[1])
}

// checkScale holds the type of the scale to that of x.
func (o Round) checkScale(x, scale Type) error {
	if err := wantDType([]Type{x, scale}, 1, x.DType); err != nil || len(scale.Shape) == 0 {
		return err
	}
	if o.Axis < 0 || o.Axis >= len(x.Shape) {
		return fmt.Errorf("axis %d is outside the shape %v", o.Axis, x.Shape)
	}
	if want := x.Shape[o.Axis : o.Axis+1]; !slices.Equal(scale.Shape, want) {
		return fmt.Errorf("the scale has shape %v, want [] or %v", scale.Shape, want)
	}
	return nil
}

// Slices tells how the scale of a Round is laid over x: element i takes the scale at (i/inner) mod count.
func (o Round) Slices(x, scale []int) (inner, count int) {
	if len(scale) == 0 {
		return Type{Shape: x}.Len(), 1
	}
	return Type{Shape: x[o.Axis+1:]}.Len(), scale[0]
}

// perSlice returns the scales of a constant, one for each slice along an axis.
func perSlice(f Format, t *tensor.Tensor, axis int) []float32 {
	x, count := tensor.Data[float32](t), t.Shape()[axis]
	inner, _ := Round{Axis: axis}.Slices(t.Shape(), []int{count})
	largest := make([]float32, count)
	for i, v := range x {
		at := i / inner % count
		largest[at] = max(largest[at], v, -v)
	}
	for i, v := range largest {
		largest[i] = f.ScaleOf(v)
	}
	return largest
}
