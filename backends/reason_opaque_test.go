package backends_test

import (
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// TestRefuseOpaque tells what keeps an operator from being one of ours, so that whoever has the model knows what to change.
func TestRefuseOpaque(t *testing.T) {
	b := graph.NewBuilder("foreign")
	image := b.Input("image", graph.Type{DType: tensor.Float32, Shape: []int{1, 2}})
	if g := build(t, b, image); backends.RefuseOpaque("reference", g) != nil {
		t.Error("a graph without opaque operators is refused")
	}
	b = graph.NewBuilder("foreign")
	x := b.Input("image", graph.Type{DType: tensor.Float32, Shape: []int{1, 2}})
	for _, n := range []struct{ name, op, why string }{{"b", "LSTM", "its attribute direction is bidirectional"}, {"a", "Det", "the operator is not supported"}, {"c", "LSTM", "it has no layout"}} {
		x = b.Add1(n.name, graph.Opaque{Type: n.op, Outputs: []graph.Type{x.Type}, Places: []int{0}, Why: n.why}, x)
	}
	err := backends.RefuseOpaque("reference", build(t, b, x))
	want := "backend reference is unavailable: operator_unsupported: operators that it lacks: Det (node a: the operator is not supported), LSTM (node b and 1 more: its attribute direction is bidirectional)"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func build(t *testing.T, b *graph.Builder, out *graph.Value) *graph.Graph {
	t.Helper()
	b.Output("out", b.Add1("last", graph.Unary{Fn: graph.Sigmoid}, out))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}
