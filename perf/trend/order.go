package trend

import (
	"cmp"
	"slices"
)

// inOrder returns the runs of a class, given as they were received, in the order in which they are judged. Runs whose place in the
// repository is known take the places of such runs in the order of their commits, so that a commit that was measured late is not taken for a
// new one; the others stay where they are. What a file or a commit says of its time decides nothing: clocks are wrong, and can be set.
func inOrder(received []*Run) []*Run {
	placed := func(r *Run) bool { return r.Place.Depth > 0 }
	known := slices.DeleteFunc(slices.Clone(received), func(r *Run) bool { return !placed(r) })
	slices.SortStableFunc(known, func(a, b *Run) int { return cmp.Compare(a.Place.Depth, b.Place.Depth) })
	ordered := make([]*Run, len(received))
	for i, r := range received {
		if placed(r) {
			r, known = known[0], known[1:]
		}
		ordered[i] = r
	}
	return ordered
}

// ofClass returns the runs of a class in the order of inOrder.
func ofClass(runs []Run, class string) []*Run {
	var of []*Run
	for i := range runs {
		if runs[i].Class == class {
			of = append(of, &runs[i])
		}
	}
	return inOrder(of)
}

// judged returns the runs of a source that take part in judgements.
func judged(runs []*Run, source Source) []*Run {
	return slices.DeleteFunc(slices.Clone(runs), func(r *Run) bool { return r.Source != source || r.Removed != "" })
}
