package onnx

import (
	"math"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

func f32(shape ...int) graph.Type { return graph.Type{DType: tensor.Float32, Shape: shape} }

// ramp returns a float32 tensor of small distinct numbers.
func ramp(shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i, d := 0, tensor.Data[float32](t); i < len(d); i++ {
		d[i] = float32(i%17)/17 - 0.4
	}
	return t
}

func ints(values ...int64) *tensor.Tensor { return tensor.Must(tensor.Of(values, len(values))) }

// standardOps returns a graph with every standard operator and every kind of parameter.
func standardOps(t testing.TB) *graph.Graph {
	b := graph.NewBuilder("standard")
	x := b.Input("image", f32(2, 3, 8, 8))
	weight, scale := b.Const("w", ramp(4, 3, 3, 3)), b.Const("scale", ramp(4))
	conv := b.Add1("conv", graph.Conv{Strides: [2]int{2, 1}, Pads: [4]int{1, 1, 1, 1}, Group: 1}, x, weight, nil)
	norm := b.Add1("norm", graph.GroupNormalization{Groups: 2, Epsilon: 1e-5}, conv, scale, scale)
	sum := norm
	for _, fn := range []graph.UnaryFn{graph.Identity, graph.Sigmoid, graph.Relu, graph.Tanh, graph.Softplus, graph.Floor,
		graph.Exp, graph.Log, graph.Sqrt, graph.Erf, graph.Neg, graph.Abs} {
		sum = b.Add1("add"+string(fn), graph.Binary{Fn: graph.Add}, sum, b.Add1("u"+string(fn), graph.Unary{Fn: fn}, sum))
	}
	for _, fn := range []graph.BinaryFn{graph.Sub, graph.Mul, graph.Div, graph.Max, graph.Min, graph.Pow} {
		sum = b.Add1("b"+string(fn), graph.Binary{Fn: fn}, sum, b.Scalar(1.5))
	}
	sum = b.Add1("where", graph.Where{}, b.Add1("nan", graph.Unary{Fn: graph.IsNaN}, sum), norm, sum)
	sum = b.Add1("clip", graph.Clip{Low: -1.0 / 3, High: math.Inf(1)}, sum)
	b.Tap("clipped", sum)
	rows := b.Add1("rows", graph.Reshape{Shape: []int{2, 4, 32}}, sum)
	rows = b.Add1("layer", graph.LayerNormalization{Epsilon: 1.0 / 3}, rows, b.Const("ones", ramp(32)), b.Const("zeros", ramp(32)))
	prod := b.Add1("matmul", graph.MatMul{}, rows, b.Add1("columns", graph.Reshape{Shape: []int{2, 32, 4}}, rows))
	flat := b.Add1("flat", graph.Reshape{Shape: []int{2, 16}}, prod)
	b.Output("gemm", b.Add1("fc", graph.Gemm{TransB: true}, flat, b.Const("fcw", ramp(5, 16)), b.Const("fcb", ramp(5))))
	parts := b.Add("parts", graph.Split{Axis: -1, Sizes: []int{4, 12}}, flat)
	b.Output("joined", b.Add1("join", graph.Concat{Axis: 1}, parts[1], parts[0]))
	b.Output("picked", b.Add1("pick", graph.Gather{Axis: 1}, flat, b.Const("index", tensor.Must(tensor.Of([]int64{3, 0, 3, 15}, 2, 2)))))
	b.Output("mean", b.Add1("avg", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{0, 2}}, rows))
	b.Output("l2", b.Add1("len", graph.Reduce{Fn: graph.ReduceL2, Axes: []int{2}, KeepDims: true}, rows))
	b.Output("resized", b.Add1("resize", graph.Resize{Height: 7, Width: 16}, sum))
	b.Output("count", b.Add1("cast", graph.Cast{To: tensor.Int64}, sum))
	pooled := b.Add1("maxpool", graph.Pool{Fn: graph.MaxPool, Kernel: [2]int{3, 2}, Strides: [2]int{2, 1}, Pads: [4]int{1, 0, 1, 1}}, conv)
	pooled = b.Add1("avgpool", graph.Pool{Fn: graph.AveragePool, Kernel: [2]int{2, 2}, Strides: [2]int{1, 1}, Pads: [4]int{1, 1, 0, 0}, CountPads: true}, pooled)
	pooled = b.Add1("batchnorm", graph.BatchNormalization{Epsilon: 1e-3}, pooled, scale, scale, scale, b.Const("variance", ramp(4)))
	pooled = b.Add1("softmax", graph.Softmax{Axis: 1}, b.Add1("transpose", graph.Transpose{Perm: []int{0, 2, 3, 1}}, pooled))
	up := b.Add1("up", graph.ConvTranspose{Strides: [2]int{2, 1}, Pads: [4]int{1, 0, 0, 1}, OutputPadding: [2]int{1, 0}, Group: 2}, conv, b.Const("upw", ramp(4, 3, 3, 2)), nil)
	b.Output("top", b.Add("topk", graph.TopK{Axis: 2, K: 3, Smallest: true}, up)[1])
	b.Output("recalled", b.Add("lstm", graph.LSTM{Hidden: 5, Backward: true}, rows, b.Const("lw", ramp(1, 20, 32)), b.Const("lr", ramp(1, 20, 5)), nil, nil, b.Const("lh", ramp(1, 4, 5)))[2])
	b.Output("global", b.Add1("globalpool", graph.GlobalAveragePool{}, pooled))
	empty := b.Add1("none", graph.Gather{Axis: 1}, flat, b.Const("noindex", ints()))
	b.Output("empty", b.Add1("reempty", graph.Reshape{Shape: []int{0, 2, 3}}, empty))
	return build(t, b)
}

// ownOps returns a graph with every operator of the domain "apexx", some of them twice with other shapes or parameters.
func ownOps(t testing.TB) *graph.Graph {
	b := graph.NewBuilder("own")
	maps, features := b.Input("maps", f32(1, 2, 8, 8)), b.Input("features", f32(1, 3, 16, 16))
	b.Output("stats", b.Add1("aggregate", graph.TileAggregate{FeatureHeight: 16, FeatureWidth: 16, Tile: 4}, maps))
	utilities := b.Add1("utilities", graph.Reshape{Shape: []int{1, 16}}, b.Add1("u", graph.Resize{Height: 4, Width: 2}, maps))
	ids := b.Add1("select", graph.GreedySelect{Count: 5}, utilities)
	children := b.Add1("split", graph.SplitSelect{Count: 2, GridHeight: 4, GridWidth: 4}, utilities, ids)
	ordered := b.Add1("order", graph.TileOrder{GridHeight: 8, GridWidth: 8, Mode: "hilbert"}, children)
	b.Output("tiles", ordered)
	coarse := b.Add1("pack0", graph.TilePack{Tile: 4}, features, ids)
	fine := b.Add1("pack1", graph.TilePack{Tile: 2}, features, ordered)
	tokens := b.Add1("tokens", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{3, 4}}, coarse)
	decay := b.Const("decay", ramp(3))
	forward := b.Add("scan", graph.TileSSMScan{Clamp: 1e4}, tokens, decay, decay, decay, decay)
	backward := b.Add("back", graph.TileSSMScan{Clamp: 1.0 / 3, Backward: true}, tokens, decay, decay, decay, decay)
	b.Output("state", b.Add1("states", graph.Binary{Fn: graph.Add}, forward[1], backward[1]))
	merged := b.Add1("unpack0", graph.TileUnpackFusion{}, features, coarse, ids, nil)
	alpha := b.Const("alpha", ramp(1, 1, 16, 16))
	b.Output("merged", b.Add1("unpack1", graph.TileUnpackFusion{Blend: true, BlendAlpha: 0.3}, merged, fine, ordered, alpha))
	choose := graph.SelectDetections{Strides: []int{2, 4}, ImageHeight: 16, ImageWidth: 16, ScoreThreshold: 0.05, PreNMSTopK: 10, IoUThreshold: 0.6, MaxDetections: 4}
	box, quality := b.Const("boxes", ramp(1, 4, 8, 8)), b.Const("quality", ramp(1, 1, 8, 8))
	box2, quality2, cls2 := b.Const("boxes2", ramp(1, 4, 4, 4)), b.Const("quality2", ramp(1, 1, 4, 4)), b.Const("cls2", ramp(1, 2, 4, 4))
	predictions := []*graph.Value{maps, cls2, box, box2, quality, quality2}
	kept := b.Add("select_detections", choose, predictions...)
	found := b.Add("decode", graph.DecodeBoxes{Strides: []int{2, 4}, ImageHeight: 16, ImageWidth: 16}, append(predictions, kept...)...)
	b.Output("valid_counts", kept[1])
	for i, name := range []string{"boxes_out", "scores", "class_ids"} {
		b.Output(name, found[i])
	}
	b.Output("pooled", b.Add1("pool", graph.RoiMeanPool{ImageHeight: 16, ImageWidth: 16}, features, found[0]))
	logits := b.Add1("logits", graph.Reshape{Shape: []int{1, 4, 4, 8}}, maps)
	masks := b.Add("mask", graph.BoxMask{ImageHeight: 16, ImageWidth: 16, Fill: -20}, logits, found[0])
	b.Output("masks", masks[0])
	b.Output("mask_scores", masks[1])
	half := b.Add1("half", graph.Round{To: graph.FP16}, tokens)
	b.Output("coarse", b.Add1("int8", graph.Round{To: graph.INT8}, tokens, b.Const("scale", tensor.Scalar(float32(0.5)))))
	b.Output("coarser", b.Add1("fp8", graph.Round{To: graph.FP8, Axis: 2}, tokens, b.Const("scales", ramp(3))))
	b.Output("narrow", b.Add1("narrowed", graph.Round{To: graph.BF16}, b.Add1("tensor_core", graph.Round{To: graph.TF32}, half)))
	b.Tap("tokens", tokens)
	b.Tap("alpha", alpha)
	b.Decide(graph.Decision{Value: ids, Limit: 16, Scores: []*graph.Value{utilities}})
	b.Decide(graph.Decision{Value: ordered, Limit: 64})
	b.Decide(graph.Decision{Value: kept[0], Count: kept[1], Limit: 160, Scores: []*graph.Value{maps, cls2, quality, quality2}})
	g := build(t, b)
	g.Calibration = &graph.Calibration{Ranges: map[string]float32{"features": 1, "tokens": 0.1}, Wide: []string{"pool"}}
	g.Parts = [][]string{{"pool"}, {"features", "tokens"}}
	g.Metadata["weights"] = "hashed:1"
	return g
}

func build(t testing.TB, b *graph.Builder) *graph.Graph {
	t.Helper()
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}
