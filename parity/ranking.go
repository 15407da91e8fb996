package parity

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// ranking is a decision by descending score: both executions order, or choose the first of, the same kind of item.
type ranking struct {
	output, noun, measure string
	image                 int
	ref, cand             []float64 // score of every item, by id, in each execution
	allowed               []float64 // how far rounding may move a score, by id; nil where nobody derived it
}

// gap returns how far item a leads item b in the reference; NaN ranks as -Inf, equal scores have no gap.
func (r ranking) gap(a, b int) float64 {
	x, y := rankable(r.ref[a]), rankable(r.ref[b])
	if x == y {
		return 0
	}
	return x - y
}

func rankable(v float64) float64 {
	if math.IsNaN(v) {
		return math.Inf(-1)
	}
	return v
}

// flip is the exchange of two items: the first leads in the reference by gap, and the second in the candidate.
type flip struct {
	gap, moved, rounding float64
	allowed              float64 // what rounding may leave of the gap; infinite where that is not known
}

// flip measures an exchange. A score that is finite on one side alone is judged by the arithmetic, and moves nothing here.
func (r ranking) flip(a, b int) flip {
	moved := finiteOr0(r.cand[a]-r.ref[a]) + finiteOr0(r.cand[b]-r.ref[b])
	allowed := math.Inf(1)
	if r.allowed != nil {
		allowed = math.Hypot(r.allowed[a], r.allowed[b])
	}
	return flip{max(r.gap(a, b), 0), moved, roundingFloor * max(finiteOr0(r.ref[a]), finiteOr0(r.ref[b])), allowed}
}

// less orders flips by how much of the gap the moves, or the budget, leave unexplained, then by the gap.
func (f flip) less(g flip) bool {
	open := func(f flip) float64 { return f.gap - min(f.moved, f.allowed) }
	return cmp.Or(cmp.Compare(open(f), open(g)), cmp.Compare(f.gap, g.gap)) < 0
}

// judged returns the decision that a flip is.
func (r ranking) judged(kind DecisionKind, f flip) Decision {
	d := Decision{Kind: kind, Output: r.output, Image: r.image, Measure: r.measure,
		Gap: Number(f.gap), Moved: Number(f.moved), Verdict: judge(f.gap, f.moved, f.rounding)}
	d.hold(f.allowed, true)
	return d
}

// order explains how the candidate's order of the same items differs from the reference's. Both lists hold the same ids once.
// Each smallest range of places that holds the same items in both is one decision, judged by the exchange in it that the moves
// explain least.
func (r ranking) order(ref, cand []int) []Decision {
	place := make(map[int]int, len(ref))
	for i, id := range ref {
		place[id] = i
	}
	var out []Decision
	for start := 0; start < len(cand); {
		end, reach := start, place[cand[start]]
		for end < reach {
			end++
			reach = max(reach, place[cand[end]])
		}
		if end > start {
			d := r.judged(OrderFlip, r.worstInversion(cand[start:end+1], place))
			d.Items, d.Where = r.describe(ref[start:end+1], cand[start:end+1], start)
			out = append(out, d)
		}
		start = end + 1
	}
	return out
}

// worstInversion returns the least explained exchange of two items that the candidate lists in the opposite order.
func (r ranking) worstInversion(cand []int, place map[int]int) flip {
	worst := flip{gap: math.Inf(-1)}
	for i, first := range cand {
		for _, second := range cand[i+1:] {
			if f := r.flip(second, first); place[second] < place[first] && worst.less(f) {
				worst = f
			}
		}
	}
	return worst
}

func (r ranking) describe(ref, cand []int, start int) (items, where string) {
	if len(ref) == 2 {
		return fmt.Sprintf("%ss %d and %d", r.noun, ref[0], ref[1]), fmt.Sprintf("swap places %d and %d", start, start+1)
	}
	return fmt.Sprintf("%ss %s", r.noun, joined(ref)), fmt.Sprintf("at places %d to %d are ordered %s", start, start+len(ref)-1, joined(cand))
}

// joined lists at most eight ids.
func joined(ids []int) string {
	const most = 8
	var s strings.Builder
	for i, id := range ids {
		if i == most {
			fmt.Fprintf(&s, " … (%d in all)", len(ids))
			break
		}
		if i > 0 {
			s.WriteByte(' ')
		}
		fmt.Fprint(&s, id)
	}
	return s.String()
}

// membership explains items chosen by one execution alone. Both lists have the same length; every dropped item gave way to every
// added one, and the exchange that the moves explain least judges them all.
func (r ranking) membership(dropped, added []int) []Decision {
	if len(dropped) == 0 {
		return nil
	}
	worst := flip{gap: math.Inf(-1)}
	for _, a := range dropped {
		for _, b := range added {
			if f := r.flip(a, b); worst.less(f) {
				worst = f
			}
		}
	}
	d := r.judged(Membership, worst)
	d.Items, d.Where = fmt.Sprintf("%s %s", r.noun, joined(dropped)), fmt.Sprintf("gives way to %s", joined(added))
	if len(dropped) > 1 {
		d.Items, d.Where = fmt.Sprintf("%ss %s", r.noun, joined(dropped)), fmt.Sprintf("give way to %s", joined(added))
	}
	return []Decision{d}
}

// best returns the n ids of highest score: descending, ties by ascending id, NaN last, as the model selects.
func best(ids []int, scores []float64, n int) []int {
	sorted := slices.Clone(ids)
	slices.SortFunc(sorted, func(a, b int) int {
		return cmp.Or(cmp.Compare(rankable(scores[b]), rankable(scores[a])), cmp.Compare(a, b))
	})
	return sorted[:min(n, len(sorted))]
}

// difference returns the ids of a that b lacks, and the rest of a in its order.
func difference(a, b []int) (only, common []int) {
	in := make(map[int]bool, len(b))
	for _, id := range b {
		in[id] = true
	}
	for _, id := range a {
		if in[id] {
			common = append(common, id)
		} else {
			only = append(only, id)
		}
	}
	return only, common
}
