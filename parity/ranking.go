package parity

import (
	"fmt"
	"math"
	"strings"
)

// ranking is a decision by descending score: both executions order, or choose the first of, the same kind of item.
type ranking struct {
	output, noun, measure string
	image                 int
	ref, cand             []float64 // score of every item, by id, in each execution
}

// motion returns the largest move of any score, and 4 float32 ULP of the largest score as the level of rounding. A score that
// is finite on one side alone is judged by the arithmetic, and moves nothing here.
func (r ranking) motion() motion {
	var m motion
	for id, v := range r.ref {
		m.moved = max(m.moved, finiteOr0(r.cand[id]-v))
		m.rounding = max(m.rounding, finiteOr0(v)*roundingFloor)
	}
	return m
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

// order explains how the candidate's order of the same items differs from the reference's. Both lists hold the same ids once.
// Each smallest range of places that holds the same items in both is one decision; its gap is the largest that any two of
// its items with exchanged order have in the reference.
func (r ranking) order(ref, cand []int) []Decision {
	place := make(map[int]int, len(ref))
	for i, id := range ref {
		place[id] = i
	}
	var out []Decision
	m := r.motion()
	for start := 0; start < len(cand); {
		end, reach := start, place[cand[start]]
		for end < reach {
			end++
			reach = max(reach, place[cand[end]])
		}
		if end > start {
			gap := r.largestInversion(cand[start:end+1], place)
			d := Decision{Kind: OrderFlip, Output: r.output, Image: r.image, Measure: r.measure,
				Gap: Number(gap), Moved: Number(m.moved), Verdict: m.judge(gap)}
			d.Items, d.Where = r.describe(ref[start:end+1], cand[start:end+1], start)
			out = append(out, d)
		}
		start = end + 1
	}
	return out
}

// largestInversion returns the largest reference gap of two items that the candidate lists in the opposite order.
func (r ranking) largestInversion(cand []int, place map[int]int) float64 {
	var most float64
	for i, first := range cand {
		for _, second := range cand[i+1:] {
			if place[second] < place[first] {
				most = max(most, r.gap(second, first))
			}
		}
	}
	return most
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

// membership explains items chosen by one execution alone: every dropped item must lead no added one by more than the scores
// moved. Both lists have the same length in executions of one graph; a surplus is a bug.
func (r ranking) membership(dropped, added []int) []Decision {
	if len(dropped) == 0 && len(added) == 0 {
		return nil
	}
	d := Decision{Kind: Membership, Output: r.output, Image: r.image}
	if len(dropped) != len(added) {
		d.Verdict = Bug
		d.Items = fmt.Sprintf("%ss dropped: [%s]", r.noun, joined(dropped))
		d.Where = fmt.Sprintf("and added: [%s], which are not as many", joined(added))
		return []Decision{d}
	}
	gap := math.Inf(-1)
	for _, a := range dropped {
		for _, b := range added {
			gap = max(gap, r.gap(a, b))
		}
	}
	m := r.motion()
	gap = max(gap, 0)
	d.Gap, d.Moved, d.Measure, d.Verdict = Number(gap), Number(m.moved), r.measure, m.judge(gap)
	d.Items = fmt.Sprintf("%s %s", r.noun, joined(dropped))
	d.Where = fmt.Sprintf("gives way to %s", joined(added))
	if len(dropped) > 1 {
		d.Items = fmt.Sprintf("%ss %s", r.noun, joined(dropped))
		d.Where = fmt.Sprintf("give way to %s", joined(added))
	}
	return []Decision{d}
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
