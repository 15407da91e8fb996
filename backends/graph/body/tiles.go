package body

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// A map [B,C,H,W] cut into tiles of side t is, without moving anything, a matrix [B·C·H·(W/t), t] of tile rows: the
// pieces of a map's row that belong to one tile. Packing gathers tile rows and unpacking scatters them.

// tileRows is the map x as a matrix of tile rows.
func tileRows(b *builder, x value, shape []int, t int) value {
	return b.reshape(x, product(shape...)/t, t)
}

// tileRowIndices lists the tile rows of the tiles ids [B,k] in a map of the given shape: [B,k,C,t].
func tileRowIndices(b *builder, ids value, shape []int, k, t int) value {
	batch, channels, height, gridW := shape[0], shape[1], shape[2], shape[3]/t
	var first, row, sample []int64
	for tile := range height / t * gridW {
		first = append(first, int64(tile/gridW*t*gridW+tile%gridW))
	}
	for c := range channels {
		for y := range t {
			row = append(row, int64((c*height+y)*gridW))
		}
	}
	for s := range batch {
		sample = append(sample, int64(s*channels*height*gridW))
	}
	start := b.gather(constant(b, first, len(first)), ids, 0)
	if batch > 1 {
		start = b.do("Add", start, constant(b, sample, batch, 1))
	}
	return b.do("Add", b.reshape(start, batch, k, 1, 1), constant(b, row, channels, t))
}

func tilePack(b *builder, o graph.TilePack, in []graph.Type) *Function {
	shape, k := in[0].Shape, in[1].Shape[1]
	rows := tileRowIndices(b, b.in(1), shape, k, o.Tile)
	return b.finish(b.gather(tileRows(b, b.in(0), shape, o.Tile), rows, 0))
}

// tileUnpackFusion relies on the ids of a sample being distinct: then tiles do not overlap, their order does not matter, and
// one scatter writes them all.
func tileUnpackFusion(b *builder, o graph.TileUnpackFusion, in []graph.Type) *Function {
	base, tiles, shape := b.in(0), b.in(1), in[0].Shape
	k, t := in[1].Shape[1], in[1].Shape[4]
	baseRows := tileRows(b, base, shape, t)
	rows := tileRowIndices(b, b.in(2), shape, k, t)
	if o.Blend {
		alpha := float32(o.BlendAlpha)
		current := b.do("Mul", b.float(float64(1-alpha)), b.gather(baseRows, rows, 0))
		tiles = b.do("Add", current, b.do("Mul", b.float(float64(alpha)), tiles))
	}
	index := b.reshape(rows, shape[0], k, shape[1], t, 1)
	unpacked := b.reshape(b.do("ScatterND", baseRows, index, tiles), shape...)
	if len(in) < 4 || in[3].DType == tensor.Invalid {
		return b.finish(unpacked)
	}
	detail := b.do("Sub", unpacked, base)
	return b.finish(b.do("Add", base, b.do("Mul", b.in(3), detail)))
}
