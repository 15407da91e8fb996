package reference

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
)

// lowerTileOrder sorts by a table of ranks, one per tile of the grid.
func lowerTileOrder(c *compiler, s *step) error {
	op, x := s.Node.Op.(graph.TileOrder), s.Node.In[0]
	ranks, err := tileRanks(op.GridHeight, op.GridWidth, op.Mode)
	if err != nil {
		return err
	}
	c.held += 8 * len(ranks)
	k := x.Shape[1]
	s.Allow(x)
	s.bind = func() func() error {
		xs, ys := elements[int64](x), elements[int64](s.Node.Out[0])
		sort := c.parallel(x.Shape[0], func(b int) {
			ids := ys[b*k : (b+1)*k]
			copy(ids, xs[b*k:(b+1)*k])
			slices.SortStableFunc(ids, func(a, b int64) int { return cmp.Compare(ranks[a], ranks[b]) })
		})
		return func() error {
			if err := checkIDs(xs, len(ranks)); err != nil {
				return err
			}
			return sort()
		}
	}
	return nil
}

// tileRanks returns the sort key of every tile of a grid in a scan order (spec/routing.md 2.2 to 2.4).
func tileRanks(gridH, gridW int, mode string) ([]int, error) {
	side := 1
	for side < max(gridH, gridW) {
		side *= 2
	}
	key, ok := map[string]func(y, x int) int{
		"hilbert": func(y, x int) int { return hilbert(x, y, side) },
		"l2r":     func(y, x int) int { return y*gridW + x },
		"r2l":     func(y, x int) int { return y*gridW + gridW - 1 - x },
		"u2d":     func(y, x int) int { return x*gridH + y },
		"d2u":     func(y, x int) int { return x*gridH + gridH - 1 - y },
		// The sum of the ranks of the four scans.
		"multi_direction": func(y, x int) int { return 2*(y*gridW+x*gridH) + gridW + gridH - 2 },
	}[mode]
	if !ok {
		return nil, fmt.Errorf("unknown order mode %q", mode)
	}
	ranks := make([]int, gridH*gridW)
	for i := range ranks {
		ranks[i] = key(i/gridW, i%gridW)
	}
	return ranks, nil
}

// hilbert returns the distance of cell (x, y) along the Hilbert curve on a square grid whose side is a power of two.
func hilbert(x, y, side int) int {
	d := 0
	for s := side / 2; s > 0; s /= 2 {
		rx, ry := 0, 0
		if x&s != 0 {
			rx = 1
		}
		if y&s != 0 {
			ry = 1
		}
		d += s * s * ((3 * rx) ^ ry)
		if ry == 0 {
			if rx == 1 {
				x, y = s-1-x, s-1-y
			}
			x, y = y, x
		}
	}
	return d
}
