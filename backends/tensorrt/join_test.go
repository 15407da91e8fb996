package tensorrt

import (
	"fmt"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
	"github.com/apex-x/apexx/backends/tensor"
)

// towers is two chains of two normalisations on maps of two sizes, of which the second chain begins behind the first one's first, a third normalisation that
// needs both ends, and one of another batch.
func towers(t *testing.T) *graph.Graph {
	t.Helper()
	b := graph.NewBuilder("towers")
	input := func(name string, shape ...int) *graph.Value {
		return b.Input(name, graph.Type{DType: tensor.Float32, Shape: shape})
	}
	norm := func(name string, x *graph.Value) *graph.Value {
		scale := b.Const(name+".scale", tensor.New(tensor.Float32, x.Shape[1]))
		return b.Add1(name, graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}, x, scale, scale)
	}
	pooled := func(name string, x *graph.Value) *graph.Value {
		return b.Add1(name, graph.Resize{Height: 2, Width: 2}, x)
	}
	a1 := norm("a1", input("x", 1, 4, 4, 4))
	b1 := norm("b1", pooled("half", a1))
	a2, b2 := norm("a2", a1), norm("b2", b1)
	other := norm("other", input("z", 3, 4, 2, 2))
	both := norm("both", b.Add1("product", graph.Binary{Fn: graph.Mul}, pooled("a2.half", a2), b2))
	free := norm("free", input("y", 1, 2, 2, 2))
	for i, v := range []*graph.Value{both, free, other} {
		b.Output(fmt.Sprintf("y%d", i), v)
	}
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestJoin(t *testing.T) {
	facts := Facts{Plugins: []Plugin{{Name: normFusion, Version: "1", Namespace: "apexx", Fields: append(slices.Clone(normFields), mapsField)}}}
	fused, fusions, _ := fuse(towers(t), facts)
	g, joined := join(fused, fusions, facts, nil)
	const want = `a1 GroupNormFusion(x y a1.scale free.scale a1.scale free.scale)
half Resize(a1)
b1 GroupNormFusion(half a1 b1.scale a2.scale b1.scale a2.scale)
b2 GroupNormFusion(b1 b2.scale b2.scale)
other GroupNormFusion(z other.scale other.scale)
a2.half Resize(a2)
product Mul(a2.half b2)
both GroupNormFusion(product both.scale both.scale)
`
	if got := text(g); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	var names []string
	for _, f := range joined {
		names = append(names, fmt.Sprint(f.name, f.nodes))
	}
	if want := []string{"a1[a1 free]", "b1[b1 a2]", "b2[b2]", "other[other]", "both[both]"}; !slices.Equal(names, want) {
		t.Errorf("fusions %v, want %v", names, want)
	}
	low := map[*graph.Value]bool{fused.Nodes[0].Outputs[0]: true}
	if apart, _ := join(fused, fusions, facts, low); apart.Nodes[0].Op.OpType() != normFusion || len(apart.Nodes[0].Inputs) != 3 {
		t.Errorf("joined what has two types: %s", text(apart))
	}
	facts.Plugins[0].Fields = normFields
	if same, _ := join(fused, fusions, facts, nil); same != fused {
		t.Error("joined for a plugin without the field")
	}
}

func count(g *graph.Graph, op string) int {
	n := 0
	for _, node := range g.Nodes {
		if node.Op.OpType() == op {
			n++
		}
	}
	return n
}

// The 48 normalisations of the model are 13 nodes in every type: what the towers, prototypes and projections do on all levels is two of them.
func TestJoinOfTheModel(t *testing.T) {
	g := modeltest.Hashed(t, 1, model.Options{Batch: 1, Height: 512, Width: 512}, "model.num_classes=8", "routing.budget_b1=6.4", "routing.budget_b2=4", "routing.budget_total=16")
	facts := newEmulated().facts
	facts.Plugins = append(facts.Plugins, Plugin{Name: normFusion, Version: "1", Namespace: "apexx", Fields: append(slices.Clone(normFields), mapsField)})
	for _, f := range []graph.Format{"", graph.FP16} {
		low, err := graph.Lower(g, f)
		if err != nil {
			t.Fatal(err)
		}
		fused, fusions, _ := fuse(fold(bare(low)), facts)
		joined, list := join(fused, fusions, facts, narrow(fused, f))
		if len(fusions) != 48 || len(list) != 13 || len(fused.Nodes)-len(joined.Nodes) != 35 {
			t.Errorf("%q: %d normalisations in %d nodes, of %d nodes are left %d", f, len(fusions), len(list), len(fused.Nodes), len(joined.Nodes))
		}
		// The first convolutions of the towers, of the prototypes and of the labels are one on each of five levels.
		facts.Plugins[len(facts.Plugins)-1].Fields = append(slices.Clone(normFields), mapsField, firstsField)
		facts.Plugins[len(facts.Plugins)-1].Required = []string{"num_groups"}
		wide, _ := widen(joined, list, facts)
		if was, is := count(joined, "Conv"), count(wide, "Conv"); was != 77 || is != 65 {
			t.Errorf("%q: %d convolutions became %d", f, was, is)
		}
		if _, err := exportOf(low, f, facts, Batches{}); err != nil {
			t.Error(err)
		}
	}
}
