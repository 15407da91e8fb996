package reference

import (
	"math"
	"slices"

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
