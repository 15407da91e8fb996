package backendtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Cases lists the suite. Data are drawn from fixed seeds, so every run of every backend sees the same numbers.
func Cases() []Case {
	var all []Case
	for _, group := range []func() []Case{convCases, normCases, elementCases, specialCases, matrixCases, moveCases, resizeCases,
		selectCases, tileCases, scanCases, detectCases, boxCases, roundCases, generalCases} {
		all = append(all, group()...)
	}
	return all
}

// source draws reproducible data.
type source struct{ r *rand.Rand }

func seeded(seed uint64) source { return source{rand.New(rand.NewPCG(seed, 20))} }

// normal draws float32 from a normal distribution.
func (s source) normal(shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] = float32(s.r.NormFloat64())
	}
	return t
}

// rows draws k distinct ids below n for every row.
func (s source) rows(batch, k, n int) *tensor.Tensor {
	t := tensor.New(tensor.Int64, batch, k)
	for b := range batch {
		for i, id := range s.r.Perm(n)[:k] {
			tensor.Data[int64](t)[b*k+i] = int64(id)
		}
	}
	return t
}

// boxes draws boxes around an image of the given size, with empty, inverted, outer and whole-image ones first.
func (s source) boxes(batch, n, h, w int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, batch, n, 4)
	fixed := [][4]float32{{3, 5, 3, 9}, {9, 8, 2, 1}, {-50, -50, 1e4, 1e4}, {0, 0, 0, 0}, {-9, -9, -3, -1}}
	for r := range batch * n {
		d := tensor.Data[float32](t)[4*r:]
		if i := r % n; i < len(fixed) {
			copy(d, fixed[i][:])
			continue
		}
		for k, size := range []int{w, h, w, h} {
			d[k] = s.r.Float32() * float32(size)
		}
	}
	return t
}

func floats(values ...float64) *tensor.Tensor {
	t := tensor.New(tensor.Float32, len(values))
	for i, v := range values {
		tensor.Data[float32](t)[i] = float32(v)
	}
	return t
}

func in(list ...*tensor.Tensor) []Operand {
	out := make([]Operand, len(list))
	for i, t := range list {
		out[i].Tensor = t
	}
	return out
}

// weights marks all operands but the first as constants.
func weights(list ...*tensor.Tensor) []Operand {
	out := in(list...)
	for i := range out[1:] {
		out[i+1].Const = true
	}
	return out
}

func convCases() []Case {
	var all []Case
	for i, c := range []struct{ b, ch, h, w, m, k, stride, pad, group int }{
		{1, 3, 16, 16, 8, 3, 2, 1, 1}, {2, 5, 7, 11, 13, 3, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 0, 1}, {1, 7, 1, 5, 3, 3, 1, 1, 1},
		{1, 64, 9, 17, 6, 1, 1, 0, 1}, {1, 17, 31, 33, 19, 3, 2, 1, 1}, {3, 6, 8, 8, 6, 3, 1, 1, 6}, {2, 5, 17, 16, 5, 3, 1, 1, 5},
		{1, 4, 6, 6, 8, 3, 1, 0, 2}, {1, 96, 16, 16, 33, 3, 1, 1, 1}, {1, 8, 5, 5, 8, 5, 1, 2, 1}, {1, 96, 2, 2, 96, 3, 2, 1, 1},
		{0, 3, 8, 8, 4, 3, 1, 1, 1}, {1, 3, 2, 130, 4, 3, 1, 1, 1},
	} {
		s := seeded(uint64(100 + i))
		op := graph.Conv{Strides: [2]int{c.stride, c.stride}, Pads: [4]int{c.pad, c.pad, c.pad, c.pad}, Group: c.group}
		x, w := s.normal(c.b, c.ch, c.h, c.w), s.normal(c.m, c.ch/c.group, c.k, c.k)
		name := fmt.Sprintf("conv %dx%dx%dx%d to %d k%d s%d g%d", c.b, c.ch, c.h, c.w, c.m, c.k, c.stride, c.group)
		all = append(all, Case{name, op, weights(x, w), 1}, Case{name + " bias", op, weights(x, w, s.normal(c.m)), 1})
	}
	return all
}

func normCases() []Case {
	var all []Case
	for i, shape := range [][]int{{1, 2, 1, 1}, {2, 6, 5, 7}, {1, 8, 64, 64}, {3, 1, 2, 3}, {8, 16, 16, 16}, {0, 4, 3, 3}, {2, 12, 8, 8}} {
		s := seeded(uint64(200 + i))
		c := shape[1]
		for _, groups := range []int{1, 2, c} {
			if c%groups == 0 {
				op := graph.GroupNormalization{Groups: groups, Epsilon: 1e-5}
				all = append(all, Case{fmt.Sprintf("group norm %v in %d", shape, groups), op, weights(s.normal(shape...), s.normal(c), s.normal(c)), 8})
			}
		}
	}
	offset := seeded(250).normal(1, 4, 32, 32) // a mean far larger than the deviation
	for i := range tensor.Data[float32](offset) {
		tensor.Data[float32](offset)[i] = 1000 + tensor.Data[float32](offset)[i]
	}
	flat := tensor.New(tensor.Float32, 1, 2, 4, 4)
	one, zero := floats(1, 1, 1, 1), floats(0, 0, 0, 0)
	all = append(all,
		Case{"group norm far from zero", graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}, weights(offset, one, zero), 2000},
		Case{"group norm of a constant", graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}, weights(flat, floats(1, 2), floats(3, 4)), 1})
	for i, shape := range [][]int{{5, 12}, {1, 1}, {2, 3, 64}, {0, 7}, {7, 193}} {
		s := seeded(uint64(270 + i))
		d := shape[len(shape)-1]
		all = append(all, Case{fmt.Sprintf("layer norm %v", shape), graph.LayerNormalization{Epsilon: 1e-5}, weights(s.normal(shape...), s.normal(d), s.normal(d)), 8})
	}
	return all
}

var unaryFns = []graph.UnaryFn{graph.Identity, graph.Sigmoid, graph.Relu, graph.Tanh, graph.Softplus, graph.Floor, graph.IsNaN}
var binaryFns = []graph.BinaryFn{graph.Add, graph.Sub, graph.Mul, graph.Div, graph.Max, graph.Min}

func elementCases() []Case {
	var all []Case
	s := seeded(300)
	for _, fn := range unaryFns {
		for _, shape := range [][]int{{}, {0}, {1}, {31}, {2, 3, 17}, {1, 2, 33, 65}} {
			all = append(all, Case{fmt.Sprintf("%s %v", fn, shape), graph.Unary{Fn: fn}, in(s.normal(shape...)), 4})
		}
	}
	wide := floats(-100, -88.5, -60, -20.5, -20, -5, -1, -1e-3, -1e-20, 0, 1e-20, 1e-3, 1, 5, 19.9, 20, 20.1, 60, 88, 89, 100)
	for _, fn := range unaryFns {
		all = append(all, Case{fmt.Sprintf("%s over its range", fn), graph.Unary{Fn: fn}, in(wide), 4})
	}
	for _, fn := range binaryFns {
		for _, p := range [][2][]int{
			{{7}, {7}}, {{2, 3, 5}, {}}, {{}, {2, 3}}, {{2, 6, 4, 4}, {2, 1, 4, 4}}, {{2, 6, 4, 4}, {6, 1, 1}}, {{3, 1}, {1, 4}}, {{2, 0}, {1}},
			{{2, 3, 4, 1, 1}, {2, 3, 4, 5, 5}},
		} {
			all = append(all, Case{fmt.Sprintf("%s %v %v", fn, p[0], p[1]), graph.Binary{Fn: fn}, in(s.normal(p[0]...), s.normal(p[1]...)), 1})
		}
	}
	yes := tensor.Must(tensor.Of([]bool{true, false, true, true, false, false}, 2, 3))
	count := tensor.Must(tensor.Of([]int64{0, 5, -7, 1 << 40}, 4))
	return append(all,
		Case{"clip", graph.Clip{Low: -0.5, High: 0.75}, in(s.normal(97)), 1},
		Case{"where", graph.Where{}, []Operand{{yes, true}, {s.normal(2, 3), false}, {s.normal(3), false}}, 1},
		Case{"where scalar", graph.Where{}, []Operand{{yes, true}, {s.normal(), false}, {s.normal(2, 3), false}}, 1},
		Case{"cast to int64", graph.Cast{To: tensor.Int64}, in(floats(0, 1.5, -1.5, 2.999, -0.1, 1e6)), 1},
		Case{"cast to float", graph.Cast{To: tensor.Float32}, in(tensor.Must(tensor.Of([]int64{0, 5, -7, 1 << 20}, 4))), 1},
		Case{"add int64", graph.Binary{Fn: graph.Add}, in(count, tensor.Must(tensor.Of([]int64{3}, 1))), 1})
}

// specialCases send NaN, infinities, negative zero and subnormal numbers through the element-wise operators.
func specialCases() []Case {
	nan, inf, zero := math.NaN(), math.Inf(1), math.Copysign(0, -1)
	x := floats(nan, inf, -inf, zero, 0, 1e-40, -1e-40, math.MaxFloat32, -math.MaxFloat32, 1, -1, nan)
	y := floats(1, 1, inf, zero, zero, 1e-40, 2, math.MaxFloat32, 1, nan, inf, nan)
	var all []Case
	for _, fn := range unaryFns {
		all = append(all, Case{fmt.Sprintf("special %s", fn), graph.Unary{Fn: fn}, in(x), 4})
	}
	for _, fn := range binaryFns {
		all = append(all, Case{fmt.Sprintf("special %s", fn), graph.Binary{Fn: fn}, in(x, y), 1})
	}
	all = append(all, Case{"special Clip", graph.Clip{Low: -1, High: 2}, in(x), 1})
	scores := tensor.Must(floats(nan, 1, -inf, nan, inf, 1, zero, 0, 1).Reshaped(1, 9))
	all = append(all,
		Case{"special GreedySelect", graph.GreedySelect{Count: 9}, in(scores), 1},
		Case{"special SplitSelect", graph.SplitSelect{Count: 6, GridHeight: 3, GridWidth: 3}, in(scores, tensor.Must(tensor.Of([]int64{8, 0, 3, 5, 2, 6}, 1, 6))), 1})
	tokens := tensor.Must(floats(nan, 2, inf, -inf, 2e4, -2e4).Reshaped(1, 3, 2))
	p := floats(0.5, 0.9)
	all = append(all, Case{"special TileSSMScan", graph.TileSSMScan{Clamp: 1e4}, []Operand{{tokens, false}, {p, true}, {p, true}, {p, true}, {p, true}}, 4})
	cls := tensor.Must(floats(nan, 3, 2, inf).Reshaped(1, 1, 2, 2))
	box := tensor.New(tensor.Float32, 1, 4, 2, 2)
	tensor.Data[float32](box)[2] = float32(nan)
	quality := tensor.Must(floats(1, nan, 1, 1).Reshaped(1, 1, 2, 2))
	op := graph.SelectDetections{Strides: []int{8}, ImageHeight: 16, ImageWidth: 16, ScoreThreshold: 0.05, PreNMSTopK: 9, IoUThreshold: 0.6, MaxDetections: 5}
	kept := tensor.Must(tensor.Of([]int64{3, 1, 0, 2, 0}, 1, 5))
	return append(all, Case{"special SelectDetections", op, in(cls, box, quality), 4},
		Case{"special DecodeBoxes", graph.DecodeBoxes{Strides: []int{8}, ImageHeight: 16, ImageWidth: 16}, in(cls, box, quality, kept, counts(4)), 4})
}

func matrixCases() []Case {
	var all []Case
	for i, c := range []struct{ m, k, n int }{{1, 1, 1}, {5, 12, 32}, {17, 31, 7}, {0, 4, 3}, {100, 96, 128}, {16, 33, 1}} {
		s := seeded(uint64(400 + i))
		all = append(all,
			Case{fmt.Sprintf("gemm %v", c), graph.Gemm{}, weights(s.normal(c.m, c.k), s.normal(c.k, c.n)), 1},
			Case{fmt.Sprintf("gemm transposed %v", c), graph.Gemm{TransB: true}, weights(s.normal(c.m, c.k), s.normal(c.n, c.k), s.normal(c.n)), 1})
	}
	for i, c := range []struct{ b, m, k, n int }{{1, 1, 1, 1}, {2, 5, 7, 11}, {1, 50, 32, 255}, {3, 0, 4, 5}, {1, 2, 3, 0}} {
		s := seeded(uint64(450 + i))
		all = append(all, Case{fmt.Sprintf("matmul %v", c), graph.MatMul{}, in(s.normal(c.b, c.m, c.k), s.normal(c.b, c.k, c.n)), 1})
	}
	return all
}

func moveCases() []Case {
	s := seeded(500)
	index := func(v ...int64) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }
	x := s.normal(2, 6, 3, 5)
	ids := s.rows(2, 3, 9)
	all := []Case{
		{"reshape", graph.Reshape{Shape: []int{4, 45}}, in(x), 1},
		{"reshape empty", graph.Reshape{Shape: []int{0, 3}}, in(s.normal(5, 0)), 1},
		{"concat channels", graph.Concat{Axis: 1}, in(x, s.normal(2, 1, 3, 5), x), 1},
		{"concat last", graph.Concat{Axis: -1}, in(s.normal(3, 2), s.normal(3, 0), s.normal(3, 4)), 1},
		{"concat ids", graph.Concat{Axis: 1}, in(ids, ids), 1},
		{"split channels", graph.Split{Axis: 1, Sizes: []int{1, 3, 2}}, in(x), 1},
		{"split last", graph.Split{Axis: 3, Sizes: []int{2, 3}}, in(x), 1},
		{"split nothing off", graph.Split{Axis: 1, Sizes: []int{0, 6}}, in(x), 1},
		{"gather rows", graph.Gather{Axis: 2}, weights(x, index(2, 0, 0, 1)), 1},
		{"gather columns", graph.Gather{Axis: 3}, weights(x, index(4, 4, 0)), 1},
		{"gather table", graph.Gather{Axis: 0}, in(s.normal(9), ids), 1},
	}
	for _, r := range []graph.Reduce{{Fn: graph.ReduceMean, Axes: []int{1}, KeepDims: true}, {Fn: graph.ReduceMean, Axes: []int{2, 3}},
		{Fn: graph.ReduceL2, Axes: []int{3}, KeepDims: true}, {Fn: graph.ReduceMean, Axes: []int{0, 1, 2, 3}}, {Fn: graph.ReduceL2, Axes: []int{1}}} {
		all = append(all, Case{fmt.Sprintf("%s %v keep %v", r.Fn, r.Axes, r.KeepDims), r, in(x), 4})
	}
	return append(all, Case{"ReduceMean of many", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{3, 4}}, in(s.normal(1, 3, 5, 16, 16)), 8},
		Case{"ReduceL2 of zeros", graph.Reduce{Fn: graph.ReduceL2, Axes: []int{1}}, in(tensor.New(tensor.Float32, 2, 7)), 1})
}

func resizeCases() []Case {
	var all []Case
	for i, c := range [][4]int{{4, 4, 8, 8}, {5, 7, 10, 14}, {1, 1, 3, 5}, {8, 8, 4, 4}, {10, 20, 16, 32}, {3, 5, 3, 5}, {7, 6, 3, 11}, {16, 16, 128, 128}} {
		s := seeded(uint64(600 + i))
		all = append(all, Case{fmt.Sprintf("resize %v", c), graph.Resize{Height: c[2], Width: c[3]}, in(s.normal(2, 3, c[0], c[1])), 8})
	}
	return all
}

func selectCases() []Case {
	ties := tensor.Must(floats(1, 2, 2, 0, 2, 1, -1, -1, 0, 2, 2, 1).Reshaped(2, 6))
	all := []Case{
		{"greedy one of one", graph.GreedySelect{Count: 1}, in(floats2(1, 1, 3)), 1},
		{"greedy all", graph.GreedySelect{Count: 6}, in(ties), 1},
		{"greedy ties", graph.GreedySelect{Count: 3}, in(ties), 1},
		{"greedy equal", graph.GreedySelect{Count: 20}, in(tensor.New(tensor.Float32, 1, 37)), 1},
		{"greedy many", graph.GreedySelect{Count: 50}, in(seeded(700).normal(3, 101)), 1},
		{"split ties", graph.SplitSelect{Count: 2, GridHeight: 2, GridWidth: 3}, in(ties, tensor.Must(tensor.Of([]int64{5, 4, 2, 0, 3, 1}, 2, 3))), 1},
		{"split all", graph.SplitSelect{Count: 6, GridHeight: 3, GridWidth: 2}, in(ties, tensor.Must(tensor.Of([]int64{5, 4, 3, 2, 1, 0, 0, 1, 2, 3, 4, 5}, 2, 6))), 1},
		{"split one tile", graph.SplitSelect{Count: 1, GridHeight: 1, GridWidth: 1}, in(floats2(1, 1, 3), tensor.New(tensor.Int64, 1, 1)), 1},
	}
	for _, mode := range []string{"hilbert", "multi_direction", "l2r", "r2l", "u2d", "d2u"} {
		for _, g := range [][2]int{{1, 1}, {4, 4}, {3, 5}, {5, 3}, {1, 7}, {6, 10}} {
			n := g[0] * g[1]
			k := (n + 1) / 2
			all = append(all, Case{fmt.Sprintf("order %s %v", mode, g), graph.TileOrder{GridHeight: g[0], GridWidth: g[1], Mode: mode}, in(seeded(710).rows(2, k, n)), 1},
				Case{fmt.Sprintf("order %s %v whole", mode, g), graph.TileOrder{GridHeight: g[0], GridWidth: g[1], Mode: mode}, in(seeded(711).rows(1, n, n)), 1})
		}
	}
	for i, c := range []struct{ h, w, ffh, ffw, t, m int }{
		{4, 4, 8, 8, 4, 1}, {3, 3, 10, 10, 5, 2}, {3, 3, 16, 24, 8, 4}, {2, 2, 16, 16, 4, 1}, {5, 7, 8, 12, 4, 3}, {32, 32, 64, 64, 16, 4},
		{24, 40, 48, 80, 8, 4}, {5, 10, 10, 20, 10, 4},
	} {
		all = append(all, Case{fmt.Sprintf("aggregate %v", c), graph.TileAggregate{FeatureHeight: c.ffh, FeatureWidth: c.ffw, Tile: c.t}, in(seeded(uint64(720+i)).normal(2, c.m, c.h, c.w)), 8})
	}
	return all
}

func floats2(rows, columns int, v float64) *tensor.Tensor {
	t := tensor.New(tensor.Float32, rows, columns)
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] = float32(v)
	}
	return t
}

func tileCases() []Case {
	var all []Case
	for i, c := range []struct{ b, ch, h, w, t, k int }{
		{1, 1, 1, 1, 1, 1}, {2, 6, 16, 16, 4, 3}, {1, 3, 32, 16, 16, 2}, {1, 5, 8, 24, 8, 3}, {2, 2, 15, 25, 5, 7}, {1, 64, 64, 64, 16, 8},
		{1, 4, 34, 17, 17, 2}, {1, 4, 30, 15, 15, 1},
	} {
		s := seeded(uint64(800 + i))
		n := c.h / c.t * (c.w / c.t)
		base, ids := s.normal(c.b, c.ch, c.h, c.w), s.rows(c.b, c.k, n)
		packed, alpha := s.normal(c.b, c.k, c.ch, c.t, c.t), s.normal(c.b, 1, c.h, c.w)
		all = append(all,
			Case{fmt.Sprintf("pack %v", c), graph.TilePack{Tile: c.t}, in(base, ids), 1},
			Case{fmt.Sprintf("unpack %v", c), graph.TileUnpackFusion{}, in(base, packed, ids), 1},
			Case{fmt.Sprintf("unpack fused %v", c), graph.TileUnpackFusion{}, in(base, packed, ids, alpha), 4},
			Case{fmt.Sprintf("unpack blended %v", c), graph.TileUnpackFusion{Blend: true, BlendAlpha: 0.25}, in(base, packed, ids, alpha), 4})
	}
	return all
}

func scanCases() []Case {
	var all []Case
	for i, c := range []struct{ b, k, ch int }{{1, 1, 1}, {2, 5, 6}, {1, 16, 64}, {3, 97, 7}, {0, 3, 2}, {1, 600, 3}} {
		for _, backward := range []bool{false, true} {
			s := seeded(uint64(900 + i))
			decay := s.normal(c.ch)
			for j := range tensor.Data[float32](decay) {
				d := &tensor.Data[float32](decay)[j]
				if *d = *d*0.5 + 0.5; j == 0 {
					*d = 2 // clamped to 1 - 1e-6
				}
			}
			op := graph.TileSSMScan{Backward: backward, Clamp: 1.5}
			x := Operand{Tensor: s.normal(c.b, c.k, c.ch)}
			p := func() Operand { return Operand{s.normal(c.ch), true} }
			all = append(all, Case{fmt.Sprintf("scan %v backward %v", c, backward), op, []Operand{x, {decay, true}, p(), p(), p()}, 64})
		}
	}
	return all
}

func detectCases() []Case {
	var all []Case
	for i, c := range []struct {
		batch, classes, top, keep int
		score, iou                float32
		gain                      float64
	}{
		{1, 3, 1000, 20, 0.05, 0.6, 2}, {2, 1, 50, 10, 0.2, 0.5, 2}, {1, 8, 7, 100, 0, 1, 1}, {1, 3, 1000, 0, 0.05, 0.6, 1},
		{3, 5, 30, 15, 0.3, 0, 3}, {1, 2, 1000, 30, 1, 0.6, 1}, {1, 4, 1, 3, 0.01, 0.4, 2}, {2, 80, 100, 50, 0.25, 0.6, 1},
	} {
		s := seeded(uint64(1000 + i))
		sizes := [][2]int{{9, 13}, {5, 7}, {3, 4}, {2, 2}, {1, 1}}
		strides, anchors := []int{8, 16, 32, 64, 128}, 0
		op := graph.SelectDetections{Strides: strides, ImageHeight: 72, ImageWidth: 104, ScoreThreshold: c.score, PreNMSTopK: c.top, IoUThreshold: c.iou, MaxDetections: c.keep}
		var operands []*tensor.Tensor
		for _, channels := range []int{c.classes, 4, 1} {
			anchors = 0
			for _, hw := range sizes {
				t := s.normal(c.batch, channels, hw[0], hw[1])
				for j := range tensor.Data[float32](t) {
					tensor.Data[float32](t)[j] *= float32(c.gain)
				}
				operands = append(operands, t)
				anchors += hw[0] * hw[1]
			}
		}
		valid := make([]int64, c.batch)
		for b := range valid { // none, all, and what lies between
			valid[b] = int64((c.keep + b*(c.keep/2)) % (c.keep + 1))
		}
		kept := s.rows(c.batch, c.keep, anchors*c.classes)
		all = append(all, Case{fmt.Sprintf("select detections %v", c), op, in(operands...), 64},
			Case{fmt.Sprintf("decode boxes %v", c), graph.DecodeBoxes{Strides: strides, ImageHeight: 72, ImageWidth: 104}, in(append(operands, kept, counts(valid...))...), 64})
	}
	zeros := []*tensor.Tensor{tensor.New(tensor.Float32, 1, 2, 2, 2), tensor.New(tensor.Float32, 1, 4, 2, 2), tensor.New(tensor.Float32, 1, 1, 2, 2)}
	tie := graph.SelectDetections{Strides: []int{8}, ImageHeight: 16, ImageWidth: 16, ScoreThreshold: 0.25, PreNMSTopK: 5, IoUThreshold: 0.6, MaxDetections: 9}
	return append(all, Case{"select equal scores at the threshold", tie, in(zeros...), 8},
		Case{"decode no boxes", graph.DecodeBoxes{Strides: []int{8}, ImageHeight: 16, ImageWidth: 16}, in(append(zeros, tensor.New(tensor.Int64, 1, 3), counts(0))...), 8})
}

// counts is a list of int64.
func counts(v ...int64) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }

func boxCases() []Case {
	var all []Case
	for i, c := range []struct{ b, n, ch, h, w, ih, iw int }{
		{1, 9, 3, 8, 8, 32, 32}, {2, 7, 5, 9, 13, 72, 104}, {1, 0, 4, 8, 8, 64, 64}, {1, 40, 96, 16, 24, 128, 192}, {1, 6, 1, 1, 1, 8, 8},
		{1, 8, 2, 5, 10, 80, 160},
	} {
		s := seeded(uint64(1100 + i))
		boxes := s.boxes(c.b, c.n, c.ih, c.iw)
		all = append(all,
			Case{fmt.Sprintf("roi pool %v", c), graph.RoiMeanPool{ImageHeight: c.ih, ImageWidth: c.iw}, in(s.normal(c.b, c.ch, c.h, c.w), boxes), 8},
			Case{fmt.Sprintf("box mask %v", c), graph.BoxMask{ImageHeight: c.ih, ImageWidth: c.iw, Fill: -20}, in(s.normal(c.b, c.n, c.h, c.w), boxes), 8})
	}
	return all
}

func roundCases() []Case {
	var all []Case
	for _, f := range graph.Formats {
		op := graph.Round{To: f}
		for _, shape := range [][]int{{}, {0}, {2, 3, 17}, {1, 2, 33, 65}} {
			all = append(all, Case{fmt.Sprintf("round to %s %v", f, shape), op, in(seeded(1200).normal(shape...)), 1})
		}
		all = append(all, Case{fmt.Sprintf("round fp16's values to %s", f), op, in(floats(halfs()...)), 1},
			Case{fmt.Sprintf("round what lies between fp16's values to %s", f), op, in(floats(betweenHalfs()...)), 1},
			Case{fmt.Sprintf("round all magnitudes to %s", f), op, in(magnitudes()), 1})
	}
	for _, f := range graph.ScaledFormats {
		all = append(all, scaledCases(f)...)
	}
	return all
}

// scaledCases have the scale 1, under which middles between two numbers are met exactly, and scales that are no power of two.
func scaledCases(f graph.Format) []Case {
	var all []Case
	by := func(name string, op graph.Round, x, scale *tensor.Tensor) {
		all = append(all, Case{fmt.Sprintf("round %s to %s", name, f), op, weights(x, scale), 1})
	}
	one := graph.Round{To: f}
	for _, shape := range [][]int{{}, {0}, {2, 3, 17}, {1, 2, 33, 65}} {
		by(fmt.Sprint(shape), one, seeded(1220).normal(shape...), tensor.Scalar(float32(0.0131)))
	}
	scales := func(n int) *tensor.Tensor {
		t := seeded(1230).normal(n)
		for i, v := range tensor.Data[float32](t) {
			tensor.Data[float32](t)[i] = 0.01 + v*v/100
		}
		return t
	}
	by("the rows", graph.Round{To: f}, seeded(1221).normal(7, 5, 3, 3), scales(7))
	by("the columns", graph.Round{To: f, Axis: 1}, seeded(1222).normal(6, 11), scales(11))
	by("fp16's values", one, floats(numbers(f, halfs())...), tensor.Scalar(float32(1)))
	by("what lies between fp16's values", one, floats(betweenHalfs()...), tensor.Scalar(float32(1)))
	by("all magnitudes", one, floats(numbers(f, magnitudes().Float64s())...), tensor.Scalar(float32(0.37)))
	return all
}

// numbers leaves out what is NaN where a format has none.
func numbers(f graph.Format, all []float64) []float64 {
	if f == graph.INT8 {
		return slices.DeleteFunc(all, math.IsNaN)
	}
	return all
}

// halfs are the 2^16 values of fp16, by their bits: NaN and infinities among them.
func halfs() []float64 {
	all := make([]float64, 1<<16)
	for bits := range all {
		exponent, mantissa := bits>>10&31, float64(bits&1023)
		v := math.Ldexp(1024+mantissa, exponent-25)
		switch {
		case exponent == 0:
			v = math.Ldexp(mantissa, -24)
		case exponent == 31 && mantissa == 0:
			v = math.Inf(1)
		case exponent == 31:
			v = math.NaN()
		}
		all[bits] = math.Copysign(v, float64(1-2*(bits>>15)))
	}
	return all
}

// betweenHalfs are the middles between neighbours of fp16, where the even one is chosen, and what lies next to these middles in
// float32; the last middle is between the largest finite value and the power of two behind it.
func betweenHalfs() []float64 {
	var all []float64
	positive := append(halfs()[:31<<10], 65536)
	for i, v := range positive[1:] {
		middle := float32((positive[i] + v) / 2)
		for _, m := range []float32{middle, math.Nextafter32(middle, 0), math.Nextafter32(middle, math.MaxFloat32)} {
			all = append(all, float64(m), -float64(m))
		}
	}
	return all
}

// magnitudes draws the lower bits of a float32 for each of the 2^16 upper halves: four of them lie at or next to the middle between
// two numbers of 10 mantissa bits, four at those of 7.
func magnitudes() *tensor.Tensor {
	lower := []uint32{0x1000, 0x0fff, 0x1001, 0x3000, 0x8000, 0x7fff, 0x8001, 0}
	s, t := seeded(1210), tensor.New(tensor.Float32, 1<<16)
	for upper := range uint32(1 << 16) {
		bits := upper<<16 | lower[s.r.IntN(len(lower))]
		if s.r.IntN(4) == 0 {
			bits = upper<<16 | s.r.Uint32()>>16
		}
		tensor.Data[float32](t)[upper] = math.Float32frombits(bits)
	}
	return t
}
