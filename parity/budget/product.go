package budget

import (
	"fmt"
	"math"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// product is the rule of y = Σ a·b + c over K terms (Conv, ConvTranspose, Gemm, MatMul), with σ the spreads of the operands. The bias c may be where the
// sum begins, and is then in every partial sum:
//
//	σy² = u²·K·(Σ(a·b)² + c²) + Σ b²·σa² + Σ a²·σb² + σc² + (u·y)²
//
// The first three sums are products of squares, which Products evaluates: of the operands K·a² + (σa/u)² and b², in units of u², so
// that squares of small numbers stay in the range of float32.
func product(c *call) ([][]float64, error) {
	terms := float64(termsOf(c.node))
	a, b := c.in[0], c.in[1]
	left := squares(a, func(v, s float64) float64 { return terms*v*v + (s/Unit)*(s/Unit) })
	variance, err := c.evaluate(left, squares(b, func(v, _ float64) float64 { return v * v }))
	if err == nil && !b.exact() {
		var more []float64
		more, err = c.evaluate(squares(a, func(v, s float64) float64 { return v*v + s*s }), squares(b, func(_, s float64) float64 { return (s / Unit) * (s / Unit) }))
		for i, m := range more {
			variance[i] += m
		}
	}
	if err != nil {
		return nil, err
	}
	bias := func(int) (rounded, spread float64) { return 0, 0 }
	if len(c.in) > 2 && c.in[2].Tensor != nil {
		at, values := biasIndex(c.node, c.out[0].Shape(), c.in[2].Shape()), c.in[2].floats()
		bias = func(i int) (rounded, spread float64) {
			return Unit * math.Sqrt(terms) * values[at(i)], c.in[2].spread(at(i))
		}
	}
	return c.each(func(i int, y float64) float64 {
		if variance[i] >= known {
			return math.Inf(1)
		}
		rounded, spread := bias(i)
		return root(Unit*math.Sqrt(max(variance[i], 0)), Unit*y, rounded, spread)
	})
}

// An unlimited square goes into a product as unlimited, which is in the range of float32, and what comes out from known on has had one.
const (
	unlimited = 1e30
	known     = 1e20
)

// termsOf returns K, the number of products that make an element.
func termsOf(n *graph.Node) int {
	w := n.Inputs[1].Shape
	switch op := n.Op.(type) {
	case graph.Conv:
		return w[1] * w[2] * w[3]
	case graph.Gemm:
		if op.TransB {
			return w[1]
		}
		return w[0]
	case graph.ConvTranspose:
		return w[0] / op.Group * w[2] * w[3] // at the most
	}
	return w[len(w)-2]
}

// biasIndex maps an element of the result to that of the bias: of a convolution the channel, else by broadcasting.
func biasIndex(n *graph.Node, out, bias []int) func(int) int {
	switch n.Op.(type) {
	case graph.Conv, graph.ConvTranspose:
		plane := out[2] * out[3]
		return func(i int) int { return i / plane % out[1] }
	}
	return broadcast(out, bias)
}

// squares returns a tensor of what of gives for the elements of v and their spreads.
func squares(v Value, of func(v, spread float64) float64) *tensor.Tensor {
	out := tensor.New(tensor.Float32, v.Shape()...)
	data := tensor.Data[float32](out)
	for i, x := range v.floats() {
		data[i] = float32(min(of(x, v.spread(i)), unlimited))
	}
	return out
}

// evaluate applies the node's operator, without its bias, to two tensors.
func (c *call) evaluate(a, b *tensor.Tensor) ([]float64, error) {
	build := graph.NewBuilder("squares")
	x := build.Input("a", graph.Type{DType: a.DType(), Shape: a.Shape()})
	y := build.Add1("y", c.node.Op, x, build.Const("b", b))
	build.Output("y", y)
	g, err := build.Build()
	if err != nil {
		return nil, err
	}
	opts := c.Options
	opts.Precision = backends.FP32
	session, err := c.Products.Compile(c.ctx, g, opts)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	out, err := backends.Run(c.ctx, session, tensor.List{{Name: "a", Tensor: a}})
	if err != nil {
		return nil, fmt.Errorf("products of squares: %w", err)
	}
	return out[0].Float64s(), nil
}
