package reference

import (
	"cmp"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// byUtility orders tile ids by descending utility, equal ones by ascending id; NaN counts as -Inf.
func byUtility[T tensor.Float](a, b int64, utilities []T) int {
	return cmp.Or(cmp.Compare(utilityOf(utilities[b]), utilityOf(utilities[a])), cmp.Compare(a, b))
}

func utilityOf[T tensor.Float](u T) T {
	if u != u {
		return T(math.Inf(-1))
	}
	return u
}

func lowerGreedySelect[T tensor.Float](c *compiler, s *step) error {
	count, x := s.Node.Op.(graph.GreedySelect).Count, s.Node.In[0]
	tiles := x.Shape[1]
	scratch := s.AddScratch(tensor.Int64, x.Len())
	s.bind = func() func() error {
		utilities, order, ys := elements[T](x), elements[int64](scratch), elements[int64](s.Node.Out[0])
		return c.parallel(x.Shape[0], func(b int) {
			u, ids := utilities[b*tiles:(b+1)*tiles], order[b*tiles:(b+1)*tiles]
			for i := range ids {
				ids[i] = int64(i)
			}
			slices.SortFunc(ids, func(a, b int64) int { return byUtility(a, b, u) })
			copy(ys[b*count:(b+1)*count], ids)
		})
	}
	return nil
}

func lowerSplitSelect[T tensor.Float](c *compiler, s *step) error {
	op, parents := s.Node.Op.(graph.SplitSelect), s.Node.In[1]
	tiles, k := op.GridHeight*op.GridWidth, parents.Shape[1]
	scratch := s.AddScratch(tensor.Int64, parents.Len())
	s.bind = func() func() error {
		utilities, from := elements[T](s.Node.In[0]), elements[int64](parents)
		order, ys := elements[int64](scratch), elements[int64](s.Node.Out[0])
		choose := c.parallel(parents.Shape[0], func(b int) {
			u, ids := utilities[b*tiles:(b+1)*tiles], order[b*k:(b+1)*k]
			copy(ids, from[b*k:(b+1)*k])
			slices.SortFunc(ids, func(a, b int64) int { return byUtility(a, b, u) })
			for i, id := range ids[:op.Count] {
				children(ys[(b*op.Count+i)*4:], id, int64(op.GridWidth))
			}
		})
		return func() error {
			if err := checkIDs(from, tiles); err != nil {
				return err
			}
			return choose()
		}
	}
	return nil
}

// children writes the four tiles of the grid of twice the resolution that make up a tile: top-left, top-right, bottom-left,
// bottom-right (spec/routing.md 3.2).
func children(dst []int64, id, gridW int64) {
	first := 2*(id/gridW)*2*gridW + 2*(id%gridW)
	dst[0], dst[1], dst[2], dst[3] = first, first+1, first+2*gridW, first+2*gridW+1
}
