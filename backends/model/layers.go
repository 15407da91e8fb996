package model

import (
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/tensor"
)

// value shortens signatures: an edge of the graph under construction.
type value = *graph.Value

// normEpsilon is the epsilon of every normalisation of the model.
const normEpsilon = 1e-5

// builder adds the modules of one model to a graph. Names of nodes follow the names of the parameters they use, so that a
// tap, an error and a weight file speak of the same thing.
type builder struct {
	*graph.Builder
	cfg     config.Config
	weights Weights
	opts    Options
}

// Weights gives the parameters of a model by name; nil for a name that it does not have.
type Weights interface {
	Tensor(name string) *tensor.Tensor
}

// param returns the constant of a parameter.
func (b *builder) param(name string) value {
	t := b.weights.Tensor(name)
	if t == nil {
		b.Fail(fmt.Errorf("the weights have no parameter %q", name))
		t = tensor.Scalar(float32(0))
	}
	return b.Const(name, t)
}

// has reports whether the weights hold a parameter.
func (b *builder) has(name string) bool { return b.weights.Tensor(name) != nil }

// conv adds a convolution with the weight prefix.weight and, where it exists, prefix.bias. The padding keeps the size at
// stride 1.
func (b *builder) conv(node, prefix string, x value, stride, group int) value {
	w := b.param(prefix + ".weight")
	in := []value{x, w}
	if b.has(prefix + ".bias") {
		in = append(in, b.param(prefix+".bias"))
	}
	pad := 0
	if len(w.Shape) == 4 {
		pad = w.Shape[2] / 2
	}
	return b.Add1(node, graph.Conv{Strides: [2]int{stride, stride}, Pads: [4]int{pad, pad, pad, pad}, Group: group}, in...)
}

// norm adds a group normalisation with one group.
func (b *builder) norm(node, prefix string, x value) value {
	return b.Add1(node, graph.GroupNormalization{Groups: 1, Epsilon: normEpsilon}, x, b.param(prefix+".weight"), b.param(prefix+".bias"))
}

// silu adds x·σ(x).
func (b *builder) silu(node string, x value) value {
	return b.Add1(node, graph.Binary{Fn: graph.Mul}, x, b.Add1(node+".sigmoid", graph.Unary{Fn: graph.Sigmoid}, x))
}

// unary, binary and scaled are element-wise shorthands.
func (b *builder) unary(node string, fn graph.UnaryFn, x value) value {
	return b.Add1(node, graph.Unary{Fn: fn}, x)
}

func (b *builder) binary(node string, fn graph.BinaryFn, x, y value) value {
	return b.Add1(node, graph.Binary{Fn: fn}, x, y)
}

// block adds convolution, normalisation and SiLU with the parameters prefix.i and prefix.(i+1); suffix tells apart the
// places that share one set of parameters.
func (b *builder) block(prefix string, i int, suffix string, x value, stride int) value {
	conv, norm := fmt.Sprintf("%s.%d", prefix, i), fmt.Sprintf("%s.%d", prefix, i+1)
	y := b.conv(conv+suffix, conv, x, stride, 1)
	y = b.norm(norm+suffix, norm, y)
	return b.silu(fmt.Sprintf("%s.%d.silu%s", prefix, i+1, suffix), y)
}

// reglu splits the channels in halves (a, g) and adds a·max(g, 0).
func (b *builder) reglu(prefix string, x value) value {
	if len(x.Shape) < 2 {
		return x // an earlier error is recorded
	}
	c := x.Shape[1] / 2
	parts := b.Add(prefix+".split", graph.Split{Axis: 1, Sizes: []int{c, c}}, x)
	return b.binary(prefix+".reglu", graph.Mul, parts[0], b.unary(prefix+".gate", graph.Relu, parts[1]))
}

// cheapBlock adds a CheapBlock with residual (spec/model.md 3.1).
func (b *builder) cheapBlock(prefix string, x value) value {
	y := b.conv(prefix+".conv", prefix+".conv", x, 1, 1)
	y = b.reglu(prefix, b.norm(prefix+".norm", prefix+".norm", y))
	residual := x
	if b.has(prefix + ".residual_proj.weight") {
		residual = b.conv(prefix+".residual_proj", prefix+".residual_proj", x, 1, 1)
	}
	return b.binary(prefix, graph.Add, y, residual)
}

// linear adds x·Wᵀ + bias over rows: x [R,in] → [R,out].
func (b *builder) linear(node, prefix string, x value) value {
	in := []value{x, b.param(prefix + ".weight")}
	if b.has(prefix + ".bias") {
		in = append(in, b.param(prefix+".bias"))
	}
	return b.Add1(node, graph.Gemm{TransB: true}, in...)
}

func (b *builder) reshape(node string, x value, shape ...int) value {
	return b.Add1(node, graph.Reshape{Shape: shape}, x)
}

// resize adds a bilinear resize unless the size is right already.
func (b *builder) resize(node string, x value, h, w int) value {
	if len(x.Shape) == 4 && x.Shape[2] == h && x.Shape[3] == w {
		return x
	}
	return b.Add1(node, graph.Resize{Height: h, Width: w}, x)
}

// nanToZero replaces NaN by 0.
func (b *builder) nanToZero(node string, x value) value {
	return b.Add1(node, graph.Where{}, b.unary(node+".isnan", graph.IsNaN, x), b.Scalar(0), x)
}

// fill returns a constant tensor of one value.
func (b *builder) fill(name string, v float32, shape ...int) value {
	t := tensor.New(tensor.Float32, shape...)
	d := tensor.Data[float32](t)
	for i := range d {
		d[i] = v
	}
	return b.Const(name, t)
}

// ids returns an int64 constant.
func (b *builder) ids(name string, v []int, shape ...int) value {
	t := tensor.New(tensor.Int64, shape...)
	d := tensor.Data[int64](t)
	for i := range d {
		d[i] = int64(v[i%len(v)])
	}
	return b.Const(name, t)
}
