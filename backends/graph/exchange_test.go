package graph

import (
	"testing"

	"github.com/apex-x/apexx/backends/tensor"
)

// Exchange gives one node another operator and leaves everything else, the graph itself too.
func TestExchange(t *testing.T) {
	b := NewBuilder("exchange")
	x := b.Input("x", Type{DType: tensor.Float32, Shape: []int{2}})
	y := b.Add1("y", Round{To: BF16}, x)
	b.Tap("y", y)
	b.Output("z", b.Add1("z", Unary{Fn: Relu}, y))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	before := g.Dump()
	other := g.Exchange(func(n *Node) Op {
		if n.Name == "y" {
			return Unary{Fn: Identity}
		}
		return nil
	})
	if g.Dump() != before {
		t.Errorf("the graph itself is another one:\n%s", g.Dump())
	}
	if op := other.Nodes[0].Op; op != Op(Unary{Fn: Identity}) || other.Nodes[1].Op != g.Nodes[1].Op {
		t.Errorf("operators %v and %v", op, other.Nodes[1].Op)
	}
	if v := other.Nodes[1].Inputs[0]; v != other.Nodes[0].Outputs[0] || v.Producer != other.Nodes[0] || v.Name != "y" {
		t.Errorf("z reads %+v", v)
	}
	if tap, _ := other.Tap("y"); tap != other.Nodes[0].Outputs[0] || other.Outputs[0].Value != other.Nodes[1].Outputs[0] {
		t.Errorf("the tap is %+v, the output %+v", tap, other.Outputs[0].Value)
	}
}
