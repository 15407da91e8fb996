package reference

import (
	"math"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

var (
	nan    = float32(math.NaN())
	inf    = float32(math.Inf(1))
	negNul = float32(math.Copysign(0, -1))
)

// TestOperatorsByHand checks each operator on numbers that can be followed by hand.
func TestOperatorsByHand(t *testing.T) {
	one := [2]int{1, 1}
	d := math.NaN()
	for _, c := range []struct {
		name string
		op   graph.Op
		args []arg
		want [][]float64
	}{
		{"identity", graph.Unary{Fn: graph.Identity}, []arg{in(f32s([]int{3}, 1, nan, -2))}, [][]float64{{1, d, -2}}},
		{"sigmoid", graph.Unary{Fn: graph.Sigmoid}, []arg{in(f32s([]int{5}, 0, inf, -inf, nan, -100))}, [][]float64{{0.5, 1, 0, d, 3.8e-44}}},
		{"tanh", graph.Unary{Fn: graph.Tanh}, []arg{in(f32s([]int{3}, 0, inf, -1))}, [][]float64{{0, 1, -0.7615941559557649}}},
		{"softplus", graph.Unary{Fn: graph.Softplus}, []arg{in(f32s([]int{5}, 0, 100, -100, inf, -inf))}, [][]float64{{math.Ln2, 100, 0, math.Inf(1), 0}}},
		{"relu", graph.Unary{Fn: graph.Relu}, []arg{in(f32s([]int{5}, -1, 2, nan, -inf, inf))}, [][]float64{{0, 2, d, 0, math.Inf(1)}}},
		{"floor", graph.Unary{Fn: graph.Floor}, []arg{in(f32s([]int{4}, -1.5, 2.9, negNul, inf))}, [][]float64{{-2, 2, 0, math.Inf(1)}}},
		{"is nan", graph.Unary{Fn: graph.IsNaN}, []arg{in(f32s([]int{3}, 0, nan, inf))}, [][]float64{{0, 1, 0}}},
		{"clip", graph.Clip{Low: -1, High: 2}, []arg{in(f32s([]int{5}, -3, 0.5, inf, nan, -inf))}, [][]float64{{-1, 0.5, 2, d, -1}}},
		{"add a vector per channel", graph.Binary{Fn: graph.Add}, []arg{in(f32s([]int{1, 2, 1, 2}, 1, 2, 3, 4)), in(f32s([]int{2, 1, 1}, 10, 20))}, [][]float64{{11, 12, 23, 24}}},
		{"sub from a scalar", graph.Binary{Fn: graph.Sub}, []arg{in(f32s(nil, 1)), in(f32s([]int{3}, 1, 2, 3))}, [][]float64{{0, -1, -2}}},
		{"mul both ways", graph.Binary{Fn: graph.Mul}, []arg{in(f32s([]int{2, 1}, 2, 3)), in(f32s([]int{1, 3}, 1, 10, 100))}, [][]float64{{2, 20, 200, 3, 30, 300}}},
		{"div by zero", graph.Binary{Fn: graph.Div}, []arg{in(f32s([]int{3}, 1, -1, 0)), in(f32s([]int{3}, 0, 0, 0))}, [][]float64{{math.Inf(1), math.Inf(-1), d}}},
		{"div of integers", graph.Binary{Fn: graph.Div}, []arg{in(i64s([]int{3}, 7, -7, 7)), in(i64s([]int{3}, 2, 2, 0))}, [][]float64{{3, -3, 0}}},
		{"max with NaN", graph.Binary{Fn: graph.Max}, []arg{in(f32s([]int{3}, 1, nan, -inf)), in(f32s([]int{3}, 2, 0, 3))}, [][]float64{{2, d, 3}}},
		{"min of integers", graph.Binary{Fn: graph.Min}, []arg{in(i64s([]int{2}, 1, 5)), in(i64s(nil, 3))}, [][]float64{{1, 3}}},
		{"where", graph.Where{}, []arg{in(tensor.Must(tensor.Of([]bool{true, false}, 2, 1))), in(f32s([]int{2}, 1, 2)), in(f32s(nil, 9))}, [][]float64{{1, 2, 9, 9}}},
		{"cast", graph.Cast{To: tensor.Int64}, []arg{in(f32s([]int{3}, 1.9, -1.9, 0))}, [][]float64{{1, -1, 0}}},
		{"cast to bool", graph.Cast{To: tensor.Bool}, []arg{in(i64s([]int{3}, 2, 0, -1))}, [][]float64{{1, 0, 1}}},
		{"cast from bool", graph.Cast{To: tensor.Float32}, []arg{in(tensor.Must(tensor.Of([]bool{true, false}, 2)))}, [][]float64{{1, 0}}},
		{"conv", graph.Conv{Strides: one, Pads: [4]int{0, 0, 1, 1}, Group: 1},
			[]arg{in(f32s([]int{1, 1, 2, 2}, 1, 2, 3, 4)), constant(f32s([]int{1, 1, 2, 2}, 1, 10, 100, 1000)), constant(f32s([]int{1}, 0.5))},
			[][]float64{{4321.5, 402.5, 43.5, 4.5}}},
		{"conv with computed weights", graph.Conv{Strides: one, Pads: [4]int{0, 0, 1, 1}, Group: 1},
			[]arg{in(f32s([]int{1, 1, 2, 2}, 1, 2, 3, 4)), in(f32s([]int{1, 1, 2, 2}, 1, 10, 100, 1000)), in(f32s([]int{1}, 0.5))},
			[][]float64{{4321.5, 402.5, 43.5, 4.5}}},
		{"group norm", graph.GroupNormalization{Groups: 1, Epsilon: 0}, []arg{in(f32s([]int{1, 2, 1, 2}, 1, 3, 1, 3)), constant(f32s([]int{2}, 1, 2)), constant(f32s([]int{2}, 0, 5))}, [][]float64{{-1, 1, 3, 7}}},
		{"layer norm", graph.LayerNormalization{Epsilon: 0}, []arg{in(f32s([]int{2, 2}, 1, 3, -5, 5)), constant(f32s([]int{2}, 1, 2)), constant(f32s([]int{2}, 0, 5))}, [][]float64{{-1, 7, -1, 7}}},
		{"gemm", graph.Gemm{TransB: true}, []arg{in(f32s([]int{1, 2}, 1, 2)), constant(f32s([]int{2, 2}, 1, 10, 100, 1000)), constant(f32s([]int{2}, 0.5, 0.25))}, [][]float64{{21.5, 2100.25}}},
		{"gemm with a column", graph.Gemm{}, []arg{in(f32s([]int{2, 1}, 1, 2)), in(f32s([]int{1, 2}, 1, 10)), in(f32s([]int{2, 1}, 100, 200))}, [][]float64{{101, 110, 202, 220}}},
		{"gemm of nothing", graph.Gemm{}, []arg{in(f32s([]int{1, 0})), in(f32s([]int{0, 2})), in(f32s([]int{2}, 3, 4))}, [][]float64{{3, 4}}},
		{"matmul", graph.MatMul{}, []arg{in(f32s([]int{2, 1, 2}, 1, 2, 3, 4)), in(f32s([]int{2, 2, 1}, 1, 10, 1, 10))}, [][]float64{{21, 43}}},
		{"reshape", graph.Reshape{Shape: []int{3, 1}}, []arg{in(f32s([]int{3}, 1, 2, 3))}, [][]float64{{1, 2, 3}}},
		{"concat", graph.Concat{Axis: 1}, []arg{in(f32s([]int{2, 1}, 1, 2)), in(f32s([]int{2, 2}, 3, 4, 5, 6))}, [][]float64{{1, 3, 4, 2, 5, 6}}},
		{"concat of booleans", graph.Concat{Axis: 0}, []arg{in(tensor.Must(tensor.Of([]bool{true}, 1))), in(tensor.Must(tensor.Of([]bool{false, true}, 2)))}, [][]float64{{1, 0, 1}}},
		{"split", graph.Split{Axis: -1, Sizes: []int{1, 2}}, []arg{in(f32s([]int{2, 3}, 1, 2, 3, 4, 5, 6))}, [][]float64{{1, 4}, {2, 3, 5, 6}}},
		{"split into views", graph.Split{Axis: 1, Sizes: []int{2, 1}}, []arg{in(f32s([]int{1, 3, 1}, 1, 2, 3))}, [][]float64{{1, 2}, {3}}},
		{"gather rows", graph.Gather{Axis: 0}, []arg{in(f32s([]int{3, 2}, 1, 2, 3, 4, 5, 6)), in(i64s([]int{2}, 2, 0))}, [][]float64{{5, 6, 1, 2}}},
		{"gather columns", graph.Gather{Axis: 1}, []arg{in(i64s([]int{2, 2}, 1, 2, 3, 4)), in(i64s([]int{1, 3}, 1, 1, 0))}, [][]float64{{2, 2, 1, 4, 4, 3}}},
		{"mean of rows", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{1, 2}}, []arg{in(f32s([]int{2, 1, 2}, 1, 3, 5, 7))}, [][]float64{{2, 6}}},
		{"mean of channels", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{1}, KeepDims: true}, []arg{in(f32s([]int{1, 2, 2}, 1, 2, 3, 6))}, [][]float64{{2, 4}}},
		{"norm over scattered axes", graph.Reduce{Fn: graph.ReduceL2, Axes: []int{0, 2}}, []arg{in(f32s([]int{2, 2, 1}, 3, 1, 4, 0))}, [][]float64{{5, 1}}},
		{"norm of nothing", graph.Reduce{Fn: graph.ReduceL2, Axes: []int{1}}, []arg{in(f32s([]int{2, 0}))}, [][]float64{{0, 0}}},
		{"resize up", graph.Resize{Height: 1, Width: 4}, []arg{in(f32s([]int{1, 1, 1, 2}, 0, 4))}, [][]float64{{0, 1, 3, 4}}},
		{"resize down", graph.Resize{Height: 1, Width: 1}, []arg{in(f32s([]int{1, 1, 2, 2}, 0, 4, 8, 12))}, [][]float64{{6}}},
		{"resize to itself", graph.Resize{Height: 1, Width: 2}, []arg{in(f32s([]int{1, 1, 1, 2}, inf, 4))}, [][]float64{{math.Inf(1), 4}}},
		{"aggregate (spec/model.md 3.5)", graph.TileAggregate{FeatureHeight: 2, FeatureWidth: 2, Tile: 2}, []arg{in(f32s([]int{1, 1, 2, 2}, 0, 1, 10, 11))}, [][]float64{{5.5, 11, 25.25}}},
		{"greedy selection, ties and NaN", graph.GreedySelect{Count: 4}, []arg{in(f32s([]int{1, 5}, 1, nan, 2, 2, -inf))}, [][]float64{{2, 3, 0, 1}}},
		{"split selection", graph.SplitSelect{Count: 2, GridHeight: 2, GridWidth: 3}, []arg{in(f32s([]int{1, 6}, 9, 1, 0, 1, 5, 0)), in(i64s([]int{1, 3}, 3, 1, 4))}, [][]float64{{14, 15, 20, 21, 2, 3, 8, 9}}},
		{"pack", graph.TilePack{Tile: 2}, []arg{in(f32s([]int{1, 1, 2, 4}, 0, 1, 2, 3, 4, 5, 6, 7)), in(i64s([]int{1, 2}, 1, 0))}, [][]float64{{2, 3, 6, 7, 0, 1, 4, 5}}},
		{"scan forward (spec/runtime.md 16)", graph.TileSSMScan{Clamp: 1e4}, scanArgs(1, -2, 0.5), [][]float64{{0.12, -0.072, 0.0052}, {0.0026}}},
		{"scan backward (spec/runtime.md 16)", graph.TileSSMScan{Clamp: 1e4, Backward: true}, scanArgs(1, -2, 0.5), [][]float64{{0.0147, -0.117, 0.07}, {0.00735}}},
		{"scan of hostile tokens", graph.TileSSMScan{Clamp: 10}, scanArgs(nan, inf, -50), [][]float64{{0.02, 1.038, -0.0458}, {-0.0229}}},
		{"unpack", graph.TileUnpackFusion{}, []arg{in(f32s([]int{1, 1, 1, 3}, 1, 2, 3)), in(f32s([]int{1, 2, 1, 1, 1}, 8, 9)), in(i64s([]int{1, 2}, 2, 2)), {}}, [][]float64{{1, 2, 9}}},
		{"unpack with a gate", graph.TileUnpackFusion{}, []arg{in(f32s([]int{1, 1, 1, 2}, 1, 2)), in(f32s([]int{1, 1, 1, 1, 1}, 8)), in(i64s([]int{1, 1}, 1)), in(f32s([]int{1, 1, 1, 2}, 0.5, 0.5))}, [][]float64{{1, 5}}},
		{"unpack blending (spec/runtime.md 16)", graph.TileUnpackFusion{Blend: true, BlendAlpha: 0.25}, []arg{in(f32s([]int{1, 1, 1, 2}, 0, 0)), in(f32s([]int{1, 2, 1, 1, 1}, 1, 3)), in(i64s([]int{1, 2}, 0, 0)), {}}, [][]float64{{0.9375, 0}}},
		{"pool", graph.RoiMeanPool{ImageHeight: 4, ImageWidth: 4}, []arg{in(f32s([]int{1, 1, 2, 2}, 1, 2, 3, 4)), in(f32s([]int{1, 4, 4}, 0, 0, 4, 4, 3, 3, 2.5, 2.5, 1, 1, 1, 1, nan, 0, 1, 1))}, [][]float64{{2.5, 4, 1, 0}}},
	} {
		g, inputs := single(t, c.op, c.args...)
		for _, set := range []settings{fp32(), fp64()} {
			got := outputs(t, g, inputs, set)
			if len(got) != len(c.want) {
				t.Fatalf("%s: %d outputs, want %d", c.name, len(got), len(c.want))
			}
			for i, want := range c.want {
				requireNear(t, c.name, got[i].Tensor, want, 1e-6)
			}
		}
	}
}

// scanArgs are the operands of spec/runtime.md 16: decay 0.9, input gain 0.5, output gain 2, bias 0.1.
func scanArgs(tokens ...float32) []arg {
	vector := func(v float32) arg { return in(f32s([]int{1}, v)) }
	return []arg{in(f32s([]int{1, len(tokens), 1}, tokens...)), vector(0.9), vector(0.5), vector(2), vector(0.1)}
}

// The examples of spec/model.md 3.19 on a grid of 4×4.
func TestRasterise(t *testing.T) {
	for _, c := range []struct {
		box  []float32
		want [4]int // y0, y1, x0, x1
	}{
		{[]float32{0.5, 0.5, 1, 1}, [4]int{0, 1, 0, 1}},
		{[]float32{3, 3, 1, 1}, [4]int{1, 3, 1, 3}},
		{[]float32{2, 2, 2, 2}, [4]int{}},
		{[]float32{-5, -5, 100, 1.2}, [4]int{0, 2, 0, 4}},
		{[]float32{nan, 0, 2, 2}, [4]int{}},
		{[]float32{-inf, 1, inf, 2}, [4]int{1, 2, 0, 4}},
	} {
		y0, y1, x0, x1 := newProjection[float32](4, 4, 4, 4).cells(c.box)
		if got := [4]int{y0, y1, x0, x1}; got != c.want {
			t.Errorf("box %v covers %v, want %v", c.box, got, c.want)
		}
	}
}

func TestBoxMask(t *testing.T) {
	g, inputs := single(t, graph.BoxMask{ImageHeight: 2, ImageWidth: 2, Fill: -20},
		in(f32s([]int{1, 2, 2, 2}, 0, 0, nan, 1, 5, 5, 5, 5)), in(f32s([]int{1, 2, 4}, 0, 0, 2, 1, 1, 1, 1, 1)))
	for _, set := range []settings{fp32(), fp64()} {
		got := outputs(t, g, inputs, set)
		requireNear(t, "logits", got[0].Tensor, []float64{0, 0, -20, -20, -20, -20, -20, -20}, 0)
		requireNear(t, "scores", got[1].Tensor, []float64{0.5, 0}, 0)
	}
}
