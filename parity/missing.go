package parity

import (
	"fmt"
	"math"
)

// side is one execution's view on unmatched detections: own has an unmatched row, other lacks it.
type side struct {
	own, other               []detection
	ownPartner, otherPartner []int
	otherRows                int
	name, otherName          string
	explained                []bool // of own's unmatched rows
}

// settleMissing looks for the cause of every detection without a partner. One cause can follow from another (a detection that
// disappears sets free what it suppressed), so the search repeats until nothing new is explained; what remains is a bug.
func (s *settled) settleMissing(d *detections, set Setting) {
	ref := &side{own: d.ref, other: d.cand, ownPartner: d.partnerOfRef, otherPartner: d.partnerOfCand, otherRows: d.candRows,
		name: "reference", otherName: "candidate", explained: make([]bool, len(d.ref))}
	cand := &side{own: d.cand, other: d.ref, ownPartner: d.partnerOfCand, otherPartner: d.partnerOfRef, otherRows: d.refRows,
		name: "candidate", otherName: "reference", explained: make([]bool, len(d.cand))}
	for progress := true; progress; {
		progress = s.explainSide(d, ref, cand, set)
		progress = s.explainSide(d, cand, ref, set) || progress
	}
	for _, v := range []*side{ref, cand} {
		for i, partner := range v.ownPartner {
			if partner < 0 && !v.explained[i] {
				s.add(Decision{Kind: Missing, Verdict: Bug, Output: "scores", Image: d.image,
					Items: v.describe(i), Where: fmt.Sprintf("has no partner in the %s and no cause", v.otherName)})
			}
		}
	}
}

func (v *side) describe(i int) string {
	x := v.own[i]
	return fmt.Sprintf("detection %d of the %s (class %d, score %.6g)", x.row, v.name, x.class, x.score)
}

// explainSide tries every cause on every unexplained row of v and reports whether it found one.
func (s *settled) explainSide(d *detections, v, w *side, set Setting) bool {
	found := false
	for i, partner := range v.ownPartner {
		if partner >= 0 || v.explained[i] {
			continue
		}
		for _, cause := range []func(*detections, *side, *side, int, Setting) (Decision, bool){
			belowThreshold, cutOff, suppressed,
		} {
			if decision, ok := cause(d, v, w, i, set); ok {
				v.explained[i], found = true, true
				s.add(decision)
				break
			}
		}
	}
	return found
}

// belowThreshold explains a row whose score lies within the moves of the score threshold.
func belowThreshold(d *detections, v, _ *side, i int, set Setting) (Decision, bool) {
	gap := math.Abs(v.own[i].score - float64(float32(set.ScoreThreshold)))
	return Decision{Kind: BelowScore, Verdict: judge(gap, d.scoreMoved/2, d.scoreRounding), Output: "scores", Image: d.image,
		Items: v.describe(i), Where: fmt.Sprintf("is below the threshold %g in the %s", set.ScoreThreshold, v.otherName),
		Measure: "score and threshold", Gap: Number(gap), Moved: Number(d.scoreMoved)}, gap <= d.scoreMoved
}

// cutOff explains a row that would be last where the other execution has no room left.
func cutOff(d *detections, v, _ *side, i int, _ Setting) (Decision, bool) {
	if len(v.other) < v.otherRows || len(v.other) == 0 {
		return Decision{}, false
	}
	last := v.other[len(v.other)-1].score
	gap := max(v.own[i].score-last, 0)
	return Decision{Kind: CutOff, Verdict: judge(gap, d.scoreMoved, d.scoreRounding), Output: "scores", Image: d.image,
		Items: v.describe(i), Where: fmt.Sprintf("falls behind the last of the %d rows of the %s", v.otherRows, v.otherName),
		Measure: "scores", Gap: Number(gap), Moved: Number(d.scoreMoved)}, gap <= 2*d.scoreMoved
}

// suppressed explains row i of v by a detection that w keeps, overlaps it and outranks it, in one of three ways: the overlap
// is within the moves of the IoU threshold; or the two compete, each kept by one execution, and their scores are closer than
// both moved; or the suppressor itself is there for a cause already found.
func suppressed(d *detections, v, w *side, i int, set Setting) (Decision, bool) {
	x := v.own[i]
	threshold := float64(float32(set.IoUThreshold))
	for k, y := range w.own {
		if y.class != x.class || y.score < x.score-2*d.scoreMoved {
			continue
		}
		overlap, slack := iou(x.box, y.box), iouSlack(x.box, y.box, d.boxMoved)
		if overlap+slack < threshold {
			continue
		}
		decision := Decision{Kind: Suppression, Output: "scores", Image: d.image, Items: v.describe(i)}
		by := fmt.Sprintf("is suppressed in the %s by its detection %d", v.otherName, y.row)
		alone := w.ownPartner[k] < 0
		switch gap := math.Abs(x.score - y.score); {
		case math.Abs(overlap-threshold) <= slack:
			decision.Where, decision.Measure = by, "overlap and threshold"
			decision.Gap, decision.Moved = Number(math.Abs(overlap-threshold)), Number(slack)
			decision.Verdict = judge(math.Abs(overlap-threshold), slack/2, roundingFloor)
		case alone && gap <= 2*d.scoreMoved:
			decision.Where, decision.Measure = by+", which it suppresses here", "scores"
			decision.Gap, decision.Moved = Number(gap), Number(d.scoreMoved)
			decision.Verdict = judge(gap, d.scoreMoved, d.scoreRounding)
		case alone && w.explained[k]:
			decision.Where, decision.Verdict = by+", whose presence is explained", Explained
		default:
			continue
		}
		return decision, true
	}
	return Decision{}, false
}
