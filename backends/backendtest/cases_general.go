package backendtest

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// general tells whether a case is of an operator, or a form of one, that Apex-X does not use: a backend that is complete may lack it.
func (c Case) general() bool {
	if _, ok := c.Op.(graph.MatMul); ok {
		return !graph.MatMul{}.Stacks(c.In[0].Tensor.Shape(), c.In[1].Tensor.Shape())
	}
	return slices.ContainsFunc(graph.General(), func(o graph.Op) bool { return o.OpType() == c.Op.OpType() })
}

// generalCases are those of the operators that Apex-X does not use.
func generalCases() []Case {
	s := seeded(950)
	return slices.Concat(poolCases(), statisticCases(s), transposeCases(s), productCases(s), topCases(s), lstmCases(s), mathCases(s))
}

func poolCases() (all []Case) {
	for i, c := range []struct {
		shape          []int
		kernel, stride [2]int
		pads           [4]int
	}{
		{[]int{1, 2, 8, 8}, [2]int{2, 2}, [2]int{2, 2}, [4]int{}}, {[]int{2, 3, 7, 11}, [2]int{3, 3}, [2]int{2, 2}, [4]int{1, 1, 1, 1}},
		{[]int{1, 1, 5, 5}, [2]int{5, 5}, [2]int{1, 1}, [4]int{}}, {[]int{1, 4, 6, 9}, [2]int{3, 1}, [2]int{1, 2}, [4]int{2, 0, 0, 0}},
		{[]int{2, 65, 33, 17}, [2]int{2, 3}, [2]int{1, 1}, [4]int{0, 2, 1, 1}}, {[]int{0, 3, 4, 4}, [2]int{2, 2}, [2]int{2, 2}, [4]int{}},
	} {
		x := seeded(uint64(900 + i)).normal(c.shape...)
		for _, op := range []graph.Pool{{Fn: graph.MaxPool}, {Fn: graph.AveragePool}, {Fn: graph.AveragePool, CountPads: true}} {
			op.Kernel, op.Strides, op.Pads = c.kernel, c.stride, c.pads
			all = append(all, Case{fmt.Sprintf("%s %v by %v %v %v %v", op.Fn, c.shape, c.kernel, c.stride, c.pads, op.CountPads), op, in(x), 2})
		}
	}
	return all
}

func statisticCases(s source) (all []Case) {
	for _, shape := range [][]int{{1, 4, 1, 1}, {2, 3, 17, 9}, {1, 512, 7, 7}} {
		c := shape[1]
		variance := s.normal(c)
		for i, v := range tensor.Data[float32](variance) {
			tensor.Data[float32](variance)[i] = v*v + 0.1
		}
		all = append(all, Case{fmt.Sprintf("global average pool %v", shape), graph.GlobalAveragePool{}, in(s.normal(shape...)), 2},
			Case{fmt.Sprintf("batch norm %v", shape), graph.BatchNormalization{Epsilon: 1e-5}, weights(s.normal(shape...), s.normal(c), s.normal(c), s.normal(c), variance), 8})
	}
	for _, c := range []struct {
		shape []int
		axis  int
	}{{[]int{5}, 0}, {[]int{2, 3, 65}, -1}, {[]int{3, 17, 5}, 1}, {[]int{4, 1}, 1}, {[]int{0, 3}, 1}, {[]int{1, 8, 50, 50}, 3}} {
		all = append(all, Case{fmt.Sprintf("softmax %v along %d", c.shape, c.axis), graph.Softmax{Axis: c.axis}, in(s.normal(c.shape...)), 4})
	}
	return all
}

func transposeCases(s source) (all []Case) {
	for _, c := range []struct{ shape, perm []int }{
		{[]int{3, 5}, []int{1, 0}}, {[]int{2, 3, 4, 5}, []int{0, 2, 3, 1}}, {[]int{2, 3, 4, 5}, []int{3, 2, 1, 0}}, {[]int{7}, []int{0}},
		{[]int{2, 0, 3}, []int{2, 1, 0}}, {[]int{1, 50, 4, 16}, []int{0, 2, 1, 3}}, {[]int{4, 1, 9}, []int{1, 2, 0}},
	} {
		all = append(all, Case{fmt.Sprintf("transpose %v by %v", c.shape, c.perm), graph.Transpose{Perm: c.perm}, in(s.normal(c.shape...)), 1})
	}
	ids := tensor.Must(tensor.Of([]int64{1, 2, 3, 4, 5, 6}, 2, 3))
	return append(all, Case{"transpose int64", graph.Transpose{Perm: []int{1, 0}}, in(ids), 1})
}

func productCases(s source) (all []Case) {
	for _, p := range [][2][]int{
		{{4, 5}, {5, 3}}, {{2, 3, 4, 5}, {5, 6}}, {{2, 3, 4, 5}, {2, 3, 5, 6}}, {{1, 3, 4, 5}, {2, 1, 5, 2}}, {{4, 5}, {3, 5, 2}}, {{2, 7, 3}, {1, 3, 4}}, {{0, 4, 5}, {5, 6}},
	} {
		all = append(all, Case{fmt.Sprintf("matmul %v %v", p[0], p[1]), graph.MatMul{}, in(s.normal(p[0]...), s.normal(p[1]...)), 1})
	}
	for _, c := range []struct {
		x, w           []int
		stride, output [2]int
		pads           [4]int
		group          int
	}{
		{[]int{1, 3, 4, 5}, []int{3, 2, 2, 2}, [2]int{2, 2}, [2]int{}, [4]int{}, 1}, {[]int{2, 4, 5, 3}, []int{4, 3, 3, 3}, [2]int{2, 1}, [2]int{1, 0}, [4]int{1, 1, 1, 1}, 2},
		{[]int{1, 16, 8, 8}, []int{16, 8, 4, 4}, [2]int{2, 2}, [2]int{}, [4]int{1, 1, 1, 1}, 1}, {[]int{1, 2, 1, 1}, []int{2, 1, 3, 1}, [2]int{1, 3}, [2]int{0, 2}, [4]int{0, 0, 1, 0}, 1},
		{[]int{0, 2, 3, 3}, []int{2, 2, 2, 2}, [2]int{1, 1}, [2]int{}, [4]int{}, 1},
	} {
		op := graph.ConvTranspose{Strides: c.stride, Pads: c.pads, OutputPadding: c.output, Group: c.group}
		x, w := s.normal(c.x...), s.normal(c.w...)
		name := fmt.Sprintf("conv transpose %v by %v stride %v", c.x, c.w, c.stride)
		all = append(all, Case{name, op, weights(x, w), 1}, Case{name + " bias", op, weights(x, w, s.normal(c.w[1]*c.group)), 1})
	}
	return all
}

func topCases(s source) (all []Case) {
	ties := floats(2, 1, 2, 3, 1, 3, 2, 2, 1, 3, 3, 1)
	for _, op := range []graph.TopK{{Axis: -1, K: 4}, {Axis: 0, K: 2, Smallest: true}, {Axis: 1, K: 0}, {Axis: 1, K: 3}} {
		all = append(all, Case{fmt.Sprintf("top %d along %d smallest %v", op.K, op.Axis, op.Smallest), op, in(s.normal(2, 3, 9)), 1},
			Case{fmt.Sprintf("top %d along %d of ties", op.K, op.Axis), op, in(tensor.Must(ties.Reshaped(2, 3, 2))), 1})
	}
	return slices.DeleteFunc(all, func(c Case) bool { // more than there are
		_, err := c.Op.Infer([]graph.Type{{DType: tensor.Float32, Shape: c.In[0].Tensor.Shape()}})
		return err != nil
	})
}

func lstmCases(s source) (all []Case) {
	for _, c := range []struct{ steps, batch, width, hidden, directions int }{{1, 1, 1, 1, 1}, {7, 2, 5, 3, 1}, {4, 3, 17, 16, 2}, {12, 1, 8, 33, 1}} {
		d, h := c.directions, c.hidden
		x, w, r := s.normal(c.steps, c.batch, c.width), scaled(s.normal(d, 4*h, c.width), 0.3), scaled(s.normal(d, 4*h, h), 0.3)
		name := fmt.Sprintf("lstm %+v", c)
		all = append(all, Case{name, graph.LSTM{Hidden: h}, weights(x, w, r), 16})
		if d == 1 {
			full := append(weights(x, w, r, s.normal(d, 8*h)), Operand{}, Operand{Tensor: s.normal(d, c.batch, h)}, Operand{Tensor: s.normal(d, c.batch, h)})
			all = append(all, Case{name + " backward with states", graph.LSTM{Hidden: h, Backward: true}, full, 16})
		}
	}
	return all
}

func mathCases(s source) (all []Case) {
	positive := s.normal(2, 3, 40)
	for i, v := range tensor.Data[float32](positive) {
		tensor.Data[float32](positive)[i] = v*v + 1e-3
	}
	for _, fn := range []graph.UnaryFn{graph.Exp, graph.Log, graph.Sqrt, graph.Erf, graph.Neg, graph.Abs} {
		x := s.normal(2, 3, 40)
		if fn == graph.Log || fn == graph.Sqrt {
			x = positive
		}
		all = append(all, Case{string(fn), graph.Unary{Fn: fn}, in(x), 4})
	}
	return append(all, Case{"pow", graph.Binary{Fn: graph.Pow}, in(positive, s.normal(3, 1)), 8}, Case{"pow scalar", graph.Binary{Fn: graph.Pow}, in(positive, floats(2)), 4})
}

// scaled multiplies a tensor.
func scaled(t *tensor.Tensor, by float32) *tensor.Tensor {
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] *= by
	}
	return t
}
