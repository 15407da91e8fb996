package lower_test

import (
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// A joined node has the results that others read, comes before all who read them, and stores a tapped value aside.
func TestJoin(t *testing.T) {
	b := graph.NewBuilder("join")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{2}})
	unary := func(name string, fn graph.UnaryFn, x *graph.Value) *graph.Value {
		return b.Add1(name, graph.Unary{Fn: fn}, x)
	}
	first := unary("first", graph.Relu, x)
	inner := unary("inner", graph.Tanh, first)
	b.Tap("inner", inner)
	b.Output("early", unary("reader of first", graph.Sigmoid, first))
	b.Output("late", unary("last", graph.Tanh, inner))
	g, err := b.Build()
	check(t, err)
	for _, taps := range [][]string{nil, {"inner"}} {
		p, err := lower.Import(g, tensor.Float32, taps)
		check(t, err)
		nodes := map[string]*lower.Node{}
		for _, n := range p.Nodes {
			nodes[n.Name] = n
		}
		joined := p.Join(lower.Fused("Joined"), map[string]*lower.Node{"a": nodes["first"], "b": nodes["inner"], "c": nodes["last"]})
		var out []string
		for _, v := range joined.Out {
			out = append(out, v.Name)
		}
		if want := append([]string{"last", "first"}, taps...); !slices.Equal(out, want) {
			t.Errorf("taps %v: it writes %v, want %v", taps, out, want)
		}
		if !slices.Equal(joined.Covers(), []string{"first", "inner", "last"}) || joined.Part("b").Name != "inner" || joined.In[0] != p.Inputs[0] {
			t.Errorf("it covers %v and reads %v", joined.Covers(), joined.In)
		}
		if len(p.Nodes) != 2 || p.Nodes[0] != joined || p.Nodes[1].In[0].Producer != joined {
			t.Errorf("%d nodes, the first is %s", len(p.Nodes), p.Nodes[0].Name)
		}
	}
}
