package lower

import (
	"cmp"
	"slices"
)

// A block is a stretch of the arena that is needed from step first to step last, both included. Sizes and offsets are in bytes.
type block struct {
	size        int
	first, last int
	users       []int // the steps that read or write it, where it matters which
	offset      int   // set by place
}

// order tells whether a step has ended before another begins. The steps may overlap otherwise; nil means that they run one after the other.
type order func(step, other int) bool

// endsBefore tells whether all who need b are done with it before o is written.
func (b *block) endsBefore(o *block, before order) bool {
	return b.last < o.first && !slices.ContainsFunc(b.users, func(u int) bool { return !before.holds(u, o.first) })
}

func (before order) holds(step, other int) bool { return before == nil || before(step, other) }

func (b *block) overlapsInTime(o *block, before order) bool {
	return !b.endsBefore(o, before) && !o.endsBefore(b, before)
}

// place gives every block an offset, a multiple of align, such that blocks needed at the same time do not overlap, and returns
// the size of the arena. It places large blocks first, each in the smallest gap that it fits between the blocks already
// placed, and otherwise behind them: the greedy-by-size rule of Pisarchyk and Lee, "Efficient memory management for deep
// neural net inference" (2020), which comes close to the lower bound for convolutional networks.
func place(blocks []*block, align int, before order) int {
	bySize := slices.Clone(blocks)
	slices.SortStableFunc(bySize, func(a, b *block) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.first, b.first))
	})
	total := 0
	var placed []*block // by offset
	for _, b := range bySize {
		b.size = (b.size + align - 1) / align * align
		b.offset = gapFor(b, placed, before)
		at, _ := slices.BinarySearchFunc(placed, b.offset, func(p *block, off int) int { return cmp.Compare(p.offset, off) })
		placed = slices.Insert(placed, at, b)
		total = max(total, b.offset+b.size)
	}
	return total
}

// gapFor returns the offset of the smallest gap for b among the placed blocks that are needed at the same time.
func gapFor(b *block, placed []*block, before order) int {
	best, bestGap, end := -1, 0, 0
	for _, p := range placed {
		if p.size == 0 || !p.overlapsInTime(b, before) {
			continue
		}
		if gap := p.offset - end; gap >= b.size && (best < 0 || gap < bestGap) {
			best, bestGap = end, gap
		}
		end = max(end, p.offset+p.size)
	}
	if best < 0 {
		return end
	}
	return best
}
