package graph_test

import (
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// A pass that lets those who read a copy read what was copied, and doubles the sum.
func ExampleRewriter() {
	b := graph.NewBuilder("sum")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{2}})
	same := b.Add1("same", graph.Unary{Fn: graph.Identity}, x)
	sum := b.Add1("sum", graph.Binary{Fn: graph.Add}, x, same)
	b.Output("sum", sum)
	g, err := b.Build()
	if err != nil {
		fmt.Println(err)
		return
	}

	var r graph.Rewriter
	for _, n := range g.Nodes {
		if op, ok := n.Op.(graph.Unary); ok && op.Fn == graph.Identity {
			r.Replace(n.Outputs[0], r.Value(n.Inputs[0]))
			continue
		}
		y := r.Copy(n).Outputs[0]
		r.Replace(n.Outputs[0], r.Add(y.Name+".twice", graph.Binary{Fn: graph.Add}, y.Type, y, y))
	}
	fmt.Print(r.Graph(g).Dump())
	// Output:
	// input  x float32[2]
	// node   sum = Add(x, x) → sum float32[2]
	// node   sum.twice = Add(sum, sum) → sum.twice float32[2]
	// output sum = sum.twice float32[2]
}
