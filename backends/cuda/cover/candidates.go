package cover

import (
	"fmt"
	"math"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/backends/tensor"
)

// candidates are the cases of the compliance suite, others of types and sizes that it does not have, and a complete model without and with a tap of a
// convolution, each in every precision. What launches a kernel alone comes before what launches many: a larger model would take racecheck minutes.
func candidates() ([]Subject, error) {
	var list []Subject
	add := func(name string, precisions []backends.Precision, taps []string, g *graph.Graph, inputs tensor.List) {
		for _, p := range precisions {
			list = append(list, Subject{Name: fmt.Sprintf("%s in %s", name, p), Options: backends.Options{Precision: p, Taps: taps}, Graph: g, Inputs: inputs})
		}
	}
	for _, c := range append(backendtest.Cases(), beside()...) {
		precisions := cuda.Precisions
		if r, ok := c.Op.(graph.Round); ok && r.To.Scaled() {
			continue // which the backend refuses
		} else if ok { // nothing is lowered twice
			precisions = []backends.Precision{backends.FP32}
		}
		g, inputs, err := c.Graph()
		if err != nil {
			return nil, err
		}
		add(c.Name, precisions, nil, g, inputs)
	}
	g, inputs, err := normalised()
	if err != nil {
		return nil, err
	}
	add("a normalised map of many tiles", cuda.Precisions, nil, g, inputs)
	if g, inputs, err = nano(); err != nil {
		return nil, err
	}
	for _, taps := range [][]string{nil, {"pv.backbone.stem.0"}} {
		add(fmt.Sprintf("nano with taps %v", taps), cuda.Precisions, taps, g, inputs)
	}
	return list, nil
}

// nano is a small complete model with hashed weights.
func nano() (*graph.Graph, tensor.List, error) {
	cfg, err := config.Parse(nil, []string{"model.profile=nano", "model.num_classes=8"})
	if err != nil {
		return nil, nil, err
	}
	g, err := model.Build(cfg, model.FromSet(weights.Hashed(cfg, 5)), model.Options{Batch: 1, Height: 128, Width: 128, Decode: model.DefaultDecode()})
	if err != nil {
		return nil, nil, err
	}
	return g, tensor.List{{Name: "image", Tensor: waves(1, 3, 128, 128)}}, nil
}

// normalised has a convolution at stride 2 between others, with a normalisation and SiLU between any two: of more tiles than a chip has multiprocessors,
// each of which is then the work of one group of threads.
func normalised() (*graph.Graph, tensor.List, error) {
	const channels, side = 64, 192
	b := graph.NewBuilder("normalised")
	conv := func(name string, x *graph.Value, stride int) *graph.Value {
		op := graph.Conv{Strides: [2]int{stride, stride}, Pads: [4]int{1, 1, 1, 1}, Group: 1}
		return b.Add1(name, op, x, b.Const(name+".weight", waves(channels, channels, 3, 3)))
	}
	norm := func(name string, x *graph.Value) *graph.Value {
		y := b.Add1(name, graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}, x, b.Const(name+".scale", waves(channels)), b.Const(name+".shift", waves(channels)))
		return b.Add1(name+".silu", graph.Binary{Fn: graph.Mul}, y, b.Add1(name+".sigmoid", graph.Unary{Fn: graph.Sigmoid}, y))
	}
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, channels, side, side}})
	first := norm("norm1", conv("conv1", x, 1))
	second := norm("norm2", conv("conv2", first, 2))
	b.Output("y", conv("conv3", second, 2))
	g, err := b.Build()
	return g, tensor.List{{Name: "x", Tensor: waves(1, channels, side, side)}}, err
}

// waves is a tensor with values from 0 to 1.
func waves(shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i, d := 0, tensor.Data[float32](t); i < len(d); i++ {
		d[i] = float32(0.5 + 0.5*math.Sin(0.37*float64(i%9973)+float64(i/9973)))
	}
	return t
}

// beside are operators on types that are rare, and convolutions large enough for a kernel's wide tiles.
func beside() []backendtest.Case {
	bools := tensor.Must(tensor.Of([]bool{true, false, true, true, false, true}, 2, 3))
	longs := tensor.Must(tensor.Of([]int64{3, 1, 4, 1, 5, 9}, 2, 3))
	shorts := tensor.Must(tensor.Of([]int32{2, 7, 1, 8, 2, 8}, 2, 3))
	rows := tensor.Must(tensor.Of([]int64{1, 0, 1}, 3))
	fed := func(list ...*tensor.Tensor) (in []backendtest.Operand) {
		for _, t := range list {
			in = append(in, backendtest.Operand{Tensor: t})
		}
		return in
	}
	list := []backendtest.Case{
		{Name: "where of bool", Op: graph.Where{}, In: fed(bools, bools, bools)},
		{Name: "where of int64", Op: graph.Where{}, In: fed(bools, longs, longs)},
		{Name: "concat of bool", Op: graph.Concat{Axis: 0}, In: fed(bools, bools)},
		{Name: "gather of bool", Op: graph.Gather{Axis: 0}, In: fed(bools, rows)},
		{Name: "gather of int64", Op: graph.Gather{Axis: 0}, In: fed(longs, rows)},
		{Name: "add of int32", Op: graph.Binary{Fn: graph.Add}, In: fed(shorts, shorts)},
	}
	// Inputs of five channels are left to the kernels for any number.
	for _, c := range []struct{ in, side, out, kernel, stride int }{
		{5, 7, 40, 1, 1}, {5, 96, 40, 1, 1}, {5, 96, 40, 3, 1}, {3, 192, 64, 3, 2}, {64, 96, 64, 1, 1}, {64, 96, 64, 3, 1}, {96, 192, 96, 3, 2},
	} {
		pad := c.kernel / 2
		in := fed(waves(1, c.in, c.side, c.side), waves(c.out, c.in, c.kernel, c.kernel))
		in[1].Const = true
		list = append(list, backendtest.Case{Name: fmt.Sprintf("convolution %+v", c), In: in,
			Op: graph.Conv{Strides: [2]int{c.stride, c.stride}, Pads: [4]int{pad, pad, pad, pad}, Group: 1}})
	}
	return list
}
