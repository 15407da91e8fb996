package graph

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
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

// ConvTranspose is the transpose of a convolution with zero padding and dilation 1, as a map of x: x [B,C,H,W], weight [C,M/Group,KH,KW], optional
// bias [M] → [B,M,OH,OW] with OH = (H-1)·Strides[0] + KH + OutputPadding[0] - Pads[0] - Pads[2], OW likewise.
type ConvTranspose struct {
	standard
	Strides       [2]int
	Pads          [4]int // top, left, bottom, right
	OutputPadding [2]int // less than the strides
	Group         int
}

// OpType implements Op.
func (ConvTranspose) OpType() string { return "ConvTranspose" }

// Infer implements Op.
func (o ConvTranspose) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 2, 3); err != nil {
		return nil, err
	}
	if err := cmp.Or(wantRank(in, 0, 4), wantRank(in, 1, 4)); err != nil {
		return nil, err
	}
	x, w := in[0].Shape, in[1].Shape
	if o.Group < 1 || min(o.Strides[0], o.Strides[1]) < 1 || slices.Min(o.Pads[:]) < 0 || slices.Min(o.OutputPadding[:]) < 0 ||
		o.OutputPadding[0] >= o.Strides[0] || o.OutputPadding[1] >= o.Strides[1] {
		return nil, fmt.Errorf("strides %v, pads %v, output padding %v or group %d out of range", o.Strides, o.Pads, o.OutputPadding, o.Group)
	}
	if x[1] != w[0] || w[0]%o.Group != 0 || x[2] < 1 || x[3] < 1 {
		return nil, fmt.Errorf("input %v does not fit weight %v with group %d", x, w, o.Group)
	}
	channels := w[1] * o.Group
	if len(in) == 3 && in[2].DType != tensor.Invalid {
		if err := wantShape(in, 2, channels); err != nil {
			return nil, err
		}
	}
	oh := (x[2]-1)*o.Strides[0] + w[2] + o.OutputPadding[0] - o.Pads[0] - o.Pads[2]
	ow := (x[3]-1)*o.Strides[1] + w[3] + o.OutputPadding[1] - o.Pads[1] - o.Pads[3]
	if oh < 1 || ow < 1 {
		return nil, fmt.Errorf("pads %v leave nothing of %v under weight %v", o.Pads, x, w)
	}
	return one(in[0].DType, x[0], channels, oh, ow), nil
}

// TopK gives the K largest elements along Axis, or the smallest, in order, and their indices there: x → values, indices (int64), with K in the
// place of the axis. Of equal elements the one with the lower index comes first.
type TopK struct {
	standard
	Axis, K  int
	Smallest bool
}

// OpType implements Op.
func (TopK) OpType() string { return "TopK" }

// Infer implements Op.
func (o TopK) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 1, 1); err != nil {
		return nil, err
	}
	axis, err := axisOf(o.Axis, len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	out := slices.Clone(in[0].Shape)
	if o.K < 0 || o.K > out[axis] {
		return nil, fmt.Errorf("%d of the %d elements along axis %d of %v", o.K, out[axis], axis, in[0].Shape)
	}
	out[axis] = o.K
	return []Type{{in[0].DType, out}, {tensor.Int64, out}}, nil
}

// LSTM is a layer of long short-term memory over a sequence: x [S,B,I], weights w [D,4H,I] and r [D,4H,H] with the gates in the order input,
// output, forget, cell, optional bias [D,8H] (of w, then of r), an input that must be absent (lengths of sequences), optional first state h and
// c [D,B,H] → states y [S,D,B,H] and the last ones h and c [D,B,H]. With σ the logistic function, in each direction, at each step:
//
//	i, o, f = σ(w·x + r·h + bias)   g = tanh(w·x + r·h + bias)   c ← f·c + i·g   h ← o·tanh(c)
//
// D is 1, or 2 for a forward and then a backward pass; Backward is the latter alone.
type LSTM struct {
	standard
	Hidden   int
	Backward bool // of one direction
}

// OpType implements Op.
func (LSTM) OpType() string { return "LSTM" }

// Infer implements Op.
func (o LSTM) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 3, 7); err != nil {
		return nil, err
	}
	if len(in) > 4 && in[4].DType != tensor.Invalid {
		return nil, errors.New("sequences of different lengths are not supported")
	}
	if err := cmp.Or(wantRank(in, 0, 3), wantRank(in, 1, 3)); err != nil {
		return nil, err
	}
	x, d := in[0].Shape, in[1].Shape[0]
	if o.Hidden < 1 || d < 1 || d > 2 || d == 2 && o.Backward || x[0] < 1 {
		return nil, fmt.Errorf("%d hidden units in %d directions over %v", o.Hidden, d, x)
	}
	err := cmp.Or(wantShape(in, 1, d, 4*o.Hidden, x[2]), wantShape(in, 2, d, 4*o.Hidden, o.Hidden))
	for i, shape := range [][]int{3: {d, 8 * o.Hidden}, 5: {d, x[1], o.Hidden}, 6: {d, x[1], o.Hidden}} {
		if shape != nil && i < len(in) && in[i].DType != tensor.Invalid && err == nil {
			err = wantShape(in, i, shape...)
		}
	}
	t := in[0].DType
	return []Type{{t, []int{x[0], d, x[1], o.Hidden}}, {t, []int{d, x[1], o.Hidden}}, {t, []int{d, x[1], o.Hidden}}}, err
}

// General returns the operators that Apex-X does not use, as Operators does: a backend of Apex-X may lack them.
func General() []Op {
	list := []Op{Pool{Fn: MaxPool}, Pool{Fn: AveragePool}, GlobalAveragePool{}, BatchNormalization{}, Softmax{}, Transpose{}, Binary{Fn: Pow},
		ConvTranspose{}, TopK{}, LSTM{}}
	for _, fn := range []UnaryFn{Exp, Log, Sqrt, Erf, Neg, Abs} {
		list = append(list, Unary{Fn: fn})
	}
	return list
}
