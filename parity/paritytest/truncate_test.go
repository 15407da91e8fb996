package paritytest

import (
	"math"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
)

// A quotient by the scale goes to the next number of fp8 towards zero, one of its numbers stays, and what is beyond the largest saturates.
func TestTruncatingFP8(t *testing.T) {
	x := []float32{1.06, 1.12, -1.12, 1.125, 1.3, 460, -448, 0}
	want := []float32{1, 1, -1, 1.125, 1.25, 448, -448, 0}
	const scale = 0.3
	for i := range x {
		x[i] *= scale
	}
	b := graph.NewBuilder("truncating")
	in := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{len(x), 1}})
	b.Output("y", b.Add1("y", graph.Gemm{TransB: true}, in, b.Const("w", tensor.Must(tensor.Of([]float32{448}, 1, 1)))))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	g.Calibration = &graph.Calibration{Ranges: map[string]float32{"x": scale * 448}}
	if g, err = Truncating(g, graph.FP8); err != nil {
		t.Fatal(err)
	}
	s, err := reference.New().Compile(t.Context(), g, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := backends.Run(t.Context(), s, tensor.List{{Name: "x", Tensor: tensor.Must(tensor.Of(x, len(x), 1))}})
	if err != nil {
		t.Fatal(err)
	}
	for i, y := range tensor.Data[float32](out.Get("y")) {
		if got := float64(y) / 448 / scale; math.Abs(got-float64(want[i])) > 1e-6*math.Abs(got) {
			t.Errorf("%v times the scale is rounded to %v, want %v", x[i]/scale, got, want[i])
		}
	}
}
