package routing

import (
	"errors"
	"fmt"
)

// PackMeta says where packed tiles came from. Rows follow the order in which the tiles were packed.
type PackMeta struct {
	Indices      Array[int] // [B,K] tile ids
	Origins      Array[int] // [B,K,2] (y, x) of the top-left cell
	TileSize     int
	GridH, GridW int
}

// Pack gathers tiles of a feature map [B,C,H,W] into [B,K,C,t,t]. ids is [B,K]; each row is put in the order of mode on its
// own. K may be 0 and ids may repeat. H and W must be divisible by tile. Source: spec 5.1, strict form.
func Pack[T Float](feature Array[T], ids Array[int], tile int, mode OrderMode) (Array[T], PackMeta, error) {
	fail := func(err error) (Array[T], PackMeta, error) { return Array[T]{}, PackMeta{}, err }
	if err := feature.check("feature maps", 4); err != nil {
		return fail(err)
	}
	if err := ids.check("tile indices", 2); err != nil {
		return fail(err)
	}
	batch, channels, h, w := feature.Shape[0], feature.Shape[1], feature.Shape[2], feature.Shape[3]
	if ids.Shape[0] != batch {
		return fail(fmt.Errorf("tile indices of shape %v for feature maps of shape %v: the batch must match", ids.Shape, feature.Shape))
	}
	gridH, gridW, err := GridShape(h, w, tile)
	if err != nil {
		return fail(err)
	}
	k := ids.Shape[1]
	meta := PackMeta{Indices: NewArray[int](batch, k), TileSize: tile, GridH: gridH, GridW: gridW}
	for b := range batch {
		ordered, err := OrderTiles(ids.Data[b*k:(b+1)*k], gridH, gridW, mode)
		if err != nil {
			return fail(fmt.Errorf("out-of-bounds indices of sample %d: %w", b, err))
		}
		copy(meta.Indices.Data[b*k:], ordered)
	}
	meta.Origins = origins(meta.Indices, gridW, tile)
	packed := NewArray[T](batch, k, channels, tile, tile)
	eachRow(batch, k, channels, tile, h, w, meta.Origins.Data, func(at, cell int) {
		copy(packed.Data[at:at+tile], feature.Data[cell:cell+tile])
	})
	return packed, meta, nil
}

// origins returns (y, x) of the top-left cell of checked ids.
func origins(ids Array[int], gridW, tile int) Array[int] {
	out := NewArray[int](ids.Shape[0], ids.Shape[1], 2)
	for i, id := range ids.Data {
		out.Data[2*i], out.Data[2*i+1] = id/gridW*tile, id%gridW*tile
	}
	return out
}

// eachRow calls visit for every row of every tile, in packed order: at is the row's offset in the packed data, cell its
// offset in the map.
func eachRow(batch, k, channels, tile, h, w int, origins []int, visit func(at, cell int)) {
	at := 0
	for b := range batch {
		for i := range k {
			y, x := origins[2*(b*k+i)], origins[2*(b*k+i)+1]
			for c := range channels {
				for row := range tile {
					visit(at, ((b*channels+c)*h+y+row)*w+x)
					at += tile
				}
			}
		}
	}
}

// Overlap says how an incoming tile meets what is already in the map. The zero value overrides.
type Overlap struct {
	blend bool
	alpha float64
}

// Override replaces the current value.
func Override() Overlap { return Overlap{} }

// Blend mixes: (1-alpha)*current + alpha*incoming, alpha in [0,1], computed in the type of the map.
func Blend(alpha float64) (Overlap, error) {
	if !(alpha >= 0 && alpha <= 1) {
		return Overlap{}, fmt.Errorf("blend_alpha is %v: must be in [0, 1]", alpha)
	}
	return Overlap{blend: true, alpha: alpha}, nil
}

// ParseOverlap returns the overlap of a configuration's overlap_mode ("override" or "blend") and blend_alpha, which must be
// in range in either mode.
func ParseOverlap(mode string, alpha float64) (Overlap, error) {
	o, err := Blend(alpha)
	switch mode {
	case "blend":
		return o, err
	case "override":
		return Override(), err
	}
	return Overlap{}, fmt.Errorf("unknown overlap_mode %q: want one of override, blend", mode)
}

// mix returns what the cell holds afterwards. The conversions forbid fused multiply-add.
func mix[T Float](o Overlap, current, incoming T) T {
	if !o.blend {
		return incoming
	}
	a := T(o.alpha)
	return T((1-a)*current) + T(a*incoming)
}

// UnpackOptions tune [Unpack].
type UnpackOptions struct {
	// Priority of the written tiles: 0 means 1, the priority of level L0. See [Level.OverlapPriority].
	Priority int8
	// PriorityMap [B,H,W] holds the priority of the last write to each cell. It is updated in place and returned. Nil means
	// a fresh map of zeros.
	PriorityMap *Array[int8]
	Overlap     Overlap
}

// Unpack writes packed tiles [B,K,C,t,t] into a copy of base [B,C,H,W] at origins [B,K,2] (y, x), in the order of K. A cell
// is written if Priority >= its priority so far, so a later tile of equal level wins, and its priority is then raised; blends
// raise it too. It returns the merged map and the priority map; base is never changed. Source: spec 5.2, strict form.
func Unpack[T Float](base, packed Array[T], origins Array[int], opts UnpackOptions) (Array[T], *Array[int8], error) {
	if err := checkScatter(base, packed, origins); err != nil {
		return Array[T]{}, nil, err
	}
	batch, channels, h, w := base.Shape[0], base.Shape[1], base.Shape[2], base.Shape[3]
	k, tile := packed.Shape[1], packed.Shape[3]
	priorities := opts.PriorityMap
	if priorities == nil {
		fresh := NewArray[int8](batch, h, w)
		priorities = &fresh
	}
	if err := priorities.check("priority map", 3); err != nil {
		return Array[T]{}, nil, err
	}
	if s := priorities.Shape; s[0] != batch || s[1] != h || s[2] != w {
		return Array[T]{}, nil, fmt.Errorf("priority map has shape %v: want [%d %d %d]", s, batch, h, w)
	}
	priority := opts.Priority
	if priority == 0 {
		priority = L0.OverlapPriority()
	}
	merged := base.clone()
	for i := range batch * k {
		b, y, x := i/k, origins.Data[2*i], origins.Data[2*i+1]
		for row := range tile {
			for col := range tile {
				p := &priorities.Data[(b*h+y+row)*w+x+col]
				if priority < *p {
					continue
				}
				*p = priority
				for c := range channels {
					cell := &merged.Data[((b*channels+c)*h+y+row)*w+x+col]
					*cell = mix(opts.Overlap, *cell, packed.Data[((i*channels+c)*tile+row)*tile+col])
				}
			}
		}
	}
	return merged, priorities, nil
}

// checkScatter checks what unpacking needs: ranks, matching batch and channels, square tiles, origins inside the map.
func checkScatter[T Float](base, packed Array[T], origins Array[int]) error {
	if err := base.check("base maps", 4); err != nil {
		return err
	}
	if err := packed.check("packed tiles", 5); err != nil {
		return err
	}
	if origins.Shape == nil {
		return errors.New("tile origins are missing: pass the Origins of the pack meta")
	}
	h, w := base.Shape[2], base.Shape[3]
	batch, k, tile := packed.Shape[0], packed.Shape[1], packed.Shape[3]
	if batch != base.Shape[0] || packed.Shape[2] != base.Shape[1] {
		return fmt.Errorf("packed tiles of shape %v for base maps of shape %v: batch and channels must match", packed.Shape, base.Shape)
	}
	if packed.Shape[4] != tile || tile == 0 {
		return fmt.Errorf("packed tiles of shape %v: must be square and not empty", packed.Shape)
	}
	if err := origins.check("tile origins", 3); err != nil {
		return err
	}
	if s := origins.Shape; s[0] != batch || s[1] != k || s[2] != 2 {
		return fmt.Errorf("tile origins have shape %v: want [%d %d 2]", s, batch, k)
	}
	for i := range batch * k {
		y, x := origins.Data[2*i], origins.Data[2*i+1]
		if y < 0 || x < 0 || y > h-tile || x > w-tile {
			return fmt.Errorf("tile %d of sample %d at y=%d x=%d is out of bounds: a %dx%d tile must lie in the %dx%d map", i%k, i/k, y, x, tile, tile, h, w)
		}
	}
	return nil
}
