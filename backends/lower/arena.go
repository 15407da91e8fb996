package lower

import (
	"cmp"
	"slices"
)

// A block is a stretch of the arena that is needed from step first to step last, both included. Sizes and offsets are in bytes.
type block struct {
	size        int
	first, last int
	offset      int // set by place
}

func (b *block) overlapsInTime(o *block) bool { return b.first <= o.last && o.first <= b.last }

// place gives every block an offset, a multiple of align, such that blocks needed at the same time do not overlap, and returns
// the size of the arena. It places large blocks first, each in the smallest gap that it fits between the blocks already
// placed, and otherwise behind them: the greedy-by-size rule of Pisarchyk and Lee, "Efficient memory management for deep
// neural net inference" (2020), which comes close to the lower bound for convolutional networks.
func place(blocks []*block, align int) int {
	order := slices.Clone(blocks)
	slices.SortStableFunc(order, func(a, b *block) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.first, b.first))
	})
	total := 0
	var placed []*block // by offset
	for _, b := range order {
		b.size = (b.size + align - 1) / align * align
		b.offset = gapFor(b, placed)
		at, _ := slices.BinarySearchFunc(placed, b.offset, func(p *block, off int) int { return cmp.Compare(p.offset, off) })
		placed = slices.Insert(placed, at, b)
		total = max(total, b.offset+b.size)
	}
	return total
}

// gapFor returns the offset of the smallest gap for b among the placed blocks that are needed at the same time.
func gapFor(b *block, placed []*block) int {
	best, bestGap, end := -1, 0, 0
	for _, p := range placed {
		if p.size == 0 || !p.overlapsInTime(b) {
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
