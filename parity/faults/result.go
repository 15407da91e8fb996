package faults

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Faults of results: what was computed is right, and what is stored is not.

// float tells whether a node has a floating-point result of at least a few elements.
func float(n *graph.Node) bool { return n.Outputs[0].DType.IsFloat() && n.Outputs[0].Len() >= 8 }

// plane tells whether the result has maps of at least 2×2.
func plane(n *graph.Node) bool {
	s := n.Outputs[0].Shape
	return float(n) && len(s) >= 2 && s[len(s)-1] > 1 && s[len(s)-2] > 1
}

// square tells whether the last two axes are equally long.
func square(n *graph.Node) bool {
	s := n.Outputs[0].Shape
	return plane(n) && s[len(s)-1] == s[len(s)-2]
}

func channels(n *graph.Node) bool {
	s := n.Outputs[0].Shape
	return float(n) && len(s) >= 3 && s[1] > 1
}

func batched(n *graph.Node) bool { return float(n) && n.Outputs[0].Shape[0] > 1 }

// onResult plants what do makes of the first result.
func onResult(do func(p *planting, y *graph.Value) *graph.Value) func(*planting, *graph.Node) {
	return func(p *planting, _ *graph.Node) {
		p.result(0, func(y *graph.Value) *graph.Value { return do(p, y) })
	}
}

// index moves elements: element i becomes the element at(i) of what was computed.
func index(at func(p *planting, shape []int, i int) int) func(*planting, *graph.Node) {
	return onResult(func(p *planting, y *graph.Value) *graph.Value {
		n := y.Len()
		ids := tensor.New(tensor.Int64, n)
		for i := range n {
			tensor.Data[int64](ids)[i] = int64(at(p, y.Shape, i))
		}
		flat := p.add(graph.Reshape{Shape: []int{n}}, y)
		return p.add(graph.Reshape{Shape: y.Shape}, p.add(graph.Gather{Axis: 0}, flat, p.constant(ids)))
	})
}

// replaced stores v instead of the elements that where chooses.
func replaced(v float64, where func(p *planting, shape []int, i int) bool) func(*planting, *graph.Node) {
	return onResult(func(p *planting, y *graph.Value) *graph.Value {
		mask := tensor.New(tensor.Bool, y.Shape...)
		for i := range tensor.Data[bool](mask) {
			tensor.Data[bool](mask)[i] = where(p, y.Shape, i)
		}
		return p.add(graph.Where{}, p.constant(mask), p.constant(tensor.Scalar(float32(v))), y)
	})
}

// element draws one element, the same for all calls of a planting.
func element(p *planting, shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return int((p.Seed*2654435761 + 12345) % uint64(n))
}

// one chooses that element.
func one(p *planting, shape []int, i int) bool { return i == element(p, shape) }

// times multiplies by a factor of the size, everywhere or at the elements that where chooses.
func times(factor func(size float64) float64, where func(p *planting, shape []int, i int) bool) func(*planting, *graph.Node) {
	return onResult(func(p *planting, y *graph.Value) *graph.Value {
		if where == nil {
			return p.add(graph.Binary{Fn: graph.Mul}, y, p.constant(tensor.Scalar(float32(factor(p.Size)))))
		}
		by := tensor.New(tensor.Float32, y.Shape...)
		for i := range tensor.Data[float32](by) {
			tensor.Data[float32](by)[i] = 1
			if where(p, y.Shape, i) {
				tensor.Data[float32](by)[i] = float32(factor(p.Size))
			}
		}
		return p.add(graph.Binary{Fn: graph.Mul}, y, p.constant(by))
	})
}

func above(size float64) float64 { return 1 + size }

// rounded stores the result in a format.
func rounded(f graph.Format) func(*planting, *graph.Node) {
	return onResult(func(p *planting, y *graph.Value) *graph.Value { return p.add(graph.Round{To: f}, y) })
}

// quantised stores multiples of 2^-5, as a fixed-point result of a coarse scale does.
func quantised(p *planting, y *graph.Value) *graph.Value {
	scale := func(v float64) *graph.Value { return p.constant(tensor.Scalar(float32(v))) }
	x := p.add(graph.Binary{Fn: graph.Mul}, y, scale(32))
	x = p.add(graph.Unary{Fn: graph.Floor}, p.add(graph.Binary{Fn: graph.Add}, x, scale(0.5)))
	return p.add(graph.Binary{Fn: graph.Mul}, x, scale(1.0/32))
}

// row, column and last describe places of element i.
func column(shape []int, i int) int { return i % shape[len(shape)-1] }
func row(shape []int, i int) int    { return i / shape[len(shape)-1] % shape[len(shape)-2] }
func length(shape []int) int        { return shape[len(shape)-1] }
func channelSize(shape []int) int {
	n := 1
	for _, d := range shape[2:] {
		n *= d
	}
	return n
}
func channel(shape []int, i int) int { return i / channelSize(shape) % shape[1] }

var resultFaults = []Fault{
	{Name: "a bias of units in the last place", Sizes: []float64{0x1p-23, 0x1p-21, 0x1p-17}, fits: float, plant: times(above, nil)},
	{Name: "scaled", Sizes: []float64{1e-4, 1e-3, 1e-2}, fits: float, plant: times(above, nil)},
	{Name: "one element scaled", Sizes: []float64{1e-6, 1e-4, 1e-2}, fits: float, plant: times(above, one)},
	{Name: "one channel scaled", Sizes: []float64{1e-5, 1e-3, 1e-1}, fits: channels,
		plant: times(above, func(p *planting, s []int, i int) bool { return channel(s, i) == s[1]/2 })},
	{Name: "negated", fits: float, plant: times(func(float64) float64 { return -1 }, nil)},
	{Name: "one sign wrong", fits: float, plant: times(func(float64) float64 { return -1 }, one)},
	{Name: "one exponent bit flipped", fits: float, plant: times(func(float64) float64 { return 0.5 }, one)},
	{Name: "an offset", Sizes: []float64{1e-6, 1e-4, 1e-2}, fits: float, plant: onResult(func(p *planting, y *graph.Value) *graph.Value {
		return p.add(graph.Binary{Fn: graph.Add}, y, p.constant(tensor.Scalar(float32(p.Size))))
	})},
	{Name: "one element NaN", fits: float, plant: replaced(math.NaN(), one)},
	{Name: "one element +Inf", fits: float, plant: replaced(math.Inf(1), one)},
	{Name: "one element zero", fits: float, plant: replaced(0, one)},
	{Name: "one element not written (1e30)", fits: float, plant: replaced(1e30, one)},
	{Name: "all NaN", fits: float, plant: replaced(math.NaN(), func(*planting, []int, int) bool { return true })},
	{Name: "all zero", fits: float, plant: replaced(0, func(*planting, []int, int) bool { return true })},
	{Name: "the last column not written", fits: plane,
		plant: replaced(0, func(_ *planting, s []int, i int) bool { return column(s, i) == length(s)-1 })},
	{Name: "the last row not written", fits: plane, plant: replaced(0, func(_ *planting, s []int, i int) bool { return row(s, i) == s[len(s)-2]-1 })},
	{Name: "the last channel not written", fits: channels,
		plant: replaced(0, func(_ *planting, s []int, i int) bool { return channel(s, i) == s[1]-1 })},
	{Name: "a quarter of the elements not written", fits: float, plant: replaced(0, func(_ *planting, s []int, i int) bool { return i%4 == 3 })},
	{Name: "off by one element", fits: float, plant: index(func(_ *planting, s []int, i int) int { return max(i-1, 0) })},
	{Name: "shifted by one column", fits: plane, plant: index(func(_ *planting, s []int, i int) int { return i - min(column(s, i), 1) })},
	{Name: "shifted by one row", fits: plane, plant: index(func(_ *planting, s []int, i int) int { return i - min(row(s, i), 1)*length(s) })},
	{Name: "the last column repeats the one before", fits: plane, plant: index(func(_ *planting, s []int, i int) int {
		if column(s, i) == length(s)-1 {
			return i - 1
		}
		return i
	})},
	{Name: "two neighbours exchanged", fits: float, plant: index(func(p *planting, s []int, i int) int {
		switch at := element(p, s); i {
		case at:
			return max(at-1, 0)
		case at - 1:
			return at
		}
		return i
	})},
	{Name: "rows mirrored", fits: plane, plant: index(func(_ *planting, s []int, i int) int { return i - column(s, i) + length(s) - 1 - column(s, i) })},
	{Name: "axes exchanged", fits: square, plant: index(func(_ *planting, s []int, i int) int {
		return i - row(s, i)*length(s) - column(s, i) + column(s, i)*length(s) + row(s, i)
	})},
	{Name: "channels rotated by one", fits: channels, plant: index(func(_ *planting, s []int, i int) int {
		c, n := channel(s, i), channelSize(s)
		return i + ((c+1)%s[1]-c)*n
	})},
	{Name: "images of the batch exchanged", fits: batched, plant: index(func(_ *planting, s []int, i int) int {
		n := 1
		for _, d := range s {
			n *= d
		}
		return (i + n/s[0]) % n
	})},
	{Name: "a stale block of 16 elements", fits: func(n *graph.Node) bool { return float(n) && n.Outputs[0].Len() >= 64 },
		plant: index(func(_ *planting, s []int, i int) int {
			if i >= 32 && i < 48 {
				return i - 16
			}
			return i
		})},
	{Name: "stored in tf32", fits: float, plant: rounded(graph.TF32)},
	{Name: "stored in fp16", fits: float, plant: rounded(graph.FP16)},
	{Name: "stored in bf16", fits: float, plant: rounded(graph.BF16)},
	{Name: "stored in fixed point", fits: float, plant: onResult(quantised)},
	{Name: "saturated", Sizes: []float64{1, 4}, fits: float, plant: onResult(func(p *planting, y *graph.Value) *graph.Value {
		return p.add(graph.Clip{Low: -p.Size, High: p.Size}, y)
	})},
	{Name: "negative values lost", fits: float,
		plant: onResult(func(p *planting, y *graph.Value) *graph.Value { return p.add(graph.Unary{Fn: graph.Relu}, y) })},
	{Name: "doubled (added to itself)", fits: float,
		plant: onResult(func(p *planting, y *graph.Value) *graph.Value { return p.add(graph.Binary{Fn: graph.Add}, y, y) })},
}
