package lower_test

import (
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// A node of the executor's own, put before the one that reads it, fuses like one of the graph: the parts keep the order of execution.
func TestSetNodes(t *testing.T) {
	b := graph.NewBuilder("own")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{2}})
	b.Output("y", b.Add1("relu", graph.Unary{Fn: graph.Relu}, b.Add1("sum", graph.Binary{Fn: graph.Add}, x, x)))
	g, err := b.Build()
	check(t, err)
	p, err := lower.Import(g, tensor.Float32, nil)
	check(t, err)
	sum, relu := p.Nodes[0], p.Nodes[1]
	own := &lower.Node{Name: "own", Op: lower.Fused("Own"), In: []*lower.Value{sum.Out[0]}}
	own.Out = []*lower.Value{{Name: "own", DType: tensor.Float32, Shape: []int{2}, Producer: own}}
	relu.In = own.Out
	p.SetNodes([]*lower.Node{sum, own, relu})
	p.Fuse([]lower.Rule{
		{Name: "SumOwn", Pattern: lower.Pattern{Op: "Own", Role: "own", In: []lower.Pattern{{Op: "Add", Role: "sum"}}}},
		{Name: "All", Pattern: lower.Pattern{Op: "Relu", Role: "relu", In: []lower.Pattern{{Op: "SumOwn", Role: "first"}}}},
	})
	if len(p.Nodes) != 1 || !slices.Equal(p.Nodes[0].Covers(), []string{"sum", "own", "relu"}) || p.Nodes[0].Out[0] != p.Outputs[0].Value {
		t.Errorf("nodes %v cover %v and write %v", len(p.Nodes), p.Nodes[0].Covers(), p.Nodes[0].Out)
	}
}
