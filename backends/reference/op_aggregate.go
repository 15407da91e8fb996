package reference

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// tileWindow returns the half-open range of map cells that covers tile i of an axis: floor and ceiling of the tile's ends in
// units of the map, at least one cell (spec/routing.md 17.1).
func tileWindow(i, tile, feature, cells int) (lo, hi int) {
	lo = min(i*tile*cells/feature, cells-1)
	hi = max(((i+1)*tile*cells+feature-1)/feature, lo+1)
	return lo, min(hi, cells)
}

func lowerTileAggregate[T tensor.Float](c *compiler, s *step) error {
	op, x := s.Node.Op.(graph.TileAggregate), s.Node.In[0]
	gridW := op.FeatureWidth / op.Tile
	tiles, maps, h, w := gridW*(op.FeatureHeight/op.Tile), x.Shape[1], x.Shape[2], x.Shape[3]
	s.bind = func() func() error {
		xs, ys := elements[T](x), elements[T](s.Node.Out[0])
		return c.parallel(x.Shape[0]*tiles, func(i int) {
			b, k := i/tiles, i%tiles
			y0, y1 := tileWindow(k/gridW, op.Tile, op.FeatureHeight, h)
			x0, x1 := tileWindow(k%gridW, op.Tile, op.FeatureWidth, w)
			for m := range maps {
				window := xs[(b*maps+m)*h*w+y0*w+x0:]
				aggregate(ys[(i*maps+m)*3:], window, y1-y0, x1-x0, w)
			}
		})
	}
	return nil
}

// aggregate writes mean, maximum and population variance of a window of rows, which start stride apart. A NaN in the window
// makes all three NaN.
func aggregate[T tensor.Float](dst, x []T, height, width, stride int) {
	sum, top := 0.0, math.Inf(-1)
	for y := range height {
		for _, v := range x[y*stride : y*stride+width] {
			sum += float64(v)
			top = max(top, float64(v))
		}
	}
	n := float64(height * width)
	mean, squares := sum/n, 0.0
	for y := range height {
		for _, v := range x[y*stride : y*stride+width] {
			d := float64(v) - mean
			squares += d * d
		}
	}
	dst[0], dst[1], dst[2] = T(mean), T(top), T(squares/n)
}
