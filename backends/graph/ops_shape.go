package graph

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// Standard ONNX operators that move data or reduce it. Parameters that ONNX passes as constant inputs (shapes, sizes, axes)
// are fields here; package onnx writes them as initializers.

// Reshape gives x another shape with the same number of elements. Shape is complete: no 0 or -1 placeholders.
type Reshape struct {
	standard
	Shape []int
}

// OpType implements Op.
func (Reshape) OpType() string { return "Reshape" }

// Infer implements Op.
func (o Reshape) Infer(in []Type) ([]Type, error) {
	if err := wantInputs(in, 1, 1); err != nil {
		return nil, err
	}
	n, err := tensor.Elements(o.Shape)
	if err != nil {
		return nil, err
	}
	if n != in[0].Len() {
		return nil, fmt.Errorf("shape %v has %d elements, the input %v has %d", o.Shape, n, in[0].Shape, in[0].Len())
	}
	return one(in[0].DType, o.Shape...), nil
}

// Concat joins its inputs along Axis.
type Concat struct {
	standard
	Axis int
}

// OpType implements Op.
func (Concat) OpType() string { return "Concat" }

// Infer implements Op.
func (o Concat) Infer(in []Type) ([]Type, error) {
	if err := wantInputs(in, 1, 1<<16); err != nil {
		return nil, err
	}
	axis, err := axisOf(o.Axis, len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	out := slices.Clone(in[0].Shape)
	for i, t := range in[1:] {
		same := t.DType == in[0].DType && len(t.Shape) == len(out)
		for d := range out {
			same = same && (d == axis || t.Shape[d] == out[d])
		}
		if !same {
			return nil, fmt.Errorf("input %d is %v and does not join %v along axis %d", i+1, t, in[0], axis)
		}
		out[axis] += t.Shape[axis]
	}
	return one(in[0].DType, out...), nil
}

// Split cuts x along Axis into parts of the given Sizes, which add up to the axis.
type Split struct {
	standard
	Axis  int
	Sizes []int
}

// OpType implements Op.
func (Split) OpType() string { return "Split" }

// Infer implements Op.
func (o Split) Infer(in []Type) ([]Type, error) {
	if err := wantInputs(in, 1, 1); err != nil {
		return nil, err
	}
	axis, err := axisOf(o.Axis, len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	total, out := 0, make([]Type, len(o.Sizes))
	for i, s := range o.Sizes {
		if s < 0 {
			return nil, fmt.Errorf("part %d has the negative size %d", i, s)
		}
		shape := slices.Clone(in[0].Shape)
		shape[axis] = s
		out[i] = Type{in[0].DType, shape}
		total += s
	}
	if len(o.Sizes) == 0 || total != in[0].Shape[axis] {
		return nil, fmt.Errorf("parts %v do not add up to axis %d of %v", o.Sizes, axis, in[0].Shape)
	}
	return out, nil
}

// Gather picks slices of data along Axis: data, indices (int64, any shape, each in [0, size)) → data's shape with the axis
// replaced by the shape of the indices.
type Gather struct {
	standard
	Axis int
}

// OpType implements Op.
func (Gather) OpType() string { return "Gather" }

// Infer implements Op.
func (o Gather) Infer(in []Type) ([]Type, error) {
	if err := wantInputs(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantDType(in, 1, tensor.Int64); err != nil {
		return nil, err
	}
	x := in[0].Shape
	axis, err := axisOf(o.Axis, len(x))
	if err != nil {
		return nil, err
	}
	return one(in[0].DType, slices.Concat(x[:axis], in[1].Shape, x[axis+1:])...), nil
}

// ReduceFn names a reduction, by its ONNX operator type.
type ReduceFn string

// The reductions. ReduceL2 is the square root of the sum of squares.
const (
	ReduceMean ReduceFn = "ReduceMean"
	ReduceL2   ReduceFn = "ReduceL2"
)

// Reduce applies Fn over Axes (ascending, non-negative); KeepDims leaves them with size 1.
type Reduce struct {
	standard
	Fn       ReduceFn
	Axes     []int
	KeepDims bool
}

// OpType implements Op.
func (o Reduce) OpType() string { return string(o.Fn) }

// Infer implements Op.
func (o Reduce) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 1, 1); err != nil {
		return nil, err
	}
	if o.Fn != ReduceMean && o.Fn != ReduceL2 {
		return nil, fmt.Errorf("unknown reduction %q", o.Fn)
	}
	x := in[0].Shape
	if len(o.Axes) == 0 || !slices.IsSorted(o.Axes) || o.Axes[0] < 0 || o.Axes[len(o.Axes)-1] >= len(x) {
		return nil, fmt.Errorf("axes %v do not fit %v (ascending and non-negative)", o.Axes, x)
	}
	var out []int
	for i, d := range x {
		switch {
		case !slices.Contains(o.Axes, i):
			out = append(out, d)
		case d == 0 && o.Fn == ReduceMean:
			return nil, fmt.Errorf("the mean over axis %d of %v is over no elements", i, x)
		case o.KeepDims:
			out = append(out, 1)
		}
	}
	return one(in[0].DType, out...), nil
}

// Resize interpolates the last two axes of x [B,C,H,W] bilinearly to Height × Width with half-pixel centres, sources
// clamped to the edge, no antialiasing: src = max(0, (dst+0.5)·in/out - 0.5), value separable in y and x.
type Resize struct {
	standard
	Height, Width int
}

// OpType implements Op.
func (Resize) OpType() string { return "Resize" }

// Infer implements Op.
func (o Resize) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantRank(in, 0, 4); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if o.Height < 1 || o.Width < 1 || x[2] < 1 || x[3] < 1 {
		return nil, fmt.Errorf("cannot resize %v to %d×%d", x, o.Height, o.Width)
	}
	return one(in[0].DType, x[0], x[1], o.Height, o.Width), nil
}
