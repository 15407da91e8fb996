package routing

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// ScatterOptions tune [Scatter].
type ScatterOptions struct {
	// Levels [B,K] is the level of each tile; tiles of higher levels are applied later. Nil applies tiles as packed.
	Levels *Array[int]
	// Unsorted says that tiles are not packed in order of priority; Levels is then required.
	Unsorted bool
	Overlap  Overlap
}

// Scatter writes packed tiles [B,K,C,t,t] into a copy of base [B,C,H,W] at origins [B,K,2] in one pass without a priority
// map, the contract of the unpack kernels. Tiles of a sample are applied in ascending key order, stably, and a later one wins
// or blends. The key is k without levels, else ((level - smallest level of the array) << bits) + k with
// bits = max(1, bitlen(K-1)), which must fit an int32. H and W must be divisible by t. Source: spec 5.3.
func Scatter[T Float](base, packed Array[T], origins Array[int], opts ScatterOptions) (Array[T], error) {
	if err := checkScatter(base, packed, origins); err != nil {
		return Array[T]{}, err
	}
	batch, channels, h, w := base.Shape[0], base.Shape[1], base.Shape[2], base.Shape[3]
	k, tile := packed.Shape[1], packed.Shape[3]
	if _, _, err := GridShape(h, w, tile); err != nil {
		return Array[T]{}, err
	}
	keys, err := scatterKeys(batch, k, opts)
	if err != nil {
		return Array[T]{}, err
	}
	merged := base.clone()
	order := make([]int, k)
	for b := range batch {
		for i := range order {
			order[i] = b*k + i
		}
		slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(keys[i], keys[j]) })
		for _, i := range order {
			y, x := origins.Data[2*i], origins.Data[2*i+1]
			for c := range channels {
				for row := range tile {
					cells := merged.Data[((b*channels+c)*h+y+row)*w+x:][:tile]
					incoming := packed.Data[((i*channels+c)*tile+row)*tile:][:tile]
					for col := range cells {
						cells[col] = mix(opts.Overlap, cells[col], incoming[col])
					}
				}
			}
		}
	}
	return merged, nil
}

// scatterKeys returns the [B,K] application keys.
func scatterKeys(batch, k int, opts ScatterOptions) ([]int, error) {
	keys := make([]int, batch*k)
	if opts.Levels == nil {
		if opts.Unsorted {
			return nil, fmt.Errorf("unsorted tiles without levels: pass Levels, or pack the tiles in order of priority")
		}
		for i := range keys {
			keys[i] = i % k
		}
		return keys, nil
	}
	if err := opts.Levels.check("tile levels", 2); err != nil {
		return nil, err
	}
	if s := opts.Levels.Shape; s[0] != batch || s[1] != k {
		return nil, fmt.Errorf("tile levels have shape %v: want [%d %d]", s, batch, k)
	}
	if len(keys) == 0 {
		return keys, nil
	}
	shift := max(1, bits.Len(uint(k-1)))
	lowest := slices.Min(opts.Levels.Data)
	for i, level := range opts.Levels.Data {
		// The unsigned difference is exact even where the signed one overflows.
		above := uint64(level) - uint64(lowest)
		if above > (math.MaxInt32-uint64(i%k))>>shift {
			return nil, fmt.Errorf("tile levels from %d to %d with %d tiles: the order key does not fit an int32", lowest, level, k)
		}
		keys[i] = int(above)<<shift + i%k
	}
	return keys, nil
}
