package tensorrt

import (
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// norms is a graph with a normalisation before each of the activations, and one before neither.
func norms(t *testing.T) *graph.Graph {
	t.Helper()
	b := graph.NewBuilder("norms")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 4, 2, 2}})
	ones := b.Const("ones", tensor.Must(tensor.Of([]float32{1, 1, 1, 1}, 4)))
	norm := func(name string, in *graph.Value) *graph.Value {
		return b.Add1(name, graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}, in, ones, ones)
	}
	n1 := norm("n1", x)
	silu := b.Add1("silu", graph.Binary{Fn: graph.Mul}, n1, b.Add1("gate", graph.Unary{Fn: graph.Sigmoid}, n1))
	halves := b.Add("halves", graph.Split{Axis: 1, Sizes: []int{2, 2}}, norm("n2", silu))
	reglu := b.Add1("reglu", graph.Binary{Fn: graph.Mul}, halves[0], b.Add1("relu", graph.Unary{Fn: graph.Relu}, halves[1]))
	both := b.Add1("both", graph.Concat{Axis: 1}, reglu, reglu)
	n3 := norm("n3", both)
	b.Output("y", b.Add1("sum", graph.Binary{Fn: graph.Add}, n3, b.Add1("other", graph.Unary{Fn: graph.Sigmoid}, n3)))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestFuse(t *testing.T) {
	facts := Facts{Plugins: []Plugin{{Name: normFusion, Version: "1", Namespace: "apexx", Fields: normFields, Required: []string{"num_groups"}}}}
	g, fusions, split := fuse(norms(t), facts)
	const want = `silu GroupNormFusion(x ones ones)
reglu GroupNormFusion(silu ones ones)
both Concat(reglu reglu)
n3 GroupNormFusion(both ones ones)
other Sigmoid(n3)
sum Add(n3 other)
`
	if got := text(g); got != want || len(split) != 0 {
		t.Errorf("got\n%swant\n%ssplit %v", got, want, split)
	}
	layers := []Layer{{Nodes: []string{"reglu", "both"}}, {Nodes: []string{"n3"}}}
	unfuse(layers, fusions)
	if want := []string{"n2", "halves", "relu", "reglu", "both"}; !slices.Equal(layers[0].Nodes, want) || !slices.Equal(layers[1].Nodes, []string{"n3"}) {
		t.Errorf("layers cover %v, want %v", layers, want)
	}

	tapped, err := norms(t).WithTaps([]string{"gate"})
	if err != nil {
		t.Fatal(err)
	}
	_, fusions, split = fuse(tapped, facts)
	if want := (backends.Split{Node: "silu", Step: normFusion, Value: "gate"}); len(split) != 1 || split[0] != want || fusions[0].name != "n1" {
		t.Errorf("with a tap: split %v, fusions %v", split, fusions)
	}
	facts.Plugins[0].Fields = []string{"num_groups"}
	if same, none, _ := fuse(norms(t), facts); len(none) != 0 || len(same.Nodes) != len(norms(t).Nodes) {
		t.Error("fused into a plugin without the fields")
	}
}
