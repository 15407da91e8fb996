package body

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
)

// greedySelect: TopK lists equal utilities by ascending index, which here is the id.
func greedySelect(b *builder, o graph.GreedySelect) *Function {
	_, ids := b.top(b.replaceNaN(b.in(0), math.Inf(-1)), o.Count, true)
	return b.finish(ids)
}

// splitSelect sorts the parents by id first, so that the order of equal indices in TopK is the order of ids.
func splitSelect(b *builder, o graph.SplitSelect, in []graph.Type) *Function {
	batch, k := in[1].Shape[0], in[1].Shape[1]
	parents, _ := b.top(b.in(1), k, false)
	utilities := b.replaceNaN(b.gatherElements(b.in(0), parents, 1), math.Inf(-1))
	_, best := b.top(utilities, o.Count, true)
	split := b.gatherElements(parents, best, 1)
	return b.finish(b.reshape(b.gather(childTable(b, o.GridHeight, o.GridWidth), split, 0), batch, 4*o.Count))
}

// childTable lists, for every tile of a grid, its four children in the grid of twice the resolution: [K, 4].
func childTable(b *builder, gridH, gridW int) value {
	var table []int64
	for y := range gridH {
		for x := range gridW {
			topLeft := int64(2*y*2*gridW + 2*x)
			below := topLeft + int64(2*gridW)
			table = append(table, topLeft, topLeft+1, below, below+1)
		}
	}
	return constant(b, table, gridH*gridW, 4)
}

// tileOrder sorts the positions of the ids in the scan; TopK keeps the input order of equal positions.
func tileOrder(b *builder, o graph.TileOrder, in []graph.Type) *Function {
	ids := b.in(0)
	if in[0].Len() == 0 {
		return b.finish(b.do("Identity", ids))
	}
	ranks := constant(b, scanRanks(o.GridHeight, o.GridWidth, o.Mode), o.GridHeight*o.GridWidth)
	_, order := b.top(b.gather(ranks, ids, 0), in[0].Shape[1], false)
	return b.finish(b.gatherElements(ids, order, 1))
}

// scanRanks gives every tile of a grid its key in a scan (spec/routing.md 2.2 to 2.4): tiles are visited by ascending key.
// Only multi_direction has equal keys.
func scanRanks(h, w int, mode string) []int64 {
	key := map[string]func(y, x int) int{
		"l2r":             func(y, x int) int { return y*w + x },
		"r2l":             func(y, x int) int { return y*w + w - 1 - x },
		"u2d":             func(y, x int) int { return x*h + y },
		"d2u":             func(y, x int) int { return x*h + h - 1 - y },
		"multi_direction": func(y, x int) int { return 2*(y*w+x*h) + w + h - 2 },
		"hilbert":         func(y, x int) int { return hilbertDistance(y, x, max(h, w)) },
	}[mode]
	ranks := make([]int64, 0, h*w)
	for y := range h {
		for x := range w {
			ranks = append(ranks, int64(key(y, x)))
		}
	}
	return ranks
}

// hilbertDistance returns the position of the cell (x, y) on the Hilbert curve that starts at (0, 0), ends at the far end
// of the row y = 0, and fills the smallest square of a power of two that holds side cells a side.
func hilbertDistance(y, x, side int) int {
	n := 1
	for n < side {
		n *= 2
	}
	d := 0
	for s := n / 2; s > 0; s /= 2 {
		quadrantX, quadrantY := x/s, y/s // 0 or 1 each
		d += s * s * ((3 * quadrantX) ^ quadrantY)
		x, y = x%s, y%s
		if quadrantY == 0 {
			if quadrantX == 1 {
				x, y = s-1-x, s-1-y
			}
			x, y = y, x
		}
	}
	return d
}
