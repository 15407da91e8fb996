package faults

import (
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// is returns a condition on the operator of a node.
func is[O graph.Op](more ...func(n *graph.Node, op O) bool) func(*graph.Node) bool {
	return func(n *graph.Node) bool {
		op, ok := n.Op.(O)
		return ok && !slices.ContainsFunc(more, func(cond func(*graph.Node, O) bool) bool { return !cond(n, op) })
	}
}

// set changes the parameters of a node.
func set[O graph.Op](change func(p *planting, op *O)) func(*planting, *graph.Node) {
	return func(p *planting, n *graph.Node) {
		op := n.Op.(O)
		change(p, &op)
		n.Op = any(op).(graph.Op)
	}
}

// unary and binary tell whether a node has the function.
func unary(fn graph.UnaryFn) func(*graph.Node) bool {
	return is(func(_ *graph.Node, op graph.Unary) bool { return op.Fn == fn })
}

func binary(fn graph.BinaryFn) func(*graph.Node) bool {
	return is(func(n *graph.Node, op graph.Binary) bool { return op.Fn == fn && n.Outputs[0].DType.IsFloat() })
}

// alike tells whether the first two operands have one type and neither is a constant.
func alike(n *graph.Node) bool {
	return len(n.Inputs) > 1 && n.Inputs[0] != n.Inputs[1] && n.Inputs[0].Type.String() == n.Inputs[1].Type.String()
}

func both(conds ...func(*graph.Node) bool) func(*graph.Node) bool {
	return func(n *graph.Node) bool {
		return !slices.ContainsFunc(conds, func(c func(*graph.Node) bool) bool { return !c(n) })
	}
}

// becomes puts another operator in the place of a node.
func becomes(op graph.Op) func(*planting, *graph.Node) {
	return func(_ *planting, n *graph.Node) { n.Op = op }
}

func exchanged(i, j int) func(*planting, *graph.Node) {
	return func(_ *planting, n *graph.Node) { n.Inputs[i], n.Inputs[j] = n.Inputs[j], n.Inputs[i] }
}

// instead computes the first result from the node's operands in another way; the node itself goes on for nobody.
func instead(do func(p *planting, n *graph.Node) *graph.Value) func(*planting, *graph.Node) {
	return func(p *planting, n *graph.Node) {
		p.result(0, func(*graph.Value) *graph.Value { return do(p, n) })
	}
}

var parameterFaults = []Fault{
	{Name: "padding shifted by a row", Kind: Parameter, fits: is(padded), plant: set(func(_ *planting, op *graph.Conv) { op.Pads[0]--; op.Pads[2]++ })},
	{Name: "padding shifted by a column", Kind: Parameter, fits: is(padded),
		plant: set(func(_ *planting, op *graph.Conv) { op.Pads[1]--; op.Pads[3]++ })},
	{Name: "padding on the other side", Kind: Parameter, fits: is(padded), plant: set(func(_ *planting, op *graph.Conv) { op.Pads[0]++; op.Pads[2]-- })},
	{Name: "a wrong epsilon of a group norm", Kind: Parameter, Sizes: []float64{1e-4, 1e-3, 1e-1}, fits: is[graph.GroupNormalization](),
		plant: set(func(p *planting, op *graph.GroupNormalization) { op.Epsilon = p.Size })},
	{Name: "no epsilon of a group norm", Kind: Parameter, fits: is[graph.GroupNormalization](),
		plant: set(func(p *planting, op *graph.GroupNormalization) { op.Epsilon = 0 })},
	{Name: "twice as many groups", Kind: Parameter, fits: is(func(n *graph.Node, op graph.GroupNormalization) bool { return n.Inputs[0].Shape[1]%(2*op.Groups) == 0 }),
		plant: set(func(_ *planting, op *graph.GroupNormalization) { op.Groups *= 2 })},
	{Name: "a wrong epsilon of a layer norm", Kind: Parameter, Sizes: []float64{1e-3, 1e-1}, fits: is[graph.LayerNormalization](),
		plant: set(func(p *planting, op *graph.LayerNormalization) { op.Epsilon = p.Size })},
	{Name: "a limit of a clip wrong", Kind: Parameter, fits: is[graph.Clip](),
		plant: set(func(_ *planting, op *graph.Clip) { op.Low, op.High = op.Low/2, op.High/2 })},
	{Name: "operands of a concatenation exchanged", Kind: Parameter, fits: both(is[graph.Concat](), alike), plant: exchanged(0, 1)},
	{Name: "halves of a split exchanged", Kind: Parameter, fits: is(func(n *graph.Node, _ graph.Split) bool {
		return len(n.Outputs) == 2 && n.Outputs[0].Type.String() == n.Outputs[1].Type.String()
	}),
		plant: func(p *planting, n *graph.Node) {
			p.result(0, func(*graph.Value) *graph.Value { return p.add(graph.Unary{Fn: graph.Identity}, n.Outputs[1]) })
			p.result(1, func(*graph.Value) *graph.Value { return p.add(graph.Unary{Fn: graph.Identity}, n.Outputs[0]) })
		}},
	{Name: "an index off by one", Kind: Parameter,
		fits: is(func(n *graph.Node, _ graph.Gather) bool { return n.Inputs[1].Const != nil && n.Inputs[1].Len() > 1 }),
		plant: func(p *planting, n *graph.Node) {
			ids := n.Inputs[1].Const.Clone()
			copy(tensor.Data[int64](ids)[1:], tensor.Data[int64](n.Inputs[1].Const))
			n.Inputs[1] = p.constant(ids)
		}},
	{Name: "nearest instead of bilinear", Kind: Parameter, fits: is[graph.Resize](), plant: instead(nearest)},
	{Name: "half a pixel off", Kind: Parameter, fits: is[graph.Resize](), plant: onResult(halfPixel)},
	{Name: "a scan in the other direction", Kind: Parameter, fits: is[graph.TileSSMScan](),
		plant: set(func(_ *planting, op *graph.TileSSMScan) { op.Backward = !op.Backward })},
	{Name: "a scan that clamps too early", Kind: Parameter, fits: is[graph.TileSSMScan](),
		plant: set(func(_ *planting, op *graph.TileSSMScan) { op.Clamp = 1e-3 })},
	{Name: "decay and gain of a scan exchanged", Kind: Parameter, fits: is[graph.TileSSMScan](), plant: exchanged(1, 2)},
	{Name: "blends where it should override", Kind: Parameter, fits: is[graph.TileUnpackFusion](),
		plant: set(func(_ *planting, op *graph.TileUnpackFusion) { op.Blend, op.BlendAlpha = !op.Blend, 0.5 })},
	{Name: "the gate of an unpack ignored", Kind: Parameter,
		fits:  is(func(n *graph.Node, _ graph.TileUnpackFusion) bool { return len(n.Inputs) > 3 && n.Inputs[3] != nil }),
		plant: func(_ *planting, n *graph.Node) { n.Inputs = n.Inputs[:3] }},
	{Name: "mean and maximum of a tile exchanged", Kind: Parameter, fits: is[graph.TileAggregate](), plant: index(func(_ *planting, s []int, i int) int {
		return i + [3]int{1, -1, 0}[i%3]
	})},
	{Name: "an unbiased variance of a tile", Kind: Parameter, fits: is[graph.TileAggregate](),
		plant: times(func(float64) float64 { return 16.0 / 15 }, func(_ *planting, _ []int, i int) bool { return i%3 == 2 })},
	{Name: "boxes clamped to a smaller image", Kind: Parameter, fits: is[graph.DecodeBoxes](), plant: set(func(_ *planting, op *graph.DecodeBoxes) {
		op.ImageHeight, op.ImageWidth = op.ImageHeight/2, op.ImageWidth/2
	})},
	{Name: "strides of two levels exchanged", Kind: Parameter, fits: is[graph.DecodeBoxes](), plant: set(func(_ *planting, op *graph.DecodeBoxes) {
		op.Strides = slices.Clone(op.Strides)
		op.Strides[0], op.Strides[1] = op.Strides[1], op.Strides[0]
	})},
	{Name: "boxes of another image size pooled", Kind: Parameter, fits: is[graph.RoiMeanPool](),
		plant: set(func(_ *planting, op *graph.RoiMeanPool) { op.ImageWidth *= 2 })},
	{Name: "a wrong fill outside of boxes", Kind: Parameter, fits: is[graph.BoxMask](),
		plant: set(func(_ *planting, op *graph.BoxMask) { op.Fill /= 2 })},
	{Name: "masks cropped to boxes of another image size", Kind: Parameter, fits: is[graph.BoxMask](),
		plant: set(func(_ *planting, op *graph.BoxMask) { op.ImageHeight *= 2 })},
}

func padded(_ *graph.Node, op graph.Conv) bool {
	return op.Pads[0] > 0 && op.Pads[1] > 0 && op.Pads[2] > 0
}

// nearest picks the cell whose centre is nearest, along both axes.
func nearest(p *planting, n *graph.Node) *graph.Value {
	x, y := n.Inputs[0], n.Outputs[0]
	for axis := 2; axis < 4; axis++ {
		ids := tensor.New(tensor.Int64, y.Shape[axis])
		for i := range tensor.Data[int64](ids) {
			tensor.Data[int64](ids)[i] = int64(i * x.Shape[axis] / y.Shape[axis])
		}
		x = p.add(graph.Gather{Axis: axis}, x, p.constant(ids))
	}
	return x
}

// halfPixel is the mean of each cell and the one before it.
func halfPixel(p *planting, y *graph.Value) *graph.Value {
	ids := tensor.New(tensor.Int64, y.Shape[3])
	for i := range tensor.Data[int64](ids) {
		tensor.Data[int64](ids)[i] = int64(max(i-1, 0))
	}
	sum := p.add(graph.Binary{Fn: graph.Add}, y, p.add(graph.Gather{Axis: 3}, y, p.constant(ids)))
	return p.add(graph.Binary{Fn: graph.Mul}, sum, p.constant(tensor.Scalar(float32(0.5))))
}

var functionFaults = []Fault{
	{Name: "no activation", Kind: Function, fits: unary(graph.Relu), plant: becomes(graph.Unary{Fn: graph.Identity})},
	{Name: "a sigmoid that is linear", Kind: Function, fits: unary(graph.Sigmoid), plant: instead(func(p *planting, n *graph.Node) *graph.Value {
		scaled := p.add(graph.Binary{Fn: graph.Mul}, n.Inputs[0], p.constant(tensor.Scalar(float32(0.2))))
		return p.add(graph.Clip{Low: 0, High: 1}, p.add(graph.Binary{Fn: graph.Add}, scaled, p.constant(tensor.Scalar(float32(0.5)))))
	})},
	{Name: "a sigmoid of twice the slope", Kind: Function, fits: unary(graph.Sigmoid), plant: func(p *planting, n *graph.Node) {
		n.Inputs[0] = p.before(graph.Binary{Fn: graph.Add}, n.Inputs[0], n.Inputs[0])
	}},
	{Name: "tanh instead of a sigmoid", Kind: Function, fits: unary(graph.Sigmoid), plant: becomes(graph.Unary{Fn: graph.Tanh})},
	{Name: "no tanh", Kind: Function, fits: unary(graph.Tanh), plant: becomes(graph.Unary{Fn: graph.Identity})},
	{Name: "a ReLU instead of a softplus", Kind: Function, fits: unary(graph.Softplus), plant: becomes(graph.Unary{Fn: graph.Relu})},
	{Name: "a difference instead of a sum", Kind: Function, fits: binary(graph.Add), plant: becomes(graph.Binary{Fn: graph.Sub})},
	{Name: "operands of a difference exchanged", Kind: Function, fits: both(binary(graph.Sub), alike), plant: exchanged(0, 1)},
	{Name: "a sum instead of a product", Kind: Function, fits: binary(graph.Mul), plant: becomes(graph.Binary{Fn: graph.Add})},
	{Name: "a minimum instead of a maximum", Kind: Function, fits: binary(graph.Max), plant: becomes(graph.Binary{Fn: graph.Min})},
	{Name: "a product instead of a quotient", Kind: Function, fits: binary(graph.Div), plant: becomes(graph.Binary{Fn: graph.Mul})},
	{Name: "no residual", Kind: Function, fits: both(binary(graph.Add), alike), plant: instead(func(p *planting, n *graph.Node) *graph.Value {
		return p.add(graph.Unary{Fn: graph.Identity}, n.Inputs[0])
	})},
	{Name: "the residual added twice", Kind: Function, fits: both(binary(graph.Add), alike),
		plant: onResult(func(p *planting, y *graph.Value) *graph.Value {
			return p.add(graph.Binary{Fn: graph.Add}, y, p.node.Inputs[1])
		})},
	{Name: "branches of a choice exchanged", Kind: Function, fits: is(func(n *graph.Node, _ graph.Where) bool { return n.Outputs[0].DType.IsFloat() }),
		plant: exchanged(1, 2)},
	{Name: "a sum instead of a mean", Kind: Function, fits: is(func(_ *graph.Node, op graph.Reduce) bool { return op.Fn == graph.ReduceMean }),
		plant: onResult(func(p *planting, y *graph.Value) *graph.Value {
			n := float32(p.node.Inputs[0].Len()) / float32(max(y.Len(), 1))
			return p.add(graph.Binary{Fn: graph.Mul}, y, p.constant(tensor.Scalar(n)))
		})},
	{Name: "a norm without its root", Kind: Function, fits: is(func(_ *graph.Node, op graph.Reduce) bool { return op.Fn == graph.ReduceL2 }),
		plant: onResult(func(p *planting, y *graph.Value) *graph.Value {
			return p.add(graph.Binary{Fn: graph.Mul}, y, y)
		})},
	{Name: "declared rounding left out", Kind: Function, fits: is[graph.Round](), plant: becomes(graph.Unary{Fn: graph.Identity})},
}

// weight is the place of a product's weights.
const weight = 1

// weighted tells whether a product has constant weights.
func weighted(n *graph.Node) bool {
	switch n.Op.(type) {
	case graph.Conv, graph.Gemm:
		return n.Inputs[weight].Const != nil
	}
	return false
}

func biased(n *graph.Node) bool {
	return weighted(n) && len(n.Inputs) > 2 && n.Inputs[2] != nil && n.Inputs[2].Const != nil && n.Inputs[2].Len() > 1
}

// onWeights changes the elements of constant operand i.
func onWeights(i int, change func(p *planting, shape []int, w []float32)) func(*planting, *graph.Node) {
	return func(p *planting, n *graph.Node) {
		w := n.Inputs[i].Const.Clone()
		change(p, w.Shape(), tensor.Data[float32](w))
		n.Inputs[i] = p.constant(w)
	}
}

// permuted lets weight j be what was weight at(j).
func permuted(at func(shape []int, j int) int) func(*planting, *graph.Node) {
	return onWeights(weight, func(_ *planting, shape []int, w []float32) {
		from := slices.Clone(w)
		for j := range w {
			w[j] = from[at(shape, j)]
		}
	})
}

// kernel tells whether a convolution has a kernel of more than a cell, square.
func kernel(n *graph.Node) bool {
	_, conv := n.Op.(graph.Conv)
	return conv && weighted(n) && n.Inputs[weight].Shape[2] > 1 && n.Inputs[weight].Shape[2] == n.Inputs[weight].Shape[3]
}

// squareWeights tells whether there are as many inputs as outputs.
func squareWeights(n *graph.Node) bool {
	s := n.Inputs[min(weight, len(n.Inputs)-1)].Shape
	return weighted(n) && s[0] == s[1] && s[0] > 1
}

func normalises(n *graph.Node) bool {
	switch n.Op.(type) {
	case graph.GroupNormalization, graph.LayerNormalization:
		return n.Inputs[1].Const != nil && n.Inputs[2].Const != nil
	}
	return false
}

// each changes every weight.
func each(change func(p *planting, v float64, largest float64) float64) func(*planting, *graph.Node) {
	return onWeights(weight, func(p *planting, _ []int, w []float32) {
		largest := 0.0
		for _, v := range w {
			largest = max(largest, math.Abs(float64(v)))
		}
		for i, v := range w {
			w[i] = float32(change(p, float64(v), largest))
		}
	})
}

// mantissa rounds to so many bits of significand.
func mantissa(bits int) func(*planting, *graph.Node) {
	return each(func(_ *planting, v, _ float64) float64 {
		frac, exponent := math.Frexp(v)
		return math.Ldexp(math.RoundToEven(math.Ldexp(frac, bits)), exponent-bits)
	})
}

var weightFaults = []Fault{
	{Name: "kernel upside down", Kind: Weight, fits: kernel,
		plant: permuted(func(s []int, j int) int { k := s[2] * s[3]; return j - j%k + (k - s[3] - j%k/s[3]*s[3]) + j%s[3] })},
	{Name: "kernel axes exchanged", Kind: Weight, fits: kernel,
		plant: permuted(func(s []int, j int) int { k := s[2] * s[3]; return j - j%k + j%k%s[3]*s[3] + j%k/s[3] })},
	{Name: "weights transposed", Kind: Weight, fits: squareWeights, plant: permuted(func(s []int, j int) int {
		k := len(s)
		inner := 1
		for _, d := range s[2:k] {
			inner *= d
		}
		o, i := j/(s[1]*inner), j/inner%s[1]
		return (i*s[1]+o)*inner + j%inner
	})},
	{Name: "weights of two outputs exchanged", Kind: Weight, fits: both(weighted, func(n *graph.Node) bool { return n.Inputs[weight].Shape[0] > 1 }),
		plant: permuted(func(s []int, j int) int {
			inner := 1
			for _, d := range s[1:] {
				inner *= d
			}
			if j < 2*inner {
				return (j + inner) % (2 * inner)
			}
			return j
		})},
	{Name: "weights of an output not loaded", Kind: Weight, fits: weighted,
		plant: onWeights(weight, func(_ *planting, s []int, w []float32) { clear(w[:len(w)/s[0]]) })},
	{Name: "the last term of every sum missing", Kind: Weight, fits: weighted, plant: onWeights(weight, func(_ *planting, s []int, w []float32) {
		k := len(w) / s[0]
		for i := k - 1; i < len(w); i += k {
			w[i] = 0
		}
	})},
	{Name: "weights of an output repeat those before", Kind: Weight,
		fits: both(weighted, func(n *graph.Node) bool { return n.Inputs[weight].Shape[0] > 1 }),
		plant: onWeights(weight, func(_ *planting, s []int, w []float32) {
			k := len(w) / s[0]
			copy(w[len(w)-k:], w[len(w)-2*k:len(w)-k])
		})},
	{Name: "one weight scaled", Kind: Weight, Sizes: []float64{1e-4, 1e-2, 1}, fits: weighted,
		plant: onWeights(weight, func(p *planting, _ []int, w []float32) { w[p.rng.IntN(len(w))] *= float32(1 + p.Size) })},
	{Name: "weights scaled", Kind: Weight, Sizes: []float64{1e-6, 1e-4, 1e-2}, fits: weighted,
		plant: each(func(p *planting, v, _ float64) float64 { return v * (1 + p.Size) })},
	{Name: "weights in fp16", Kind: Weight, fits: weighted, plant: mantissa(11)},
	{Name: "weights in bf16", Kind: Weight, fits: weighted, plant: mantissa(8)},
	{Name: "weights with 18 bits", Kind: Weight, fits: weighted, plant: mantissa(18)},
	{Name: "weights in int8", Kind: Weight, fits: weighted,
		plant: each(func(_ *planting, v, largest float64) float64 { return math.RoundToEven(v/largest*127) / 127 * largest })},
	{Name: "weights in int8, saturated", Kind: Weight, fits: weighted,
		plant: each(func(_ *planting, v, largest float64) float64 { return min(max(v, -largest/2), largest/2) })},
	{Name: "bias left out", Kind: Weight, fits: biased, plant: func(_ *planting, n *graph.Node) { n.Inputs = n.Inputs[:2] }},
	{Name: "bias added twice", Kind: Weight, fits: biased, plant: onWeights(2, func(_ *planting, _ []int, w []float32) {
		for i := range w {
			w[i] *= 2
		}
	})},
	{Name: "bias of the neighbour", Kind: Weight, fits: biased,
		plant: onWeights(2, func(_ *planting, _ []int, w []float32) { first := w[0]; copy(w, w[1:]); w[len(w)-1] = first })},
	{Name: "scale and shift exchanged", Kind: Weight, fits: normalises, plant: exchanged(1, 2)},
	{Name: "scale of a norm left out", Kind: Weight, fits: normalises, plant: onWeights(1, func(_ *planting, _ []int, w []float32) {
		for i := range w {
			w[i] = 1
		}
	})},
	{Name: "shift of a norm left out", Kind: Weight, fits: normalises, plant: onWeights(2, func(_ *planting, _ []int, w []float32) { clear(w) })},
	{Name: "scale of a norm of the neighbour", Kind: Weight, fits: both(normalises, func(n *graph.Node) bool { return n.Inputs[1].Len() > 1 }),
		plant: onWeights(1, func(_ *planting, _ []int, w []float32) { w[0], w[1] = w[1], w[0] })},
}
