package reference_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
)

// TestIntegerSums holds an int8 product of the reference, which adds in float32, to the sum of the integers, which an executor with int32
// accumulators has exactly: they differ by the rounding of float32 sums, at the longest sum of the model (192 channels, 3×3) as at a short one.
func TestIntegerSums(t *testing.T) {
	for _, channels := range []int{3, 192} {
		const outputs, columns = 5, 7
		r := rand.New(rand.NewPCG(uint64(channels), 8))
		terms := 9 * channels
		x, w := tensor.New(tensor.Float32, columns, terms), tensor.New(tensor.Float32, outputs, terms)
		for _, v := range []*tensor.Tensor{x, w} {
			for i := range tensor.Data[float32](v) {
				tensor.Data[float32](v)[i] = float32(r.NormFloat64())
			}
		}
		b := graph.NewBuilder("sums")
		b.Output("y", b.Add1("y", graph.Gemm{TransB: true}, b.Input("x", graph.Type{DType: tensor.Float32, Shape: x.Shape()}), b.Const("w", w)))
		g, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		const largest = 2.5 // some elements saturate
		g.Calibration = &graph.Calibration{Ranges: map[string]float32{"x": largest}}
		s, err := reference.New().Compile(t.Context(), g, backends.Options{Precision: backends.INT8})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		out, err := backends.Run(t.Context(), s, tensor.List{{Name: "x", Tensor: x}})
		if err != nil {
			t.Fatal(err)
		}
		y := tensor.Data[float32](out.Get("y"))
		xs, scale := integers(tensor.Data[float32](x), graph.INT8.ScaleOf(largest)), float64(graph.INT8.ScaleOf(largest))
		for o := range outputs {
			row := tensor.Data[float32](w)[o*terms : (o+1)*terms]
			most := float32(0)
			for _, v := range row {
				most = max(most, v, -v)
			}
			ws, unit := integers(row, graph.INT8.ScaleOf(most)), scale*float64(graph.INT8.ScaleOf(most))
			for c := range columns {
				sum, magnitude := int32(0), 0.0
				for i, v := range xs[c*terms : (c+1)*terms] {
					sum += v * ws[i]
					magnitude += math.Abs(float64(v * ws[i]))
				}
				if got, want := float64(y[c*outputs+o]), float64(sum)*unit; math.Abs(got-want) > 8*0x1p-23*magnitude*unit {
					t.Errorf("%d terms: %g, the sum of integers is %d·%g = %g", terms, got, sum, unit, want)
				}
			}
		}
	}
}

func integers(data []float32, scale float32) []int32 {
	out := make([]int32, len(data))
	for i, v := range data {
		out[i] = int32(min(max(math.RoundToEven(float64(v/scale)), -128), 127))
	}
	return out
}
