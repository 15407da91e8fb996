package faults

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// negated negates the scores that a choice ranks by.
func negated(p *planting, n *graph.Node) {
	n.Inputs[0] = p.before(graph.Binary{Fn: graph.Mul}, n.Inputs[0], p.constant(tensor.Scalar(float32(-1))))
}

// several tells whether a choice has at least two ids in a row.
func several(n *graph.Node) bool {
	s := n.Outputs[0].Shape
	return n.Outputs[0].DType == tensor.Int64 && len(s) == 2 && s[1] > 1
}

// ids rearranges the columns of chosen ids.
func ids(at func(k, i int) int) func(*planting, *graph.Node) {
	return onResult(func(p *planting, y *graph.Value) *graph.Value {
		k := y.Shape[1]
		list := tensor.New(tensor.Int64, k)
		for i := range k {
			tensor.Data[int64](list)[i] = int64(at(k, i))
		}
		return p.add(graph.Gather{Axis: 1}, y, p.constant(list))
	})
}

func swapFirst(_, i int) int {
	if i < 2 {
		return 1 - i
	}
	return i
}

var choiceFaults = []Fault{
	{Name: "the worst tiles instead of the best", Kind: Choice, fits: is[graph.GreedySelect](), plant: negated},
	{Name: "the worst tiles split", Kind: Choice, fits: is[graph.SplitSelect](), plant: negated},
	{Name: "tiles chosen by shifted utilities", Kind: Choice, fits: is[graph.GreedySelect](), plant: func(p *planting, n *graph.Node) {
		k := n.Inputs[0].Shape[1]
		list := tensor.New(tensor.Int64, k)
		for i := range k {
			tensor.Data[int64](list)[i] = int64((i + 1) % k)
		}
		n.Inputs[0] = p.before(graph.Gather{Axis: 1}, n.Inputs[0], p.constant(list))
	}},
	{Name: "two tiles in the other order", Kind: Choice, fits: both(is[graph.GreedySelect](), several), plant: ids(swapFirst)},
	{Name: "a tile chosen twice", Kind: Choice, fits: both(is[graph.GreedySelect](), several), plant: ids(func(k, i int) int { return min(i, k-2) })},
	{Name: "two children exchanged", Kind: Choice, fits: both(is[graph.SplitSelect](), several), plant: ids(swapFirst)},
	{Name: "children in reverse", Kind: Choice, fits: both(is[graph.SplitSelect](), several), plant: ids(func(k, i int) int { return k - 1 - i })},
	{Name: "tiles in the order of rows", Kind: Choice, fits: both(is[graph.TileOrder](), several),
		plant: set(func(_ *planting, op *graph.TileOrder) { op.Mode = "l2r" })},
	{Name: "tiles in reverse order", Kind: Choice, fits: both(is[graph.TileOrder](), several), plant: ids(func(k, i int) int { return k - 1 - i })},
	{Name: "suppression at another overlap", Kind: Choice, Sizes: []float64{0.65, 0.9}, fits: is[graph.SelectDetections](),
		plant: set(func(p *planting, op *graph.SelectDetections) { op.IoUThreshold = float32(p.Size) })},
	{Name: "no suppression", Kind: Choice, fits: is[graph.SelectDetections](),
		plant: set(func(_ *planting, op *graph.SelectDetections) { op.IoUThreshold = 1 })},
	{Name: "another score threshold", Kind: Choice, Sizes: []float64{0.06, 0.3}, fits: is[graph.SelectDetections](),
		plant: set(func(p *planting, op *graph.SelectDetections) { op.ScoreThreshold = float32(p.Size) })},
	{Name: "too few candidates of a level", Kind: Choice, fits: is[graph.SelectDetections](),
		plant: set(func(_ *planting, op *graph.SelectDetections) { op.PreNMSTopK = 2 })},
	{Name: "the last detection dropped", Kind: Choice, fits: is[graph.SelectDetections](), plant: func(p *planting, n *graph.Node) {
		p.result(1, func(count *graph.Value) *graph.Value {
			less := p.add(graph.Binary{Fn: graph.Sub}, count, p.constant(tensor.Scalar(int64(1))))
			return p.add(graph.Binary{Fn: graph.Max}, less, p.constant(tensor.Scalar(int64(0))))
		})
	}},
	{Name: "two detections exchanged", Kind: Choice, fits: both(is[graph.SelectDetections](), several), plant: ids(swapFirst)},
	{Name: "a detection listed twice", Kind: Choice, fits: both(is[graph.SelectDetections](), several),
		plant: ids(func(_, i int) int { return max(i-1, 0) })},
	{Name: "detections chosen by the scores of another class", Kind: Choice, fits: is[graph.SelectDetections](),
		plant: func(p *planting, n *graph.Node) {
			x := n.Inputs[0]
			list := tensor.New(tensor.Int64, x.Shape[1])
			for i := range x.Shape[1] {
				tensor.Data[int64](list)[i] = int64((i + 1) % x.Shape[1])
			}
			n.Inputs[0] = p.before(graph.Gather{Axis: 1}, x, p.constant(list))
		}},
	{Name: "masks of two detections exchanged", Kind: Choice, fits: is(func(n *graph.Node, _ graph.BoxMask) bool { return n.Outputs[0].Shape[1] > 1 }),
		plant: ids(swapFirst)},
	{Name: "tiles packed in another order", Kind: Choice, fits: is(func(n *graph.Node, _ graph.TilePack) bool { return n.Outputs[0].Shape[1] > 1 }),
		plant: ids(swapFirst)},
}
