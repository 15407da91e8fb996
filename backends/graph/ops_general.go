package graph

import (
	"fmt"
	"slices"
)

// Standard ONNX operators that Apex-X does not use and other networks do. A backend may lack them.

// PoolFn names a pooling, by its ONNX operator type.
type PoolFn string

// The poolings over windows.
const (
	MaxPool     PoolFn = "MaxPool"
	AveragePool PoolFn = "AveragePool"
)

// Pool reduces windows of Kernel elements of x [B,C,H,W], Strides apart, to their maximum or mean: output [B,C,OH,OW] with
// OH = (H + Pads[0] + Pads[2] - Kernel[0])/Strides[0] + 1, OW likewise. What is padded is no maximum, and counts as zeros in a mean if CountPads
// is set; else the mean is that of the elements inside.
type Pool struct {
	standard
	Fn        PoolFn
	Kernel    [2]int
	Strides   [2]int
	Pads      [4]int // top, left, bottom, right; each less than the kernel
	CountPads bool   // of AveragePool
}

// OpType implements Op.
func (o Pool) OpType() string { return string(o.Fn) }

// Infer implements Op.
func (o Pool) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantRank(in, 0, 4); err != nil {
		return nil, err
	}
	if o.Fn != MaxPool && o.Fn != AveragePool {
		return nil, fmt.Errorf("unknown pooling %q", o.Fn)
	}
	if min(o.Kernel[0], o.Kernel[1], o.Strides[0], o.Strides[1]) < 1 || slices.Min(o.Pads[:]) < 0 {
		return nil, fmt.Errorf("kernel %v, strides %v or pads %v out of range", o.Kernel, o.Strides, o.Pads)
	}
	if max(o.Pads[0], o.Pads[2]) >= o.Kernel[0] || max(o.Pads[1], o.Pads[3]) >= o.Kernel[1] {
		return nil, fmt.Errorf("pads %v are not less than the kernel %v: a window could lie outside", o.Pads, o.Kernel)
	}
	x := in[0].Shape
	oh, ow := x[2]+o.Pads[0]+o.Pads[2]-o.Kernel[0], x[3]+o.Pads[1]+o.Pads[3]-o.Kernel[1]
	if oh < 0 || ow < 0 {
		return nil, fmt.Errorf("kernel %v is larger than the padded input %v", o.Kernel, x[2:])
	}
	return one(in[0].DType, x[0], x[1], oh/o.Strides[0]+1, ow/o.Strides[1]+1), nil
}

// GlobalAveragePool is the mean of each channel of x [B,C,H,W] → [B,C,1,1].
type GlobalAveragePool struct{ standard }

// OpType implements Op.
func (GlobalAveragePool) OpType() string { return "GlobalAveragePool" }

// Infer implements Op.
func (GlobalAveragePool) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantRank(in, 0, 4); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if x[2] < 1 || x[3] < 1 {
		return nil, fmt.Errorf("the mean over %v is over no elements", x)
	}
	return one(in[0].DType, x[0], x[1], 1, 1), nil
}

// BatchNormalization is y = (x - mean)/√(variance + Epsilon)·scale + bias per channel, as at inference: inputs x [B,C,...], scale, bias,
// mean, variance [C]; output as x.
type BatchNormalization struct {
	standard
	Epsilon float64
}

// OpType implements Op.
func (BatchNormalization) OpType() string { return "BatchNormalization" }

// Infer implements Op.
func (BatchNormalization) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 5, 5); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if len(x) < 2 {
		return nil, fmt.Errorf("input 0 has shape %v, want rank 2 or more", x)
	}
	for i := 1; i < 5; i++ {
		if err := wantShape(in, i, x[1]); err != nil {
			return nil, err
		}
	}
	return in[:1], nil
}

// Softmax is e^(x - m)/Σe^(x - m) along Axis, m the maximum there; output as x.
type Softmax struct {
	standard
	Axis int
}

// OpType implements Op.
func (Softmax) OpType() string { return "Softmax" }

// Infer implements Op.
func (o Softmax) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 1, 1); err != nil {
		return nil, err
	}
	_, err := axisOf(o.Axis, len(in[0].Shape))
	return in[:1], err
}

// Transpose orders the axes anew: axis i of the output is axis Perm[i] of x.
type Transpose struct {
	standard
	Perm []int
}

// OpType implements Op.
func (Transpose) OpType() string { return "Transpose" }

// Infer implements Op.
func (o Transpose) Infer(in []Type) ([]Type, error) {
	if err := wantInputs(in, 1, 1); err != nil {
		return nil, err
	}
	x := in[0].Shape
	out, seen := make([]int, len(o.Perm)), make([]bool, len(x))
	for i, axis := range o.Perm {
		if axis < 0 || axis >= len(x) || seen[axis] {
			return nil, fmt.Errorf("%v is no order of the axes of %v", o.Perm, x)
		}
		out[i], seen[axis] = x[axis], true
	}
	if len(o.Perm) != len(x) {
		return nil, fmt.Errorf("%v is no order of the axes of %v", o.Perm, x)
	}
	return one(in[0].DType, out...), nil
}

// General returns the operators that Apex-X does not use, as Operators does: a backend of Apex-X may lack them.
func General() []Op {
	list := []Op{Pool{Fn: MaxPool}, Pool{Fn: AveragePool}, GlobalAveragePool{}, BatchNormalization{}, Softmax{}, Transpose{}, Binary{Fn: Pow}}
	for _, fn := range []UnaryFn{Exp, Log, Sqrt, Erf, Neg, Abs} {
		list = append(list, Unary{Fn: fn})
	}
	return list
}
