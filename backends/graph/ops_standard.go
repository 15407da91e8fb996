package graph

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// Standard ONNX operators (opset 21). Each type's comment gives its inputs and output; semantics are ONNX's.

type standard struct{}

func (standard) OpDomain() string { return "" }

// Conv is a 2-D cross-correlation with zero padding and dilation 1: x [B,C,H,W], weight [M,C/Group,KH,KW], optional bias
// [M] → [B,M,OH,OW] with OH = (H + Pads[0] + Pads[2] - KH)/Strides[0] + 1, OW likewise.
type Conv struct {
	standard
	Strides [2]int
	Pads    [4]int // top, left, bottom, right
	Group   int
}

// OpType implements Op.
func (Conv) OpType() string { return "Conv" }

// Infer implements Op.
func (o Conv) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 2, 3); err != nil {
		return nil, err
	}
	if err := cmp.Or(wantRank(in, 0, 4), wantRank(in, 1, 4)); err != nil {
		return nil, err
	}
	x, w := in[0].Shape, in[1].Shape
	if o.Group < 1 || o.Strides[0] < 1 || o.Strides[1] < 1 || slices.Min(o.Pads[:]) < 0 {
		return nil, fmt.Errorf("strides %v, pads %v or group %d out of range", o.Strides, o.Pads, o.Group)
	}
	if x[1] != w[1]*o.Group || w[0]%o.Group != 0 {
		return nil, fmt.Errorf("input %v does not fit weight %v with group %d", x, w, o.Group)
	}
	if len(in) == 3 && in[2].DType != tensor.Invalid {
		if err := wantShape(in, 2, w[0]); err != nil {
			return nil, err
		}
	}
	oh, ow := x[2]+o.Pads[0]+o.Pads[2]-w[2], x[3]+o.Pads[1]+o.Pads[3]-w[3]
	if oh < 0 || ow < 0 {
		return nil, fmt.Errorf("kernel %v is larger than the padded input %v", w[2:], x[2:])
	}
	return one(in[0].DType, x[0], w[0], oh/o.Strides[0]+1, ow/o.Strides[1]+1), nil
}

// GroupNormalization normalises x [B,C,...] per sample and group of C/Groups channels with the population variance, then
// scales and shifts per channel: inputs x, scale [C], bias [C]; output as x.
type GroupNormalization struct {
	standard
	Groups  int
	Epsilon float64
}

// OpType implements Op.
func (GroupNormalization) OpType() string { return "GroupNormalization" }

// Infer implements Op.
func (o GroupNormalization) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 3, 3); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if len(x) < 3 {
		return nil, fmt.Errorf("input 0 has shape %v, want rank 3 or more", x)
	}
	if o.Groups < 1 || x[1]%o.Groups != 0 {
		return nil, fmt.Errorf("%d groups do not divide %d channels", o.Groups, x[1])
	}
	if err := cmp.Or(wantShape(in, 1, x[1]), wantShape(in, 2, x[1])); err != nil {
		return nil, err
	}
	return in[:1], nil
}

// LayerNormalization normalises the last axis with the population variance: x [...,D], scale [D], bias [D]; output as x.
type LayerNormalization struct {
	standard
	Epsilon float64
}

// OpType implements Op.
func (LayerNormalization) OpType() string { return "LayerNormalization" }

// Infer implements Op.
func (o LayerNormalization) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 3, 3); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if len(x) == 0 {
		return nil, fmt.Errorf("input 0 is a scalar, want rank 1 or more")
	}
	d := x[len(x)-1]
	if err := cmp.Or(wantShape(in, 1, d), wantShape(in, 2, d)); err != nil {
		return nil, err
	}
	return in[:1], nil
}

// UnaryFn names an element-wise function of one operand, by its ONNX operator type.
type UnaryFn string

// The element-wise functions. IsNaN yields booleans, the others their operand's type; Identity takes any type.
const (
	Identity UnaryFn = "Identity"
	Sigmoid  UnaryFn = "Sigmoid"
	Relu     UnaryFn = "Relu"
	Tanh     UnaryFn = "Tanh"
	Softplus UnaryFn = "Softplus" // log(1+e^x), computed without overflow
	Floor    UnaryFn = "Floor"
	IsNaN    UnaryFn = "IsNaN"
	Exp      UnaryFn = "Exp"
	Log      UnaryFn = "Log"
	Sqrt     UnaryFn = "Sqrt"
	Erf      UnaryFn = "Erf" // 2/√π·∫e^(-t²)dt from 0 to x
	Neg      UnaryFn = "Neg"
	Abs      UnaryFn = "Abs"
)

// Unary applies Fn to every element: x → same shape.
type Unary struct {
	standard
	Fn UnaryFn
}

// OpType implements Op.
func (o Unary) OpType() string { return string(o.Fn) }

// Infer implements Op.
func (o Unary) Infer(in []Type) ([]Type, error) {
	switch o.Fn {
	case Identity:
		return in[:min(1, len(in))], wantInputs(in, 1, 1)
	case IsNaN:
		if err := floats(in, 1, 1); err != nil {
			return nil, err
		}
		return one(tensor.Bool, in[0].Shape...), nil
	case Sigmoid, Relu, Tanh, Softplus, Floor, Exp, Log, Sqrt, Erf, Neg, Abs:
		return in[:min(1, len(in))], floats(in, 1, 1)
	}
	return nil, fmt.Errorf("unknown function %q", o.Fn)
}

// BinaryFn names an element-wise function of two operands, by its ONNX operator type.
type BinaryFn string

// The element-wise functions of two operands of one numeric type, with broadcasting.
const (
	Add BinaryFn = "Add"
	Sub BinaryFn = "Sub"
	Mul BinaryFn = "Mul"
	Div BinaryFn = "Div"
	Max BinaryFn = "Max"
	Min BinaryFn = "Min"
	Pow BinaryFn = "Pow" // of floats
)

// Binary applies Fn to pairs of elements: a, b of one type → their broadcast shape.
type Binary struct {
	standard
	Fn BinaryFn
}

// OpType implements Op.
func (o Binary) OpType() string { return string(o.Fn) }

// Infer implements Op.
func (o Binary) Infer(in []Type) ([]Type, error) {
	switch o.Fn {
	case Add, Sub, Mul, Div, Max, Min, Pow:
	default:
		return nil, fmt.Errorf("unknown function %q", o.Fn)
	}
	if err := wantInputs(in, 2, 2); err != nil {
		return nil, err
	}
	if in[0].DType != in[1].DType || in[0].DType == tensor.Bool {
		return nil, fmt.Errorf("operands are %v and %v, want one numeric type", in[0], in[1])
	}
	if o.Fn == Pow && !in[0].DType.IsFloat() {
		return nil, fmt.Errorf("operands are %v and %v, want floating-point numbers", in[0], in[1])
	}
	shape, err := Broadcast(in[0].Shape, in[1].Shape)
	return one(in[0].DType, shape...), err
}

// Clip limits x to [Low, High]; a NaN stays NaN.
type Clip struct {
	standard
	Low, High float64
}

// OpType implements Op.
func (Clip) OpType() string { return "Clip" }

// Infer implements Op.
func (o Clip) Infer(in []Type) ([]Type, error) {
	if !(o.Low <= o.High) {
		return nil, fmt.Errorf("the range [%g, %g] is empty", o.Low, o.High)
	}
	return in[:min(1, len(in))], floats(in, 1, 1)
}

// Where chooses per element: condition (bool), a, b → a where the condition holds, else b; all broadcast.
type Where struct{ standard }

// OpType implements Op.
func (Where) OpType() string { return "Where" }

// Infer implements Op.
func (o Where) Infer(in []Type) ([]Type, error) {
	if err := wantInputs(in, 3, 3); err != nil {
		return nil, err
	}
	if in[0].DType != tensor.Bool || in[1].DType != in[2].DType {
		return nil, fmt.Errorf("inputs are %v, %v, %v; want a bool and two of one type", in[0], in[1], in[2])
	}
	shape, err := Broadcast(in[1].Shape, in[2].Shape)
	if err != nil {
		return nil, err
	}
	shape, err = Broadcast(in[0].Shape, shape)
	return one(in[1].DType, shape...), err
}

// Cast converts to another element type; floats become integers by truncation towards zero.
type Cast struct {
	standard
	To tensor.DType
}

// OpType implements Op.
func (Cast) OpType() string { return "Cast" }

// Infer implements Op.
func (o Cast) Infer(in []Type) ([]Type, error) {
	if err := wantInputs(in, 1, 1); err != nil {
		return nil, err
	}
	return one(o.To, in[0].Shape...), nil
}

// Gemm is y = a·b + c for matrices: a [M,K], b [K,N] or with TransB [N,K], optional c broadcast to [M,N] → [M,N].
type Gemm struct {
	standard
	TransB bool
}

// OpType implements Op.
func (Gemm) OpType() string { return "Gemm" }

// Infer implements Op.
func (o Gemm) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 2, 3); err != nil {
		return nil, err
	}
	if err := cmp.Or(wantRank(in, 0, 2), wantRank(in, 1, 2)); err != nil {
		return nil, err
	}
	a, k, n := in[0].Shape, in[1].Shape[0], in[1].Shape[1]
	if o.TransB {
		k, n = n, k
	}
	if a[1] != k {
		return nil, fmt.Errorf("matrices %v and %v (transposed: %v) do not multiply", a, in[1].Shape, o.TransB)
	}
	out := []int{a[0], n}
	if len(in) == 3 && in[2].DType != tensor.Invalid {
		if s, err := Broadcast(in[2].Shape, out); err != nil || !slices.Equal(s, out) {
			return nil, fmt.Errorf("the addend %v does not broadcast to %v", in[2].Shape, out)
		}
	}
	return one(in[0].DType, out...), nil
}

// MatMul multiplies the matrices in the last two axes, and the axes before them broadcast: a [...,M,K], b [...,K,N] → [...,M,N]. Apex-X has
// stacks of equal length alone, a [B,M,K] and b [B,K,N].
type MatMul struct{ standard }

// OpType implements Op.
func (MatMul) OpType() string { return "MatMul" }

// Infer implements Op.
func (o MatMul) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 2, 2); err != nil {
		return nil, err
	}
	a, b := in[0].Shape, in[1].Shape
	if len(a) < 2 || len(b) < 2 || a[len(a)-1] != b[len(b)-2] {
		return nil, fmt.Errorf("stacks of matrices %v and %v do not multiply", a, b)
	}
	stack, err := Broadcast(a[:len(a)-2], b[:len(b)-2])
	if err != nil {
		return nil, fmt.Errorf("stacks of matrices %v and %v do not multiply: %w", a, b, err)
	}
	return one(in[0].DType, append(stack, a[len(a)-2], b[len(b)-1])...), nil
}

// Stacks tells whether both operands are of rank 3 and have equally many matrices.
func (MatMul) Stacks(a, b []int) bool { return len(a) == 3 && len(b) == 3 && a[0] == b[0] }
