package reference

import (
	"math"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// A network builds test graphs whose weights are the wave of a seed.
type network struct {
	*graph.Builder
	seed float64
}

func newNetwork() *network { return &network{Builder: graph.NewBuilder("test"), seed: 1} }

func (n *network) weight(name string, shape ...int) *graph.Value {
	n.seed += 0.1
	t := wave(n.seed, shape...)
	fan := float32(math.Sqrt(float64(max(1, t.Len()/max(1, shape[0])))))
	if len(shape) > 1 {
		for i, d := 0, tensor.Data[float32](t); i < len(d); i++ {
			d[i] /= fan
		}
	}
	return n.Const(name, t)
}

func (n *network) input(name string, d tensor.DType, shape ...int) *graph.Value {
	return n.Input(name, graph.Type{DType: d, Shape: shape})
}

func (n *network) conv(name string, x *graph.Value, out, kernel, stride int, bias bool) *graph.Value {
	in := []*graph.Value{x, n.weight(name+".w", out, x.Shape[1], kernel, kernel), nil}
	if bias {
		in[2] = n.weight(name+".b", out)
	}
	p := kernel / 2
	return n.Add1(name, graph.Conv{Strides: [2]int{stride, stride}, Pads: [4]int{p, p, p, p}, Group: 1}, in...)
}

func (n *network) norm(name string, x *graph.Value, groups int) *graph.Value {
	c := x.Shape[1]
	return n.Add1(name, graph.GroupNormalization{Groups: groups, Epsilon: 1e-5}, x, n.weight(name+".scale", c), n.weight(name+".shift", c))
}

func (n *network) unary(name string, fn graph.UnaryFn, x *graph.Value) *graph.Value {
	return n.Add1(name, graph.Unary{Fn: fn}, x)
}

func (n *network) binary(name string, fn graph.BinaryFn, a, b *graph.Value) *graph.Value {
	return n.Add1(name, graph.Binary{Fn: fn}, a, b)
}

func (n *network) silu(name string, x *graph.Value) *graph.Value {
	return n.binary(name, graph.Mul, n.unary(name+".sigmoid", graph.Sigmoid, x), x)
}

// cheapBlock is spec/model.md 3.1 with a residual.
func (n *network) cheapBlock(name string, x *graph.Value) *graph.Value {
	c := x.Shape[1]
	h := n.norm(name+".norm", n.conv(name+".conv", x, 2*c, 1, 1, true), 1)
	return n.binary(name, graph.Add, n.gate(name+".gate", h), x)
}

// gate multiplies the first half of the channels with what is positive of the second.
func (n *network) gate(name string, x *graph.Value) *graph.Value {
	c := x.Shape[1] / 2
	parts := n.Add(name+".split", graph.Split{Axis: 1, Sizes: []int{c, c}}, x)
	return n.binary(name, graph.Mul, parts[0], n.unary(name+".relu", graph.Relu, parts[1]))
}

// everyOperator builds a graph with every operator, in which fusions of all kinds apply, and inputs for it.
func everyOperator(t testing.TB, batch int) (*graph.Graph, tensor.List) {
	n := newNetwork()
	image := n.input("image", tensor.Float32, batch, 3, 32, 48)
	x := n.silu("stem", n.norm("stem.norm", n.conv("stem.conv", image, 8, 3, 2, false), 2)) // [8,16,24]
	x = n.cheapBlock("block", x)
	logits := n.conv("logits", x, 1, 1, 1, true)
	utilities := n.Add1("utilities", graph.Reshape{Shape: []int{batch, 6}},
		n.Add1("tilemeans", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{3, 4}, KeepDims: true},
			n.Add1("bytile", graph.TilePack{Tile: 8}, logits, n.iota("alltiles", batch, 6))))
	vectors := n.Add1("vectors", graph.TileAggregate{FeatureHeight: 16, FeatureWidth: 24, Tile: 8}, n.unary("proxy", graph.Softplus, logits))
	n.router(vectors, batch)
	heavy := n.heavyPath(x, utilities, logits, batch)
	n.detect(heavy, batch)
	n.masks(heavy, batch)
	n.general(x)
	return built(t, n.Builder), tensor.List{{Name: "image", Tensor: wave(0.3, batch, 3, 32, 48)}, {Name: "rois", Tensor: boxesFor(batch)}}
}

func (n *network) iota(name string, batch, k int) *graph.Value {
	t := tensor.New(tensor.Int64, batch, k)
	for i, d := 0, tensor.Data[int64](t); i < len(d); i++ {
		d[i] = int64(i % k)
	}
	return n.Const(name, t)
}

// router exercises Gemm, LayerNormalization, Clip, Where, IsNaN, Floor, Cast, Gather and integer arithmetic.
func (n *network) router(vectors *graph.Value, batch int) {
	x := n.Add1("clean", graph.Where{}, n.unary("nan", graph.IsNaN, vectors), n.Scalar(0), n.Add1("clip", graph.Clip{Low: -1e4, High: 1e4}, vectors))
	x = n.Add1("layernorm", graph.LayerNormalization{Epsilon: 1e-5}, x, n.weight("ln.w", 3), n.weight("ln.b", 3))
	x = n.Add1("rows", graph.Reshape{Shape: []int{batch * 6, 3}}, x)
	h := n.unary("hidden.relu", graph.Relu, n.Add1("hidden", graph.Gemm{TransB: true}, x, n.weight("gemm.w", 5, 3), n.weight("gemm.b", 5)))
	knot := n.Add1("knot", graph.Cast{To: tensor.Int64}, n.unary("floor", graph.Floor, n.Add1("position", graph.Clip{Low: 0, High: 6}, h)))
	knot = n.binary("knot.last", graph.Min, knot, n.Const("five", tensor.Scalar(int64(5))))
	y := n.Add1("spline", graph.Gather{Axis: 0}, n.weight("knots", 7), knot)
	n.Output("routed", n.binary("routed.diff", graph.Sub, y, n.binary("routed.max", graph.Max, h, y)))
}

// heavyPath exercises selection, ordering, packing, the scans, FiLM, the tile blocks, unpacking and the gate.
func (n *network) heavyPath(x, utilities, logits *graph.Value, batch int) *graph.Value {
	ids := n.Add1("tiles", graph.GreedySelect{Count: 3}, utilities)
	small := n.Add1("children", graph.SplitSelect{Count: 2, GridHeight: 2, GridWidth: 3}, utilities, ids)
	n.Output("ordered", n.Add1("order4", graph.TileOrder{GridHeight: 4, GridWidth: 6, Mode: "multi_direction"}, small))
	n.Output("selected", ids)
	order := n.Add1("order", graph.TileOrder{GridHeight: 2, GridWidth: 3, Mode: "hilbert"}, ids)
	packed := n.Add1("packed", graph.TilePack{Tile: 8}, x, order)
	tokens := n.Add1("tokens", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{3, 4}}, packed)
	var both []*graph.Value
	for i, name := range []string{"fwd", "bwd"} {
		in := []*graph.Value{tokens, n.unary(name+".decay", graph.Sigmoid, n.weight(name+".d", 8))}
		for _, p := range []string{".i", ".o", ".s"} {
			in = append(in, n.weight(name+p, 8))
		}
		both = append(both, n.Add(name, graph.TileSSMScan{Backward: i == 1, Clamp: 1e4}, in...)[0])
	}
	gain := n.unary("gain", graph.Tanh, n.binary("mixed", graph.Add, both[0], both[1]))
	gain = n.Add1("gain5", graph.Reshape{Shape: []int{batch, 3, 8, 1, 1}}, gain)
	tiles := n.binary("film", graph.Mul, packed, n.binary("gain.plus", graph.Add, gain, n.Scalar(1)))
	flat := n.cheapBlock("refine", n.Add1("film4", graph.Reshape{Shape: []int{batch * 3, 8, 8, 8}}, tiles))
	tiles = n.Add1("refined", graph.Reshape{Shape: []int{batch, 3, 8, 8, 8}}, flat)
	return n.Add1("heavy", graph.TileUnpackFusion{}, x, tiles, order, n.unary("alpha", graph.Sigmoid, logits))
}

func (n *network) detect(x *graph.Value, batch int) {
	tower := n.silu("tower", n.norm("tower.norm", n.conv("tower.conv", x, 8, 3, 1, false), 1))
	low := n.conv("low", tower, 8, 3, 2, false)
	var in []*graph.Value
	for _, head := range []struct {
		name     string
		channels int
	}{{"cls", 3}, {"box", 4}, {"quality", 1}} {
		in = append(in, n.conv(head.name+".3", tower, head.channels, 1, 1, true), n.conv(head.name+".4", low, head.channels, 1, 1, true))
	}
	for i, v := range detect(n.Builder, graph.SelectDetections{Strides: []int{2, 4}, ImageHeight: 32, ImageWidth: 48, ScoreThreshold: 0.1, PreNMSTopK: 50, IoUThreshold: 0.5, MaxDetections: 10}, in) {
		n.Output([]string{"boxes", "scores", "class_ids", "valid_counts"}[i], v)
	}
}

func (n *network) masks(x *graph.Value, batch int) {
	rois := n.input("rois", tensor.Float32, batch, 3, 4)
	pooled := n.Add1("pooled", graph.RoiMeanPool{ImageHeight: 32, ImageWidth: 48}, x, rois)
	length := n.Add1("length", graph.Reduce{Fn: graph.ReduceL2, Axes: []int{2}, KeepDims: true}, pooled)
	n.Output("unit", n.binary("unit.div", graph.Div, pooled, n.binary("length.max", graph.Max, length, n.Scalar(1e-6))))
	flat := n.Add1("flat", graph.MatMul{}, pooled, n.Add1("prototypes", graph.Reshape{Shape: []int{batch, 8, 16 * 24}}, x))
	logits := n.Add1("large", graph.Resize{Height: 32, Width: 48}, n.Add1("lowres", graph.Reshape{Shape: []int{batch, 3, 16, 24}}, flat))
	masks := n.Add("masks", graph.BoxMask{ImageHeight: 32, ImageWidth: 48, Fill: -20}, logits, rois)
	n.Output("mask_logits", masks[0])
	n.Output("mask_scores", masks[1])
	n.Output("narrow", n.Add1("narrow.round", graph.Round{To: graph.FP16}, pooled))
	n.Output("joined", n.Add1("joined.concat", graph.Concat{Axis: 1}, n.unary("copy", graph.Identity, pooled), pooled))
}

// general exercises what Apex-X does not use.
func (n *network) general(x *graph.Value) {
	x = n.Add1("maxpool", graph.Pool{Fn: graph.MaxPool, Kernel: [2]int{3, 3}, Strides: [2]int{2, 2}, Pads: [4]int{1, 1, 1, 1}}, x)
	x = n.Add1("batchnorm", graph.BatchNormalization{Epsilon: 1e-5}, x, n.weight("bn.w", 8), n.weight("bn.b", 8), n.weight("bn.m", 8), n.weight("bn.v", 8))
	x = n.Add1("avgpool", graph.Pool{Fn: graph.AveragePool, Kernel: [2]int{2, 2}, Strides: [2]int{1, 1}}, x)
	for _, fn := range []graph.UnaryFn{graph.Abs, graph.Sqrt, graph.Neg, graph.Exp, graph.Log, graph.Erf} {
		x = n.unary("general."+string(fn), fn, x)
	}
	x = n.binary("general.pow", graph.Pow, n.unary("general.abs", graph.Abs, x), n.Scalar(1.5))
	n.Output("attention", n.Add1("softmax", graph.Softmax{Axis: 1}, n.Add1("swapped", graph.Transpose{Perm: []int{0, 2, 1, 3}}, x)))
	up := n.Add1("upsampled", graph.ConvTranspose{Strides: [2]int{2, 2}, Group: 1}, x, n.weight("up.w", 8, 4, 2, 2))
	n.Output("top", n.Add("topk", graph.TopK{Axis: 3, K: 2}, up)[1])
	rows := n.Add1("rows.lstm", graph.Reshape{Shape: []int{x.Shape[0], x.Shape[1], x.Shape[2] * x.Shape[3]}}, x)
	n.Output("recalled", n.Add("lstm", graph.LSTM{Hidden: 3}, rows, n.weight("lstm.w", 1, 12, rows.Shape[2]), n.weight("lstm.r", 1, 12, 3))[1])
	n.Output("average", n.Add1("globalpool", graph.GlobalAveragePool{}, x))
	n.Output("projected", n.Add1("project", graph.MatMul{}, x, n.weight("project.w", x.Shape[3], 4)))
}

func boxesFor(batch int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, batch, 3, 4)
	for i, d := 0, tensor.Data[float32](t); i < len(d); i += 4 {
		copy(d[i:], []float32{float32(i), 3, float32(20 + i), 19.5})
	}
	copy(tensor.Data[float32](t)[4:], []float32{0, 0, 0, 0})
	return t
}
