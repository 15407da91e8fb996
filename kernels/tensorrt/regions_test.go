//go:build cgo && linux

package tensorrt

import (
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// regions are subjects for the plugins of whole regions, each held to the nodes of the graph that it stands for.
func regions() []subject {
	return []subject{logitMaps(), proxies(), gates(), route(), heavy(true), heavy(false), boxVector(0), boxVector(0.5), maskDetail(), prototypeMasks(true), prototypeMasks(false)}
}

// ofGraph makes the expectation of nodes.
func ofGraph(nodes func(b *graph.Builder, in []*graph.Value) []*graph.Value) func([]*tensor.Tensor) ([]*tensor.Tensor, error) {
	return func(inputs []*tensor.Tensor) ([]*tensor.Tensor, error) {
		b := graph.NewBuilder("region")
		var list tensor.List
		var in []*graph.Value
		for i, x := range inputs {
			name := "x" + string(rune('a'+i))
			in = append(in, b.Input(name, graph.Type{DType: x.DType(), Shape: x.Shape()}))
			list = append(list, tensor.Named{Name: name, Tensor: x})
		}
		for i, v := range nodes(b, in) {
			b.Output("y"+string(rune('a'+i)), v)
		}
		g, err := b.Build()
		if err != nil {
			return nil, err
		}
		outputs, err := backendtest.Oracle(g, list)
		if err != nil {
			return nil, err
		}
		var out []*tensor.Tensor
		for _, p := range outputs {
			out = append(out, p.Tensor)
		}
		return out, nil
	}
}

func number(b *graph.Builder, name string, x float32) *graph.Value {
	return b.Const(name, tensor.Must(tensor.Of([]float32{x}, 1)))
}

func silu(b *graph.Builder, name string, x *graph.Value) *graph.Value {
	return b.Add1(name, graph.Binary{Fn: graph.Mul}, x, b.Add1(name+".sigmoid", graph.Unary{Fn: graph.Sigmoid}, x))
}

func linear(b *graph.Builder, name string, in ...*graph.Value) *graph.Value {
	return b.Add1(name, graph.Gemm{TransB: true}, in...)
}

// logitMaps are convolutions of one and of several blocks, channels that fill no block, and two of one map.
func logitMaps() subject {
	s := subject{name: "logits", plugin: "Logits", scale: 16, values: []Value{{"maps", int32(4)}}, maps: []int{0, 1, 2, 3}}
	x := []*tensor.Tensor{normal(1, 2, 16, 5, 7), normal(2, 2, 136, 9, 8), normal(3, 2, 8, 3, 3)}
	s.inputs = append(x, x[0])
	for i, outputs := range []int{3, 41, 1, 40} {
		s.inputs = append(s.inputs, normal(uint64(10+i), outputs, s.inputs[i].Shape()[1], 1, 1))
	}
	for i, outputs := range []int{3, 41, 1, 40} {
		s.inputs = append(s.inputs, normal(uint64(20+i), outputs))
	}
	s.expected = ofGraph(func(b *graph.Builder, in []*graph.Value) (out []*graph.Value) {
		for i := range 4 {
			out = append(out, b.Add1("conv"+string(rune('0'+i)), graph.Conv{Strides: [2]int{1, 1}, Group: 1}, in[i], in[4+i], in[8+i]))
		}
		return out
	})
	return s
}

func proxies() subject {
	return subject{
		name: "proxies", plugin: "Proxies", scale: 8, inputs: []*tensor.Tensor{normal(31, 2, 1, 4, 6), normal(32, 2, 1, 4, 6), normal(33, 2, 1, 4, 6)},
		expected: ofGraph(func(b *graph.Builder, in []*graph.Value) []*graph.Value {
			boundary, objectness := b.Add1("b", graph.Unary{Fn: graph.Sigmoid}, in[0]), b.Add1("o", graph.Unary{Fn: graph.Sigmoid}, in[1])
			uncertainty := b.Add1("u", graph.Binary{Fn: graph.Mul}, b.Add1("4p", graph.Binary{Fn: graph.Mul}, objectness, number(b, "4", 4)),
				b.Add1("1-p", graph.Binary{Fn: graph.Sub}, number(b, "1", 1), objectness))
			variance := b.Add1("v", graph.Unary{Fn: graph.Softplus}, in[2])
			return []*graph.Value{b.Add1("maps", graph.Concat{Axis: 1}, boundary, objectness, uncertainty, variance), boundary, objectness, uncertainty, variance}
		}),
	}
}

// gates has a NaN among the proxies.
func gates() subject {
	s := subject{name: "gates", plugin: "Gates", scale: 8, values: []Value{{"gates", int32(2)}, {"height", int32(7)}, {"width", int32(12)}},
		inputs: []*tensor.Tensor{normal(41, 2, 1, 4, 6), normal(42, 2, 1, 4, 6)}}
	tensor.Data[float32](s.inputs[0])[5] = float32(math.NaN())
	for i := range uint64(6) {
		s.inputs = append(s.inputs, normal(43+i, 1))
	}
	s.expected = ofGraph(func(b *graph.Builder, in []*graph.Value) (out []*graph.Value) {
		var proxies []*graph.Value
		for i, name := range []string{"boundary", "uncertainty"} {
			clean := b.Add1(name, graph.Where{}, b.Add1(name+".odd", graph.Unary{Fn: graph.IsNaN}, in[i]), number(b, name+".0", 0), in[i])
			proxies = append(proxies, b.Add1(name+".resize", graph.Resize{Height: 7, Width: 12}, clean))
		}
		for g := range 2 {
			name := "gate" + string(rune('0'+g))
			sum := b.Add1(name+".sum", graph.Binary{Fn: graph.Add}, b.Add1(name+".b", graph.Binary{Fn: graph.Mul}, in[2+3*g], proxies[0]),
				b.Add1(name+".u", graph.Binary{Fn: graph.Mul}, in[3+3*g], proxies[1]))
			out = append(out, b.Add1(name, graph.Unary{Fn: graph.Sigmoid}, b.Add1(name+".logit", graph.Binary{Fn: graph.Add}, sum, in[4+3*g])))
		}
		return out
	})
	return s
}

func route() subject {
	const height, width, tile, count, splits = 12, 16, 4, 5, 3
	s := subject{name: "route", plugin: "Route", scale: 64, values: []Value{{"feature_height", int32(height)}, {"feature_width", int32(width)}, {"tile_size", int32(tile)},
		{"count", int32(count)}, {"splits", int32(splits)}, {"mode", "hilbert"}, {"child_mode", "u2d"}},
		inputs: []*tensor.Tensor{normal(51, 2, 4, 6, 8), normal(52, 20, 12), normal(53, 20), normal(54, 9, 20), normal(55, 9), normal(56, 1, 9), normal(57, 1), normal(58, 1, 9),
			normal(59, 1)}}
	s.expected = ofGraph(func(b *graph.Builder, in []*graph.Value) []*graph.Value {
		x := b.Add1("tiles", graph.TileAggregate{FeatureHeight: height, FeatureWidth: width, Tile: tile}, in[0])
		x = b.Add1("rows", graph.Reshape{Shape: []int{2 * 12, 12}}, x)
		for i, name := range []string{"first", "second"} {
			x = b.Add1(name+".relu", graph.Unary{Fn: graph.Relu}, linear(b, name, x, in[1+2*i], in[2+2*i]))
		}
		var utilities []*graph.Value
		for i, name := range []string{"u", "s"} {
			utilities = append(utilities, b.Add1(name, graph.Reshape{Shape: []int{2, 12}}, linear(b, name+".head", x, in[5+2*i], in[6+2*i])))
		}
		chosen := b.Add1("chosen", graph.GreedySelect{Count: count}, utilities[0])
		children := b.Add1("children", graph.SplitSelect{Count: splits, GridHeight: 3, GridWidth: 4}, utilities[1], chosen)
		return []*graph.Value{utilities[0], utilities[1], chosen, b.Add1("ordered", graph.TileOrder{GridHeight: 3, GridWidth: 4, Mode: "hilbert"}, chosen), children,
			b.Add1("ordered children", graph.TileOrder{GridHeight: 6, GridWidth: 8, Mode: "u2d"}, children)}
	})
	return s
}

// heavy is a level of the heavy path on tiles of several strips, one of them in two places.
func heavy(bidirectional bool) subject {
	const c, hidden, tile, k = 12, 20, 8, 3
	s := subject{name: "heavy forward", plugin: "HeavyPath", scale: 64, maps: []int{0}, values: []Value{{"tile_size", int32(tile)}, {"bidirectional", int32(0)},
		{"clamp_value", float32(1)}, {"low", float32(-0.5)}, {"high", float32(0.5)}, {"row_epsilon", float32(1e-5)}, {"group_epsilon", float32(1e-5)}},
		inputs: []*tensor.Tensor{normal(61, 2, c, 16, 24), ids([]int{2, k}, 4, 1, 4, 0, 5, 2), normal(62, 2, 1, 16, 24)}}
	scans := 1
	if bidirectional {
		s.name, scans, s.values[1].Value = "heavy", 2, int32(1)
	}
	shapes := slices.Repeat([][]int{{c}}, 4*scans)
	if bidirectional {
		shapes = append(shapes, []int{c}, []int{c})
	}
	shapes = append(shapes, []int{c}, []int{c}, []int{hidden, c}, []int{hidden}, []int{2 * c, hidden}, []int{2 * c}, []int{c, 1, 3, 3}, []int{c}, []int{2 * c, c, 1, 1}, []int{2 * c},
		[]int{2 * c}, []int{2 * c})
	for i, shape := range shapes {
		s.inputs = append(s.inputs, normal(uint64(70+i), shape...))
	}
	for scan := range scans { // decays lie between 0 and 1
		for i, v := range tensor.Data[float32](s.inputs[3+4*scan]) {
			tensor.Data[float32](s.inputs[3+4*scan])[i] = 1 / (1 + float32(math.Exp(-float64(v))))
		}
	}
	s.expected = ofGraph(func(b *graph.Builder, in []*graph.Value) []*graph.Value {
		pack := b.Add1("pack", graph.TilePack{Tile: tile}, in[0], in[1])
		tokens := b.Add1("tokens", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{3, 4}}, pack)
		mix := b.Add("forward", graph.TileSSMScan{Clamp: 1}, append([]*graph.Value{tokens}, in[3:7]...)...)[0]
		p := in[7:]
		if bidirectional {
			backward := b.Add("backward", graph.TileSSMScan{Clamp: 1, Backward: true}, append([]*graph.Value{tokens}, in[7:11]...)...)[0]
			mix = b.Add1("mix", graph.Binary{Fn: graph.Add}, b.Add1("gated", graph.Binary{Fn: graph.Mul}, in[11], mix), b.Add1("rest", graph.Binary{Fn: graph.Mul}, in[12], backward))
			p = in[13:]
		}
		rows := b.Add1("rows", graph.Reshape{Shape: []int{2 * k, c}}, b.Add1("clip", graph.Clip{Low: -0.5, High: 0.5}, mix))
		row := b.Add1("row", graph.LayerNormalization{Epsilon: 1e-5}, rows, p[0], p[1])
		parts := b.Add("parts", graph.Split{Axis: 1, Sizes: []int{c, c}}, linear(b, "last", silu(b, "silu", linear(b, "first", row, p[2], p[3])), p[4], p[5]))
		view := func(name string, v *graph.Value) *graph.Value {
			return b.Add1(name, graph.Reshape{Shape: []int{2, k, c, 1, 1}}, v)
		}
		gamma := b.Add1("1+gamma", graph.Binary{Fn: graph.Add}, view("gamma", b.Add1("tanh", graph.Unary{Fn: graph.Tanh}, parts[0])), number(b, "one", 1))
		modulated := b.Add1("modulated", graph.Binary{Fn: graph.Add}, b.Add1("scaled", graph.Binary{Fn: graph.Mul}, gamma, pack), view("beta", parts[1]))
		tiles := b.Add1("modulated tiles", graph.Reshape{Shape: []int{2 * k, c, tile, tile}}, modulated)
		depthwise := b.Add1("depthwise", graph.Conv{Strides: [2]int{1, 1}, Pads: [4]int{1, 1, 1, 1}, Group: c}, tiles, p[6], p[7])
		pointwise := b.Add1("pointwise", graph.Conv{Strides: [2]int{1, 1}, Group: 1}, depthwise, p[8], p[9])
		halves := b.Add("halves", graph.Split{Axis: 1, Sizes: []int{c, c}}, b.Add1("norm", graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}, pointwise, p[10], p[11]))
		gated := b.Add1("reglu", graph.Binary{Fn: graph.Mul}, halves[0], b.Add1("relu", graph.Unary{Fn: graph.Relu}, halves[1]))
		refined := b.Add1("refined", graph.Reshape{Shape: []int{2, k, c, tile, tile}}, b.Add1("sum", graph.Binary{Fn: graph.Add}, gated, tiles))
		return []*graph.Value{b.Add1("unpack", graph.TileUnpackFusion{}, in[0], refined, in[1], in[2])}
	})
	return s
}

// boxes are n boxes of an image of 80 by 160 pixels, one of them empty.
func boxes(seed uint64, batch, n int) *tensor.Tensor {
	t := normal(seed, batch, n, 4)
	for i, v := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] = 60 + 30*v
	}
	copy(tensor.Data[float32](t)[4:], []float32{9, 9, 9, 9})
	return t
}

func boxVector(floor float32) subject {
	const c, hidden, outputs, n = 12, 20, 7, 5
	s := subject{name: "box vector", plugin: "BoxVector", scale: 64, maps: []int{0}, values: []Value{{"image_height", int32(80)}, {"image_width", int32(160)}},
		inputs: []*tensor.Tensor{normal(101, 2, c, 10, 20), boxes(102, 2, n), normal(103, hidden, c), normal(104, hidden), normal(105, outputs, hidden), normal(106, outputs)}}
	if floor > 0 {
		s.name, s.values = "unit box vector", append(s.values, Value{"floor", floor})
	}
	s.expected = ofGraph(func(b *graph.Builder, in []*graph.Value) []*graph.Value {
		pool := b.Add1("rows", graph.Reshape{Shape: []int{2 * n, c}}, b.Add1("pool", graph.RoiMeanPool{ImageHeight: 80, ImageWidth: 160}, in[0], in[1]))
		last := linear(b, "last", silu(b, "silu", linear(b, "first", pool, in[2], in[3])), in[4], in[5])
		y := b.Add1("vectors", graph.Reshape{Shape: []int{2, n, outputs}}, last)
		if floor > 0 {
			length := b.Add1("length", graph.Reduce{Fn: graph.ReduceL2, Axes: []int{2}, KeepDims: true}, y)
			y = b.Add1("unit", graph.Binary{Fn: graph.Div}, y, b.Add1("floored", graph.Binary{Fn: graph.Max}, length, number(b, "floor", floor)))
		}
		return []*graph.Value{y}
	})
	return s
}

func maskDetail() subject {
	return subject{
		name: "mask detail", plugin: "MaskDetail", scale: 8, values: []Value{{"height", int32(8)}, {"width", int32(12)}, {"tile_size", int32(4)}},
		inputs: []*tensor.Tensor{normal(111, 2, 1, 4, 6), normal(112, 1), ids([]int{2, 2}, 1, 4, 0, 5)},
		expected: ofGraph(func(b *graph.Builder, in []*graph.Value) []*graph.Value {
			tanh := b.Add1("tanh", graph.Unary{Fn: graph.Tanh}, b.Add1("resize", graph.Resize{Height: 8, Width: 12}, in[0]))
			active := b.Add1("unpack", graph.TileUnpackFusion{}, b.Const("zeros", tensor.New(tensor.Float32, 2, 1, 8, 12)), b.Add1("pack", graph.TilePack{Tile: 4}, tanh, in[2]), in[2])
			return []*graph.Value{b.Add1("detail", graph.Binary{Fn: graph.Mul}, in[1], active)}
		}),
	}
}

func prototypeMasks(detail bool) subject {
	const n, p, low = 5, 6, 10 * 20
	s := subject{name: "masks of prototypes", plugin: "PrototypeMasks", scale: 32, values: []Value{{"image_height", int32(80)}, {"image_width", int32(160)}, {"height", int32(20)},
		{"width", int32(40)}, {"low_height", int32(10)}, {"low_width", int32(20)}, {"fill", float32(-20)}},
		inputs: []*tensor.Tensor{normal(121, 2, n, p), normal(122, 2, p, low), boxes(123, 2, n)}}
	if detail {
		s.name, s.inputs = "masks of prototypes with a detail", append(s.inputs, normal(124, 2, 1, 20, 40))
	}
	s.expected = ofGraph(func(b *graph.Builder, in []*graph.Value) []*graph.Value {
		products := b.Add1("low", graph.Reshape{Shape: []int{2, n, 10, 20}}, b.Add1("products", graph.MatMul{}, in[0], in[1]))
		x := b.Add1("resized", graph.Resize{Height: 20, Width: 40}, products)
		if detail {
			x = b.Add1("sum", graph.Binary{Fn: graph.Add}, x, in[3])
		}
		return b.Add("masks", graph.BoxMask{ImageHeight: 80, ImageWidth: 160, Fill: -20}, x, in[2])
	})
	return s
}
