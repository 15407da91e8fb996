package reference

import (
	"cmp"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// compareCandidates orders by descending score and, among equal ones, by the order of enumeration.
func compareCandidates[T tensor.Float](a, b candidate[T]) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.pair, b.pair))
}

// topK keeps the best candidates that were pushed, as many as items has room for: a heap whose root is the worst one.
type topK[T tensor.Float] struct{ items []candidate[T] }

// push takes candidates in the order of enumeration, so one that only equals the worst kept is not better.
func (h *topK[T]) push(c candidate[T]) {
	switch {
	case len(h.items) < cap(h.items):
		h.items = append(h.items, c)
		h.up(len(h.items) - 1)
	case len(h.items) > 0 && c.score > h.items[0].score:
		h.items[0] = c
		h.down(0)
	}
}

// least returns the score that a candidate must reach to be kept, where the given one is the least of all.
func (h *topK[T]) least(score T) T {
	if len(h.items) > 0 && len(h.items) == cap(h.items) {
		return max(score, h.items[0].score)
	}
	return score
}

func (h *topK[T]) worse(i, j int) bool { return compareCandidates(h.items[i], h.items[j]) > 0 }

func (h *topK[T]) up(i int) {
	for i > 0 && h.worse(i, (i-1)/2) {
		h.items[i], h.items[(i-1)/2] = h.items[(i-1)/2], h.items[i]
		i = (i - 1) / 2
	}
}

func (h *topK[T]) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			return
		}
		if child+1 < len(h.items) && h.worse(child+1, child) {
			child++
		}
		if !h.worse(child, i) {
			return
		}
		h.items[i], h.items[child] = h.items[child], h.items[i]
		i = child
	}
}

// sort puts the best first; push must not follow.
func (h *topK[T]) sort() { slices.SortFunc(h.items, compareCandidates[T]) }

// A suppressor runs class-wise greedy suppression (spec/model.md 3.18). Greedy suppression within a class depends on better
// candidates of that class alone, so one pass over all candidates by score gives every class's result already merged, and
// it may end when enough are kept.
type suppressor[T tensor.Float] struct {
	threshold T
	kept      []candidate[T] // capacity is the maximum
	next      []int          // position in each level's list
}

func newSuppressor[T tensor.Float](most, levels int, threshold T) suppressor[T] {
	return suppressor[T]{threshold, make([]candidate[T], 0, most), make([]int, levels)}
}

// run merges the sorted lists of the levels, earlier levels first among equal scores, and returns the survivors.
func (s *suppressor[T]) run(levels []topK[T]) []candidate[T] {
	s.kept = s.kept[:0]
	clear(s.next)
	for len(s.kept) < cap(s.kept) {
		best := -1
		for l := range levels {
			if s.next[l] == len(levels[l].items) {
				continue
			}
			if best < 0 || levels[l].items[s.next[l]].score > levels[best].items[s.next[best]].score {
				best = l
			}
		}
		if best < 0 {
			break
		}
		c := levels[best].items[s.next[best]]
		s.next[best]++
		if !s.suppressed(c) {
			s.kept = append(s.kept, c)
		}
	}
	return s.kept
}

func (s *suppressor[T]) suppressed(c candidate[T]) bool {
	for i := range s.kept {
		if k := &s.kept[i]; k.class == c.class && overlap(k.box, c.box) > s.threshold {
			return true
		}
	}
	return false
}

// overlap returns the intersection over union of two boxes with ordered corners, the union being at least 1e-9.
func overlap[T tensor.Float](a, b [4]T) T {
	w, h := min(a[2], b[2])-max(a[0], b[0]), min(a[3], b[3])-max(a[1], b[1])
	inter := max(w, 0) * max(h, 0)
	union := (a[2]-a[0])*(a[3]-a[1]) + (b[2]-b[0])*(b[3]-b[1]) - inter
	return inter / max(union, 1e-9)
}
