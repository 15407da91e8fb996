// Package paritytest plants faults into graphs, for those who test what a comparison of executions finds, and emulates sums that are no fault but narrower
// than float32.
package paritytest

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Truncating returns what graph.Lower gives for a format, int8 excepted, but for its roundings: they go towards zero instead of to the nearest, numbers
// of fp8 below the normal ones excepted. All is spelled in operators that do what they say, so a backend that executes it in FP32 poses as one of the
// format that rounds wrongly.
func Truncating(g *graph.Graph, f graph.Format) (*graph.Graph, error) {
	low, err := graph.Lower(g, f)
	if err != nil {
		return nil, err
	}
	layout := graph.E4M3
	if f != graph.FP8 {
		if layout, err = f.Layout(); err != nil {
			return nil, err
		}
	}
	out := *low
	out.Nodes = nil
	// r·(1-1.5·2^-m/2) is between half a unit and one and a half below r, for any r of m bits behind the point: its nearest neighbour below.
	below := graph.Constant("truncate.below", tensor.Scalar(float32(1-0.75*math.Ldexp(1, 1-layout.Significand))))
	zero := graph.Constant("truncate.zero", tensor.Scalar(float32(0)))
	for _, n := range low.Nodes {
		if _, ok := n.Op.(graph.Round); ok {
			out.Nodes = append(out.Nodes, truncate(n, below, zero)...)
		} else {
			out.Nodes = append(out.Nodes, n)
		}
	}
	return &out, nil
}

// truncate spells one rounding r of x: r where |r| ≤ |x|, else the neighbour of r towards zero. q = δ/δ with δ = max(|r|-|x|, 0) is NaN
// exactly in the first case.
func truncate(n *graph.Node, below, zero *graph.Value) []*graph.Node {
	var nodes []*graph.Node
	t := n.Outputs[0].Type
	add := func(suffix string, op graph.Op, dtype tensor.DType, in ...*graph.Value) *graph.Value {
		node := &graph.Node{Name: n.Name + ".truncate." + suffix, Op: op, Inputs: in}
		v := &graph.Value{Name: node.Name, Type: graph.Type{DType: dtype, Shape: t.Shape}, Producer: node}
		node.Outputs = []*graph.Value{v}
		nodes = append(nodes, node)
		return v
	}
	float := func(suffix string, op graph.Op, in ...*graph.Value) *graph.Value {
		return add(suffix, op, t.DType, in...)
	}
	magnitude := func(suffix string, x *graph.Value) *graph.Value {
		return float(suffix, graph.Binary{Fn: graph.Max}, x, float(suffix+".minus", graph.Binary{Fn: graph.Sub}, zero, x))
	}
	x, scale := n.Inputs[0], n.Inputs[1:]
	r := float("nearest", n.Op, n.Inputs...)
	exact := magnitude("exact", x)
	if len(scale) > 0 { // r is a product with it, and may be beyond x by its rounding alone
		ulp := graph.Constant(n.Name+".truncate.ulp", tensor.Scalar(float32(1+0x1p-22)))
		exact = float("beside", graph.Binary{Fn: graph.Mul}, exact, ulp)
	}
	over := float("over", graph.Unary{Fn: graph.Relu}, float("excess", graph.Binary{Fn: graph.Sub}, magnitude("rounded", r), exact))
	kept := add("kept", graph.Unary{Fn: graph.IsNaN}, tensor.Bool, float("quotient", graph.Binary{Fn: graph.Div}, over, over))
	lower := float("lower", n.Op, append([]*graph.Value{float("scaled", graph.Binary{Fn: graph.Mul}, r, below)}, scale...)...)
	last := &graph.Node{Name: n.Name, Op: graph.Where{}, Inputs: []*graph.Value{kept, r, lower}, Outputs: n.Outputs}
	last.Outputs[0].Producer = last
	return append(nodes, last)
}
