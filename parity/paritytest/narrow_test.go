package paritytest

import (
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
)

// 2048 + 1 lies in the middle between two numbers of fp16 and goes to 2048, again and again, if it is rounded behind every 16 products, and is 2050 if it is
// not.
func TestNarrowSums(t *testing.T) {
	b := graph.NewBuilder("sums")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 48, 1, 1}})
	weights, scale := tensor.New(tensor.Float32, 2, 48, 1, 1), tensor.Must(tensor.Of([]float32{1, 1}, 2))
	for i, w := range map[int]float32{0: 2048, 16: 1, 32: 1, 48: 3} {
		tensor.Data[float32](weights)[i] = w
	}
	pointwise := graph.Conv{Strides: [2]int{1, 1}, Group: 1}
	sum := b.Add1("sum", pointwise, x, b.Const("weights", weights))
	norm := b.Add1("norm", graph.GroupNormalization{Groups: 1, Epsilon: 1}, sum, b.Const("scale", scale), b.Const("shift", scale))
	b.Output("y", b.Add1("last", pointwise, norm, b.Const("last weights", tensor.New(tensor.Float32, 1, 2, 1, 1))))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if g, err = g.WithTaps([]string{"sum"}); err != nil {
		t.Fatal(err)
	}
	wide, err := graph.Lower(g, graph.FP16)
	if err != nil {
		t.Fatal(err)
	}
	narrow, err := NarrowSums(g)
	if err != nil {
		t.Fatal(err)
	}
	ones := tensor.New(tensor.Float32, 1, 48, 1, 1)
	for i := range 48 {
		tensor.Data[float32](ones)[i] = 1
	}
	for _, c := range []struct {
		name string
		g    *graph.Graph
		want float32
	}{{"sums in float32", wide, 2050}, {"sums in fp16", narrow, 2048}} {
		s, err := reference.New().Compile(t.Context(), c.g, backends.Options{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := backends.Run(t.Context(), s, tensor.List{{Name: "x", Tensor: ones}})
		if err != nil {
			t.Fatal(err)
		}
		if got := tensor.Data[float32](out.Get("tap.sum")); got[0] != c.want || got[1] != 3 {
			t.Errorf("%s: %v, want %g and 3", c.name, got, c.want)
		}
		s.Close()
	}
}
