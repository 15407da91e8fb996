package reference

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// An array is a tensor of the naive evaluation: float64 whatever the type, read by index.
type array struct {
	shape []int
	v     []float64
}

func zeros(shape ...int) *array {
	n, _ := tensor.Elements(shape)
	return &array{shape, make([]float64, n)}
}

func arrayOf(t *tensor.Tensor) *array { return &array{t.Shape(), t.Float64s()} }

func (a *array) offset(index []int) int {
	off := 0
	for i, d := range a.shape {
		off = off*d + index[i]
	}
	return off
}

func (a *array) at(index ...int) float64 { return a.v[a.offset(index)] }

// broadcastAt reads the element that an index of a larger shape refers to.
func (a *array) broadcastAt(index []int) float64 {
	own := slices.Clone(index[len(index)-len(a.shape):])
	for i, d := range a.shape {
		if d == 1 {
			own[i] = 0
		}
	}
	return a.at(own...)
}

// each calls f for every index of a shape and stores the results.
func each(shape []int, f func(index []int) float64) *array {
	out := zeros(shape...)
	index := make([]int, len(shape))
	for i := range out.v {
		out.v[i] = f(index)
		for d := len(shape) - 1; d >= 0; d-- {
			if index[d]++; index[d] < shape[d] {
				break
			}
			index[d] = 0
		}
	}
	return out
}

// naive evaluates an operator by its definition, element by element.
func naive(op graph.Op, in []*array, shape []int) *array {
	switch op := op.(type) {
	case graph.Unary:
		return each(shape, func(i []int) float64 { return naiveUnary(op.Fn, in[0].at(i...)) })
	case graph.Binary:
		return each(shape, func(i []int) float64 { return naiveBinary(op.Fn, in[0].broadcastAt(i), in[1].broadcastAt(i)) })
	case graph.Where:
		return each(shape, func(i []int) float64 {
			if in[0].broadcastAt(i) != 0 {
				return in[1].broadcastAt(i)
			}
			return in[2].broadcastAt(i)
		})
	case graph.Conv:
		return naiveConv(op, in, shape)
	case graph.GroupNormalization:
		return naiveGroupNorm(op, in)
	case graph.Gemm:
		return each(shape, func(i []int) float64 { return naiveGemm(op, in, i) })
	case graph.MatMul:
		return each(shape, func(i []int) float64 {
			sum := 0.0
			for k := range in[0].shape[2] {
				sum += in[0].at(i[0], i[1], k) * in[1].at(i[0], k, i[2])
			}
			return sum
		})
	case graph.Concat:
		return each(shape, func(i []int) float64 { return naiveConcat(op.Axis, in, i) })
	case graph.Gather:
		r := len(in[1].shape)
		return each(shape, func(i []int) float64 {
			pick := int(in[1].at(i[op.Axis : op.Axis+r]...))
			return in[0].at(slices.Concat(i[:op.Axis], []int{pick}, i[op.Axis+r:])...)
		})
	case graph.Reduce:
		return naiveReduce(op, in[0], shape)
	case graph.Resize:
		return each(shape, func(i []int) float64 { return naiveResize(in[0], shape, i) })
	}
	panic("no naive " + op.OpType())
}

func naiveUnary(fn graph.UnaryFn, v float64) float64 {
	switch fn {
	case graph.Sigmoid:
		return 1 / (1 + math.Exp(-v))
	case graph.Tanh:
		return math.Tanh(v)
	case graph.Softplus:
		return math.Max(v, 0) + math.Log1p(math.Exp(-math.Abs(v)))
	case graph.Relu:
		return max(v, 0)
	case graph.Floor:
		return math.Floor(v)
	}
	return v
}

func naiveBinary(fn graph.BinaryFn, a, b float64) float64 {
	switch fn {
	case graph.Add:
		return a + b
	case graph.Sub:
		return a - b
	case graph.Mul:
		return a * b
	case graph.Div:
		return a / b
	case graph.Max:
		return max(a, b)
	}
	return min(a, b)
}

func naiveConv(op graph.Conv, in []*array, shape []int) *array {
	x, w := in[0], in[1]
	perGroup := shape[1] / op.Group
	return each(shape, func(i []int) float64 {
		sum := 0.0
		if in[2] != nil {
			sum = in[2].at(i[1])
		}
		for c := range w.shape[1] {
			for ky := range w.shape[2] {
				for kx := range w.shape[3] {
					y, z := i[2]*op.Strides[0]-op.Pads[0]+ky, i[3]*op.Strides[1]-op.Pads[1]+kx
					if y >= 0 && y < x.shape[2] && z >= 0 && z < x.shape[3] {
						sum += w.at(i[1], c, ky, kx) * x.at(i[0], i[1]/perGroup*w.shape[1]+c, y, z)
					}
				}
			}
		}
		return sum
	})
}

func naiveGroupNorm(op graph.GroupNormalization, in []*array) *array {
	x := in[0]
	size := 1
	for _, d := range x.shape[2:] {
		size *= d
	}
	out := zeros(x.shape...)
	n := x.shape[1] / op.Groups * size // elements of a group, which are contiguous
	for start := 0; start < len(x.v); start += n {
		mean, squares := 0.0, 0.0
		for _, v := range x.v[start : start+n] {
			mean += v / float64(n)
		}
		for _, v := range x.v[start : start+n] {
			squares += (v - mean) * (v - mean)
		}
		for i := start; i < start+n; i++ {
			c := i / size % x.shape[1]
			out.v[i] = (x.v[i]-mean)/math.Sqrt(squares/float64(n)+op.Epsilon)*in[1].v[c] + in[2].v[c]
		}
	}
	return out
}

func naiveGemm(op graph.Gemm, in []*array, i []int) float64 {
	sum := 0.0
	if in[2] != nil {
		sum = in[2].broadcastAt(i)
	}
	for k := range in[0].shape[1] {
		b := []int{k, i[1]}
		if op.TransB {
			slices.Reverse(b)
		}
		sum += in[0].at(i[0], k) * in[1].at(b...)
	}
	return sum
}

func naiveConcat(axis int, in []*array, index []int) float64 {
	i := slices.Clone(index)
	for _, a := range in {
		if i[axis] < a.shape[axis] {
			return a.at(i...)
		}
		i[axis] -= a.shape[axis]
	}
	panic("index outside all parts")
}

func naiveReduce(op graph.Reduce, x *array, shape []int) *array {
	out, count := zeros(shape...), 0
	each(x.shape, func(i []int) float64 {
		var o []int
		for d, v := range i {
			switch {
			case !slices.Contains(op.Axes, d):
				o = append(o, v)
			case op.KeepDims:
				o = append(o, 0)
			}
		}
		v := x.at(i...)
		if op.Fn == graph.ReduceL2 {
			v *= v
		}
		out.v[out.offset(o)] += v
		return 0
	})
	if len(out.v) > 0 {
		count = len(x.v) / len(out.v)
	}
	for i, v := range out.v {
		if op.Fn == graph.ReduceL2 {
			out.v[i] = math.Sqrt(v)
		} else {
			out.v[i] = v / float64(count)
		}
	}
	return out
}

func naiveResize(x *array, shape, i []int) float64 {
	axis := func(dst, in, out int) (lo, hi int, weight float64) {
		src := math.Max(0, float64(in)/float64(out)*(float64(dst)+0.5)-0.5)
		lo = min(int(src), in-1)
		return lo, min(lo+1, in-1), src - float64(lo)
	}
	y0, y1, wy := axis(i[2], x.shape[2], shape[2])
	x0, x1, wx := axis(i[3], x.shape[3], shape[3])
	row := func(y int) float64 { return (1-wx)*x.at(i[0], i[1], y, x0) + wx*x.at(i[0], i[1], y, x1) }
	return (1-wy)*row(y0) + wy*row(y1)
}

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
		{conv(3, 2, 1), [][]int{{1, 2, 5, 5}, {1, 2, 5, 5}, nil}}, {conv(1, 1, 1), [][]int{{0, 2, 4, 4}, {3, 2, 3, 3}, nil}},
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
