package reference

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// TestAgainstTheDefinition compares operators with their naive evaluation over shapes of size 0, 1, primes and multiples of
// the lengths at which loops are cut.
func TestAgainstTheDefinition(t *testing.T) {
	conv := func(stride, pad, group int) graph.Conv {
		return graph.Conv{Strides: [2]int{stride, stride}, Pads: [4]int{pad, pad, pad, pad}, Group: group}
	}
	mean := func(keep bool, axes ...int) graph.Op {
		return graph.Reduce{Fn: graph.ReduceMean, Axes: axes, KeepDims: keep}
	}
	for _, c := range []struct {
		op     graph.Op
		shapes [][]int
	}{
		{graph.Unary{Fn: graph.Sigmoid}, [][]int{{17, 1031}}}, {graph.Unary{Fn: graph.Tanh}, [][]int{{257}}},
		{graph.Unary{Fn: graph.Softplus}, [][]int{{0, 3}}}, {graph.Unary{Fn: graph.Softplus}, [][]int{{33}}},
		{graph.Unary{Fn: graph.Relu}, [][]int{{2, 16384}}}, {graph.Unary{Fn: graph.Floor}, [][]int{{}}},
		{graph.Binary{Fn: graph.Add}, [][]int{{2, 3, 5, 7}, {2, 3, 5, 7}}}, {graph.Binary{Fn: graph.Add}, [][]int{{2, 3, 5, 7}, {3, 1, 1}}},
		{graph.Binary{Fn: graph.Sub}, [][]int{{2, 1, 5, 7}, {2, 3, 5, 7}}}, {graph.Binary{Fn: graph.Mul}, [][]int{{3, 129, 131}, {1}}},
		{graph.Binary{Fn: graph.Div}, [][]int{{}, {5, 2}}}, {graph.Binary{Fn: graph.Max}, [][]int{{4, 1, 3}, {1, 5, 1}}},
		{graph.Binary{Fn: graph.Min}, [][]int{{0, 4}, {4}}}, {graph.Binary{Fn: graph.Add}, [][]int{{2, 2, 20000}, {2, 1, 20000}}},
		{graph.Binary{Fn: graph.Mul}, [][]int{{1, 1}, {1}}}, {graph.Binary{Fn: graph.Sub}, [][]int{{2, 3, 4, 5, 6}, {3, 1, 5, 1}}},
		{conv(1, 1, 1), [][]int{{2, 3, 7, 5}, {4, 3, 3, 3}, {4}}}, {conv(2, 1, 1), [][]int{{1, 5, 33, 17}, {7, 5, 3, 3}, nil}},
		{conv(1, 1, 6), [][]int{{2, 6, 8, 8}, {6, 1, 3, 3}, {6}}}, {conv(1, 0, 2), [][]int{{1, 4, 1, 1}, {6, 2, 1, 1}, nil}},
		{conv(3, 2, 1), [][]int{{1, 2, 5, 5}, {1, 2, 5, 5}, nil}}, {conv(1, 1, 1), [][]int{{0, 2, 4, 4}, {3, 2, 3, 3}, nil}}, {conv(1, 0, 1), [][]int{{1, 0, 2, 2}, {2, 0, 1, 1}, {2}}},
		{graph.GroupNormalization{Groups: 2, Epsilon: 1e-5}, [][]int{{2, 6, 5, 7}, {6}, {6}}},
		{graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}, [][]int{{1, 4, 300}, {4}, {4}}},
		{graph.Gemm{}, [][]int{{5, 7}, {7, 3}, {3}}}, {graph.Gemm{TransB: true}, [][]int{{13, 31}, {17, 31}, {13, 17}}},
		{graph.Gemm{TransB: true}, [][]int{{3, 2}, {3, 2}, {3, 1}}}, {graph.Gemm{}, [][]int{{1, 1}, {1, 1}, nil}}, {graph.Gemm{}, [][]int{{0, 2}, {2, 3}, {}}},
		{graph.MatMul{}, [][]int{{2, 50, 32}, {2, 32, 65}}}, {graph.MatMul{}, [][]int{{1, 2, 0}, {1, 0, 3}}},
		{graph.Concat{Axis: 1}, [][]int{{2, 3, 2}, {2, 0, 2}, {2, 4, 2}}},
		{mean(false, 2, 3), [][]int{{2, 3, 5, 7}}}, {mean(true, 1), [][]int{{2, 64, 17, 31}}}, {mean(false, 0), [][]int{{4, 1000}}},
		{mean(true, 0, 2), [][]int{{3, 4, 5}}}, {mean(false, 0, 3), [][]int{{2, 3, 1, 5}}}, {mean(false, 0, 1), [][]int{{3, 5}}},
		{graph.Reduce{Fn: graph.ReduceL2, Axes: []int{2}, KeepDims: true}, [][]int{{1, 50, 64}}},
		{graph.Resize{Height: 8, Width: 12}, [][]int{{2, 3, 4, 6}}}, {graph.Resize{Height: 7, Width: 3}, [][]int{{1, 2, 3, 7}}},
		{graph.Resize{Height: 2, Width: 5}, [][]int{{1, 1, 37, 1100}}}, {graph.Resize{Height: 33, Width: 1500}, [][]int{{1, 1, 1, 1}}},
		{graph.Resize{Height: 3, Width: 1400}, [][]int{{1, 1, 2, 700}}},
	} {
		args := randomArgs(c.shapes)
		g, inputs := single(t, c.op, args...)
		for _, frozen := range []bool{false, true} { // weights from inputs, then constant
			want := naive(c.op, arraysOf(args), g.Outputs[0].Value.Shape)
			name := fmt.Sprintf("%s %+v %v frozen %v", c.op.OpType(), c.op, c.shapes, frozen)
			requireNear(t, name, outputs(t, g, inputs, fp64())[0].Tensor, want.v, 1e-12)
			requireNear(t, name, outputs(t, g, inputs, fp32())[0].Tensor, want.v, 2e-5)
			for i := range args[1:] {
				args[i+1].constant = true
			}
			g, inputs = single(t, c.op, args...)
		}
	}
}

func randomArgs(shapes [][]int) []arg {
	r := rand.New(rand.NewPCG(1, 2))
	var args []arg
	for _, s := range shapes {
		if s == nil {
			args = append(args, arg{})
			continue
		}
		x := tensor.New(tensor.Float32, s...)
		for i, d := 0, tensor.Data[float32](x); i < len(d); i++ {
			d[i] = float32(r.NormFloat64())
		}
		args = append(args, in(x))
	}
	return args
}

func arraysOf(args []arg) []*array {
	var list []*array
	for _, a := range args {
		if a.Tensor == nil {
			list = append(list, nil)
			continue
		}
		list = append(list, arrayOf(a.Tensor))
	}
	return list
}

// TestSpecialValues runs element-wise operators over every pair of special values, with and without broadcasting.
func TestSpecialValues(t *testing.T) {
	special := []float32{nan, inf, -inf, 0, negNul, 1, -1, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, math.MaxFloat32, -math.MaxFloat32, 88.8, -88.8}
	x := f32s([]int{len(special), 1}, special...)
	y := f32s([]int{1, len(special)}, special...)
	for _, op := range []graph.Op{graph.Binary{Fn: graph.Add}, graph.Binary{Fn: graph.Sub}, graph.Binary{Fn: graph.Mul}, graph.Binary{Fn: graph.Div},
		graph.Binary{Fn: graph.Max}, graph.Binary{Fn: graph.Min}, graph.Unary{Fn: graph.Relu}, graph.Unary{Fn: graph.Floor}, graph.Unary{Fn: graph.Identity},
		graph.Unary{Fn: graph.Sigmoid}, graph.Unary{Fn: graph.Tanh}, graph.Unary{Fn: graph.Softplus}} {
		args := []arg{in(x), in(y)}
		if _, ok := op.(graph.Unary); ok {
			args = args[:1]
		}
		g, inputs := single(t, op, args...)
		want := naive(op, arraysOf(args), g.Outputs[0].Value.Shape)
		requireNear(t, op.OpType(), outputs(t, g, inputs, fp64())[0].Tensor, want.v, 1e-12)
		for i, v := range want.v { // what float32 makes of it
			want.v[i] = float64(float32(v))
		}
		requireNear(t, op.OpType(), outputs(t, g, inputs, fp32())[0].Tensor, want.v, 1e-6)
	}
}
