package reference

import (
	"cmp"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
)

// lowerTileOrder sorts by a table of ranks, one per tile of the grid.
func lowerTileOrder(c *compiler, s *step) error {
	op, x := s.Node.Op.(graph.TileOrder), s.Node.In[0]
	ranks := op.Ranks()
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
