package body

import "github.com/apex-x/apexx/backends/graph"

// tileAggregate lays the windows of all tiles out as rows of p cells, [B,K,M,p], and reduces the rows. Where windows differ
// in size, smaller ones repeat their last cell up to the largest; the repeats have weight 0 in the sums.
func tileAggregate(b *builder, o graph.TileAggregate, in []graph.Type) *Function {
	batch, maps := in[0].Shape[0], in[0].Shape[1]
	y := windows(o.FeatureHeight, o.Tile, in[0].Shape[2])
	x := windows(o.FeatureWidth, o.Tile, in[0].Shape[3])
	tiles, cells := len(y.first)*len(x.first), y.most*x.most

	m := y.gather(b, b.in(0), 2)
	m = x.gather(b, m, 3)
	m = b.reshape(m, batch, maps, len(y.first), y.most, len(x.first), x.most)
	m = b.reshape(b.transpose(m, 0, 2, 4, 1, 3, 5), batch, tiles, maps, cells)

	mean := func(v value) value { return b.reduce("ReduceMean", v, 3) }
	if y.uneven() || x.uneven() {
		weight, count := weights(y, x)
		w, n := constant(b, weight, tiles, 1, cells), constant(b, count, tiles, 1, 1)
		mean = func(v value) value { return b.do("Div", b.reduce("ReduceSum", b.do("Mul", v, w), 3), n) }
	}
	average := mean(m)
	centred := b.do("Sub", m, average)
	variance := mean(b.do("Mul", centred, centred))
	statistics := b.concat(3, average, b.reduce("ReduceMax", m, 3), variance) // [B,K,M,3]
	return b.finish(b.reshape(statistics, batch, tiles, 3*maps))
}

// spans are the windows of the tiles along one axis of a map of the given size: first[i] and count[i] ≥ 1 cells, at most
// most.
type spans struct {
	first, count []int
	size, most   int
}

// windows computes the spans of the tiles of a feature axis on a map axis (spec/routing.md 17.1).
func windows(features, tile, size int) spans {
	s := spans{size: size}
	for a := 0; a < features; a += tile {
		low := min(a*size/features, size-1)
		high := max(low+1, min((a+tile)*size+features-1, size*features)/features)
		s.first, s.count = append(s.first, low), append(s.count, high-low)
		s.most = max(s.most, high-low)
	}
	return s
}

func (s spans) uneven() bool {
	for _, n := range s.count {
		if n != s.most {
			return true
		}
	}
	return false
}

// gather replaces an axis of x by its windows, one after the other, each of s.most cells.
func (s spans) gather(b *builder, x value, axis int) value {
	var cells []int64
	identity := len(s.first)*s.most == s.size
	for i, first := range s.first {
		for j := range s.most {
			cell := first + min(j, s.count[i]-1)
			identity = identity && cell == len(cells)
			cells = append(cells, int64(cell))
		}
	}
	if identity {
		return x
	}
	return b.gather(x, constant(b, cells, len(cells)), axis)
}

// weights marks the cells of every window, [K,p] with 1 for a cell and 0 for a repeat, and counts them, [K].
func weights(y, x spans) (weight, count []float32) {
	for _, rows := range y.count {
		for _, columns := range x.count {
			for j := range y.most {
				for i := range x.most {
					var w float32
					if j < rows && i < columns {
						w = 1
					}
					weight = append(weight, w)
				}
			}
			count = append(count, float32(rows*columns))
		}
	}
	return weight, count
}
