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

// builder adds the modules of one model to a graph. A value is named after what it is in the model, and a node of one output after its
// value: outputs and taps have the names by which they are known, all others follow the names of the parameters that they use, so
// that a tap, a step of a plan, an error and a weight file speak of the same thing.
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

// output and tap make a value an output of the model, and one that a session returns on request, under its own name.
func (b *builder) output(v value) { b.Output(v.Name, v) }

func (b *builder) tap(v value) value {
	b.Tap(v.Name, v)
	return v
}

// param returns the constant of a parameter.
func (b *builder) param(name string) value {
	t := b.weights.Tensor(name)
	if t == nil {
		b.Fail(fmt.Errorf("the weights have no parameter %q", name))
		return &graph.Value{Name: name}
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
	pad := w.Dim(2) / 2
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

// halves splits the channels of x in two.
func (b *builder) halves(node string, names []string, x value) (first, second value) {
	c := x.Dim(1) / 2
	parts := b.AddNamed(node, graph.Split{Axis: 1, Sizes: []int{c, c}}, names, x)
	return parts[0], parts[1]
}

// reglu splits the channels in halves (a, g) and adds a·max(g, 0).
func (b *builder) reglu(prefix string, x value) value {
	a, g := b.halves(prefix+".split", []string{prefix + ".a", prefix + ".g"}, x)
	return b.binary(prefix+".reglu", graph.Mul, a, b.unary(prefix+".gate", graph.Relu, g))
}

// cheapBlock adds a CheapBlock with residual (spec/model.md 3.1); the node computes the sum.
func (b *builder) cheapBlock(node, prefix string, x value) value {
	y := b.conv(prefix+".conv", prefix+".conv", x, 1, 1)
	y = b.reglu(prefix, b.norm(prefix+".norm", prefix+".norm", y))
	residual := x
	if b.has(prefix + ".residual_proj.weight") {
		residual = b.conv(prefix+".residual_proj", prefix+".residual_proj", x, 1, 1)
	}
	return b.binary(node, graph.Add, y, residual)
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
	if x.Dim(2) == h && x.Dim(3) == w {
		return x
	}
	return b.Add1(node, graph.Resize{Height: h, Width: w}, x)
}

// nanToZero replaces NaN by 0.
func (b *builder) nanToZero(node string, x value) value {
	return b.Add1(node, graph.Where{}, b.unary(node+".isnan", graph.IsNaN, x), b.Scalar(0), x)
}

// uniform returns a constant tensor of one value.
func (b *builder) uniform(name string, v float32, shape ...int) value {
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
