package tensorrt

import (
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// TestFold: constants go into what reads them; what is returned, or reads an input, stays.
func TestFold(t *testing.T) {
	b := graph.NewBuilder("constants")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{2}})
	raw := b.Const("raw", tensor.Must(tensor.Of([]float32{0, 2}, 2)))
	half := b.Const("half", tensor.Scalar(float32(0.5)))
	sigmoid := b.Add1("sigmoid", graph.Unary{Fn: graph.Sigmoid}, raw)
	span := b.Add1("span", graph.Binary{Fn: graph.Mul}, half, sigmoid)
	gain := b.Add1("gain", graph.Unary{Fn: graph.Softplus}, raw)
	rest := b.Add1("rest", graph.Binary{Fn: graph.Sub}, gain, half)
	b.Output("y", b.Add1("sum", graph.Binary{Fn: graph.Add}, x, span))
	b.Output("z", b.Add1("product", graph.Binary{Fn: graph.Mul}, x, rest))
	b.Output("kept", b.Add1("tanh", graph.Unary{Fn: graph.Tanh}, raw))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	out := fold(g)
	if got, want := text(out), "sum Add(x span)\nproduct Mul(x rest)\ntanh Tanh(raw)\n"; got != want {
		t.Fatalf("got\n%swant\n%s", got, want)
	}
	for i, want := range [][]float32{{0.25, 0.44039854}, {0.19314718, 1.6269281}} {
		got := tensor.Data[float32](out.Nodes[i].Inputs[1].Const)
		if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%s is %v, want %v", out.Nodes[i].Inputs[1].Name, got, want)
		}
	}
}
