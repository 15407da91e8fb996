package reference

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// A tiling locates the tiles of a map [H, W].
type tiling struct{ w, tile, gridW, count int }

func newTiling(h, w, tile int) tiling {
	return tiling{w: w, tile: tile, gridW: w / tile, count: (h / tile) * (w / tile)}
}

// origin returns the offset in the map of the first cell of a tile.
func (t tiling) origin(id int64) int {
	return int(id)/t.gridW*t.tile*t.w + int(id)%t.gridW*t.tile
}

func lowerTilePack[T tensor.Float](c *compiler, s *step) error {
	x, index, y := s.Node.In[0], s.Node.In[1], s.Node.Out[0]
	t := newTiling(x.Shape[2], x.Shape[3], s.Node.Op.(graph.TilePack).Tile)
	channels, plane, k := x.Shape[1], x.Shape[2]*x.Shape[3], index.Shape[1]
	area := t.tile * t.tile
	s.bind = func() func() error {
		xs, ids, ys := elements[T](x), elements[int64](index), elements[T](y)
		pack := c.ranges(len(ys)/area, area, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				ch, at := i%channels, i/channels
				src := xs[((at/k)*channels+ch)*plane+t.origin(ids[at]):]
				dst := ys[i*area : (i+1)*area]
				for r := range t.tile {
					copy(dst[r*t.tile:(r+1)*t.tile], src[r*t.w:])
				}
			}
		})
		return func() error {
			if err := checkIDs(ids, t.count); err != nil {
				return err
			}
			return pack()
		}
	}
	return nil
}

// lowerTileUnpackFusion works plane by plane: the copy of a plane stays in the cache until it is blended.
func lowerTileUnpackFusion[T tensor.Float](c *compiler, s *step) error {
	op, base, packed, index, alpha := s.Node.Op.(graph.TileUnpackFusion), s.Node.In[0], s.Node.In[1], s.Node.In[2], s.Node.Input(3)
	t := newTiling(base.Shape[2], base.Shape[3], packed.Shape[4])
	u := &unpacking[T]{tiling: t, blend: op.Blend, weight: T(op.BlendAlpha), channels: base.Shape[1], k: index.Shape[1], plane: base.Shape[2] * base.Shape[3]}
	s.bind = func() func() error {
		u.base, u.packed, u.alpha = elements[T](base), elements[T](packed), optional[T](alpha)
		u.ids, u.out = elements[int64](index), elements[T](s.Node.Out[0])
		unpack := c.parallel(base.Shape[0]*u.channels, u.do)
		return func() error {
			if err := checkIDs(u.ids, t.count); err != nil {
				return err
			}
			return unpack()
		}
	}
	return nil
}

type unpacking[T tensor.Float] struct {
	tiling
	blend                    bool
	weight                   T
	channels, k, plane       int
	base, packed, alpha, out []T
	ids                      []int64
}

// do computes one plane.
func (u *unpacking[T]) do(i int) {
	b, ch := i/u.channels, i%u.channels
	base, out := u.base[i*u.plane:(i+1)*u.plane], u.out[i*u.plane:(i+1)*u.plane]
	copy(out, base)
	area := u.tile * u.tile
	for j, id := range u.ids[b*u.k : (b+1)*u.k] {
		tile := u.packed[((b*u.k+j)*u.channels+ch)*area:][:area]
		u.write(out[u.origin(id):], tile)
	}
	if u.alpha == nil {
		return
	}
	alpha := u.alpha[b*u.plane : (b+1)*u.plane]
	for p, v := range base {
		out[p] = v + alpha[p]*(out[p]-v)
	}
}

func (u *unpacking[T]) write(dst, tile []T) {
	for r := range u.tile {
		row, src := dst[r*u.w:][:u.tile], tile[r*u.tile:(r+1)*u.tile]
		if !u.blend {
			copy(row, src)
			continue
		}
		for p, v := range src {
			row[p] = (1-u.weight)*row[p] + u.weight*v
		}
	}
}
