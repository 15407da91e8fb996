package budget

import (
	"fmt"
	"math"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// product is the rule of y = Σ a·b + c over K terms (Conv, ConvTranspose, Gemm, MatMul), of which up to m are equal, with σ the spreads of the
// operands. The bias c may be where the sum begins, and is then in every partial sum:
//
//	σy² = u²·m·K·(m·Σ(a·b)² + c² + y²/3) + m·(Σ b²·σa² + Σ a²·σb²) + σc² + (u·y)²
//
// The sums are products of squares, which Products evaluates: of the operands m²·K·a² + m·(σa/u)² and b², in units of u² and of the largest operands, so
// that squares of small and of large numbers stay in the range of float32.
func product(c *call) ([][]float64, error) {
	terms, m := float64(Terms(c.node)), float64(c.repeated())
	own, grown := c.roundings(terms, m)
	a, b := c.in[0], c.in[1]
	sizeA, sizeB := largestOf(a.floats()), largestOf(b.floats())
	left := squares(a, sizeA, func(v, s float64) float64 { return own*v*v + m*(s/Unit)*(s/Unit) })
	variance, err := c.evaluate(left, squares(b, sizeB, func(v, _ float64) float64 { return v * v }))
	if err == nil && !b.exact() {
		var more []float32
		more, err = c.evaluate(squares(a, sizeA, func(v, s float64) float64 { return m * (v*v + s*s) }), squares(b, sizeB, func(_, s float64) float64 { return (s / Unit) * (s / Unit) }))
		for i, m := range more {
			variance[i] += m
		}
	}
	if err != nil {
		return nil, err
	}
	bias, size := c.biasVariance(m*terms), sizeA*sizeB
	out, err := c.each(func(i int, y float64) float64 {
		if variance[i] >= known {
			return math.Inf(1)
		}
		return Unit * math.Sqrt(max(float64(variance[i]), 0)*size*size+(1+grown)*y*y+bias(i))
	})
	if c.whole && c.tiles() {
		out[0] = Value{Tensor: c.out[0].Tensor, Spread: out[0]}.Tiled(WinogradTile).Spread
	}
	return out, err
}

// tiles tells whether a library may compute the node by Winograd's algorithm. Of a single step the plan says whether one does (Margin).
func (c *call) tiles() bool {
	op, is := c.node.Op.(graph.Conv)
	w := c.node.Inputs[1].Shape
	return is && op.Group == 1 && op.Strides == [2]int{1, 1} && w[2] == 3 && w[3] == 3
}

// roundings returns by what Σ(a·b)² and y² are multiplied in the variance of a sum of K terms of which m are equal, in units of u²: m²·K and m·K/3.
// Roundings never leave more than (K+2)·Σ|a·b| ≤ (K+2)·√K·‖a∘b‖₂, whatever they have in common, which is less where most terms are equal.
func (c *call) roundings(terms, m float64) (own, grown float64) {
	own, grown = m*m*terms, m*terms/3
	least := c.jump((terms + 2) * math.Sqrt(terms))
	if m > 1 && least*least < own+grown*terms {
		return least * least, 0
	}
	return own, grown
}

// biasVariance returns what the bias of a product of so many roundings adds to the variance of an element, in units of u².
func (c *call) biasVariance(roundings float64) func(i int) float64 {
	if len(c.in) < 3 || c.in[2].Tensor == nil {
		return func(int) float64 { return 0 }
	}
	each := make([]float64, c.in[2].Len())
	for j, v := range c.in[2].floats() {
		s := c.in[2].spread(j) / Unit
		each[j] = roundings*v*v + s*s
	}
	at := biasIndex(c.node, c.out[0].Shape(), c.in[2].Shape())
	return func(i int) float64 { return each[at(i)] }
}

// An unlimited square goes into a product as unlimited, which is in the range of float32, and what comes out from known on has had one.
const (
	unlimited = 1e30
	known     = 1e20
)

// Terms returns K, the number of products that make an element of a Conv, ConvTranspose, Gemm or MatMul.
func Terms(n *graph.Node) int {
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

// largestOf returns the largest finite |v|, 1 where there is none but 0.
func largestOf(vs []float64) float64 {
	most := 0.0
	for _, v := range vs {
		if a := math.Abs(v); a > most && a <= math.MaxFloat64 {
			most = a
		}
	}
	if most == 0 {
		return 1
	}
	return most
}

// squares returns a tensor of what of gives for the elements of v and their spreads, both in units of size.
func squares(v Value, size float64, of func(v, spread float64) float64) *tensor.Tensor {
	out := tensor.New(tensor.Float32, v.Shape()...)
	data, xs := tensor.Data[float32](out), v.floats()
	pieces(len(xs), func(low, high int) {
		for i := low; i < high; i++ {
			data[i] = float32(min(of(xs[i]/size, v.spread(i)/size), unlimited))
		}
	})
	return out
}

// evaluate applies the node's operator, without its bias, to two tensors.
func (c *call) evaluate(a, b *tensor.Tensor) ([]float32, error) {
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
	return tensor.Data[float32](out.Clone()[0].Tensor), nil // the session closes
}
