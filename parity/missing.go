package parity

import (
	"fmt"
	"math"
)

// finding is the cause of one unmatched detection; rival says that it and another would have suppressed each other.
type finding struct {
	Decision
	rival bool
}

// settleMissing looks for the cause of every detection without a partner. What has none is paired with a detection that it
// mostly overlaps, so that its numbers are compared, and is a bug otherwise.
//
// Ties between neighbouring anchors are rare; boxes that are all wrong look like many of them. When more than one detection in
// twenty and one more would be tied so, wrong boxes are the better explanation and are paired first.
func (s *settled) settleMissing(d *detections, set Setting) {
	found := d.explain(set)
	rivals := 0
	for _, f := range found {
		if f.rival {
			rivals++
		}
	}
	if rivals/2 > 1+len(d.ref.list)/20 {
		clear(d.ref.settled)
		clear(d.cand.settled)
		d.matchFar()
		found = d.explain(set)
	} else {
		d.matchFar()
	}
	for _, f := range found {
		s.add(f.Decision)
	}
	for _, sides := range [][2]*execution{{d.ref, d.cand}, {d.cand, d.ref}} {
		v, w := sides[0], sides[1]
		for i, partner := range v.partner {
			if partner < 0 && !v.settled[i] {
				s.add(Decision{Kind: Missing, Verdict: Bug, Output: "scores", Image: d.image, Items: v.describe(i), Where: w.absence()})
			}
		}
	}
}

// explain marks what it can explain. One cause can follow from another (a detection that disappears sets free what it
// suppressed), so it repeats until nothing new is found.
func (d *detections) explain(set Setting) []finding {
	var found []finding
	for {
		before := len(found)
		found = append(found, d.explainSide(d.ref, d.cand, set)...)
		found = append(found, d.explainSide(d.cand, d.ref, set)...)
		if len(found) == before {
			return found
		}
	}
}

// absence says why a detection that w lacks is a bug.
func (w *execution) absence() string {
	if w.dense != nil {
		return fmt.Sprintf("has no partner in the %s, which predicts nothing like it or had no cause to drop it", w.name)
	}
	return fmt.Sprintf("has no partner in the %s and no cause", w.name)
}

func (x *execution) describe(i int) string {
	d := x.list[i]
	return fmt.Sprintf("detection %d of the %s (class %d, score %.9g)", d.row, x.name, d.class, d.score)
}

// explainSide looks for the cause of every row of v that w lacks: in what w predicts where that was recorded, and otherwise in what
// w lists.
func (d *detections) explainSide(v, w *execution, set Setting) []finding {
	var found []finding
	for i, partner := range v.partner {
		if partner >= 0 || v.settled[i] {
			continue
		}
		var f finding
		var ok bool
		if w.dense != nil && set.IoUThreshold > 0 {
			f, ok = d.predicted(v, w, i, set)
		} else {
			f, ok = d.supposed(v, w, i, set)
		}
		if ok {
			f.Output, f.Image, f.Items = "scores", d.image, v.describe(i)
			v.settled[i] = true
			found = append(found, f)
		}
	}
	return found
}

// predicted explains row i of v by what w predicts: the same detection within the limits, with a cause in w's own numbers to drop
// it.
func (d *detections) predicted(v, w *execution, i int, set Setting) (finding, bool) {
	x := v.list[i]
	p, ok := w.dense.find(x, d.limits)
	if !ok {
		return finding{}, false
	}
	r := w.dropped(p, set)
	f := finding{Decision: Decision{Verdict: Explained, Where: r.text}}
	moved := math.Abs(p.score - x.score)
	switch r.by {
	case notDropped:
		return finding{}, false
	case byThreshold:
		gap := math.Abs(x.score - float64(float32(set.ScoreThreshold)))
		f.Kind, f.Measure, f.Gap, f.Moved = BelowScore, "score and threshold", Number(gap), Number(moved)
		f.Verdict = proven(gap)
		f.hold(d.allowedScore(w.dense, p))
	case bySuppression:
		f.Kind = Suppression
		if k := w.partner[r.row]; k >= 0 {
			was, is := iou(x.box, v.list[k].box), iou(p.box, w.list[r.row].box)
			gap := math.Abs(was - float64(float32(set.IoUThreshold)))
			f.Measure, f.Gap, f.Moved = "overlap and threshold", Number(gap), Number(math.Abs(is-was))
			f.Verdict = proven(gap)
			f.hold(d.allowedOverlap(v, w, p, x.box, k, r.row))
		}
	case byRank:
		f.Kind, f.Measure = CutOff, "scores"
		f.Gap, f.Moved = Number(max(x.score-r.score, 0)), Number(moved)
		f.Verdict = proven(float64(f.Gap))
		if n := len(w.list); n == w.rows && n > 0 && r.score == w.list[n-1].score {
			f.hold(d.allowedCut(w, p))
		}
	}
	return f, true
}

// proven is the verdict on a cause that the predictions of both sides show: the gap only tells whether it was a tie.
func proven(gap float64) Verdict {
	if gap <= roundingFloor {
		return Tied
	}
	return Explained
}

// supposed explains row i of v by what w lists, where w's predictions were not recorded. Only what w itself shows is explained: a
// row of the reference within the tolerance of the score threshold, or one that a box of w overlaps above the threshold, having
// moved there. Everything else that could be true stays unproven, as is all that the candidate alone lists: its box cannot be
// held to anything.
func (d *detections) supposed(v, w *execution, i int, set Setting) (finding, bool) {
	x := v.list[i]
	if gap := math.Abs(x.score - float64(float32(set.ScoreThreshold))); gap <= d.limits.score {
		f := finding{Decision: Decision{Kind: BelowScore, Verdict: d.ifDropped(v, proven(gap)), Measure: "score and threshold",
			Where: fmt.Sprintf("is below the threshold %g in the %s", set.ScoreThreshold, w.name),
			Gap:   Number(gap), Moved: Number(d.limits.score)}}
		return f, true
	}
	if f, ok := d.suppressed(v, w, i, set); ok {
		return f, true
	}
	if len(w.list) < w.rows || len(w.list) == 0 {
		return finding{}, false
	}
	gap := max(x.score-w.list[len(w.list)-1].score, 0)
	return finding{Decision: Decision{Kind: CutOff, Verdict: Unproven, Measure: "scores",
		Where: fmt.Sprintf("falls behind the last of the %d rows of the %s", w.rows, w.name),
		Gap:   Number(gap), Moved: Number(2 * d.limits.score)}}, gap <= 2*d.limits.score
}

// ifDropped is the verdict where v is the reference, whose rows have been verified; a row of the candidate stays unproven.
func (d *detections) ifDropped(v *execution, verdict Verdict) Verdict {
	if v == d.ref {
		return verdict
	}
	return Unproven
}

// suppressed explains row i of v by a detection that w keeps and ranks above it. Its partner in v shows how far it moved; the two
// compete where it has none and the scores tie.
func (d *detections) suppressed(v, w *execution, i int, set Setting) (best finding, ok bool) {
	x, threshold := v.list[i], float64(float32(set.IoUThreshold))
	if threshold == 0 { // not known
		return finding{}, false
	}
	for k, y := range w.list {
		overlap := iou(x.box, y.box)
		if y.class != x.class || y.score < x.score-2*d.limits.score || overlap+iouSlack(x.box, y.box, d.limits.pixels) < threshold {
			continue
		}
		f := finding{Decision: Decision{Kind: Suppression, Verdict: Unproven,
			Where: fmt.Sprintf("is suppressed in the %s by its detection %d", w.name, y.row)}}
		switch partner := w.partner[k]; {
		case partner >= 0:
			was := v.list[partner].box
			gap, moved := math.Abs(iou(x.box, was)-threshold), iouSlack(x.box, y.box, was.move(y.box))
			f.Measure, f.Gap, f.Moved = "overlap and threshold", Number(gap), Number(moved)
			if overlap > threshold-iouRounding && gap <= moved {
				f.Verdict = d.ifDropped(v, proven(gap))
			}
		case math.Abs(x.score-y.score) <= 2*d.limits.score:
			f.Where += " and suppresses it in the " + v.name
			f.Measure, f.Gap, f.Moved = "scores", Number(math.Abs(x.score-y.score)), Number(2*d.limits.score)
			f.rival = true
		case w.settled[k]:
			f.Where += ", which the " + v.name + " lacks"
		default:
			continue
		}
		if !ok || f.Verdict != Unproven {
			best, ok = f, true
		}
	}
	return best, ok
}
