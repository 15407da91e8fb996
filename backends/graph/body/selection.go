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
	ranks := constant(b, o.Ranks(), o.GridHeight*o.GridWidth)
	_, order := b.top(b.gather(ranks, ids, 0), in[0].Shape[1], false)
	return b.finish(b.gatherElements(ids, order, 1))
}
