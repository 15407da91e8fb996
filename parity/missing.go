package parity

import (
	"fmt"
	"math"
)

// side is one execution's view on unmatched detections: own has an unmatched row, other lacks it.
type side struct {
	own, other      []detection
	ownPartner      []int
	otherRows       int
	name, otherName string
	explained       []bool       // of own's unmatched rows
	otherDense      *predictions // what other chose from, nil where not recorded
}

// settleMissing looks for the cause of every detection without a partner. What has none is paired with a detection that it
// mostly overlaps, so that its numbers are compared, and is a bug otherwise.
//
// Ties between neighbouring anchors are rare; boxes that are all wrong look like many of them. When more than one detection in
// twenty and one more would be tied so, wrong boxes are the better explanation and are paired first.
func (s *settled) settleMissing(d *detections, set Setting) {
	ref, cand := d.sides()
	found := explain(d, ref, cand, set)
	rivals := 0
	for _, f := range found {
		if f.rival {
			rivals++
		}
	}
	if rivals/2 > 1+len(d.ref)/20 {
		clear(ref.explained)
		clear(cand.explained)
		d.matchFar(ref.explained, cand.explained)
		found = explain(d, ref, cand, set)
	} else {
		d.matchFar(ref.explained, cand.explained)
	}
	for _, f := range found {
		s.add(f.Decision)
	}
	for _, v := range []*side{ref, cand} {
		for i, partner := range v.ownPartner {
			if partner < 0 && !v.explained[i] {
				s.add(Decision{Kind: Missing, Verdict: Bug, Output: "scores", Image: d.image,
					Items: v.describe(i), Where: v.absence()})
			}
		}
	}
}

// sides returns both views on the unmatched detections. They share the partners, so a later match shows in both.
func (d *detections) sides() (ref, cand *side) {
	ref = &side{own: d.ref, other: d.cand, ownPartner: d.partnerOfRef, otherRows: d.candRows, otherDense: d.candDense,
		name: "reference", otherName: "candidate", explained: make([]bool, len(d.ref))}
	cand = &side{own: d.cand, other: d.ref, ownPartner: d.partnerOfCand, otherRows: d.refRows, otherDense: d.refDense,
		name: "candidate", otherName: "reference", explained: make([]bool, len(d.cand))}
	return ref, cand
}

// finding is the cause of one unmatched detection; rival says that it and another would have suppressed each other.
type finding struct {
	Decision
	rival bool
}

// explain marks what it can explain. One cause can follow from another (a detection that disappears sets free what it
// suppressed), so it repeats until nothing new is found.
func explain(d *detections, ref, cand *side, set Setting) []finding {
	var found []finding
	for {
		before := len(found)
		found = append(found, explainSide(d, ref, cand, set)...)
		found = append(found, explainSide(d, cand, ref, set)...)
		if len(found) == before {
			return found
		}
	}
}

// absence says why an unmatched detection is a bug.
func (v *side) absence() string {
	if v.otherDense != nil {
		return fmt.Sprintf("has no partner in the %s, which did not predict it or had no cause to drop it", v.otherName)
	}
	return fmt.Sprintf("has no partner in the %s and no cause", v.otherName)
}

func (v *side) describe(i int) string {
	x := v.own[i]
	return fmt.Sprintf("detection %d of the %s (class %d, score %.9g)", x.row, v.name, x.class, x.score)
}

// explainSide tries every cause on every unexplained row of v.
func explainSide(d *detections, v, w *side, set Setting) []finding {
	var found []finding
	for i, partner := range v.ownPartner {
		if partner >= 0 || v.explained[i] {
			continue
		}
		if v.otherDense != nil && !v.otherDense.holds(v.own[i], 2*d.scores.most(), d.near) {
			continue // the other execution never predicted it, so no decision can have removed it
		}
		for _, cause := range []func(*detections, *side, *side, int, Setting) (finding, bool){
			belowThreshold, cutOff, suppressed,
		} {
			if f, ok := cause(d, v, w, i, set); ok {
				v.explained[i] = true
				found = append(found, f)
				break
			}
		}
	}
	return found
}

// belowThreshold explains a row whose score lies within the moves of the score threshold.
func belowThreshold(d *detections, v, _ *side, i int, set Setting) (finding, bool) {
	gap := math.Abs(v.own[i].score - float64(float32(set.ScoreThreshold)))
	return finding{Decision: Decision{Kind: BelowScore, Verdict: d.scores.judgeOne(gap), Output: "scores", Image: d.image,
		Items: v.describe(i), Where: fmt.Sprintf("is below the threshold %g in the %s", set.ScoreThreshold, v.otherName),
		Measure: "score and threshold", Gap: Number(gap), Moved: Number(d.scores.moved)}}, gap <= d.scores.most()
}

// cutOff explains a row that would be last where the other execution has no room left.
func cutOff(d *detections, v, _ *side, i int, _ Setting) (finding, bool) {
	if len(v.other) < v.otherRows || len(v.other) == 0 {
		return finding{}, false
	}
	last := v.other[len(v.other)-1].score
	gap := max(v.own[i].score-last, 0)
	return finding{Decision: Decision{Kind: CutOff, Verdict: d.scores.judge(gap), Output: "scores", Image: d.image,
		Items: v.describe(i), Where: fmt.Sprintf("falls behind the last of the %d rows of the %s", v.otherRows, v.otherName),
		Measure: "scores", Gap: Number(gap), Moved: Number(d.scores.moved)}}, gap <= 2*d.scores.most()
}

// suppressed explains row i of v by a detection that w keeps, overlaps it and outranks it, in one of three ways: the overlap
// is within the moves of the IoU threshold; or the two compete, each kept by one execution, and their scores are closer than
// both moved; or the suppressor itself is there for a cause already found. The outputs do not hold suppressed boxes, so the
// second cannot be told from one wrong box with a right score unless the taps det.* were recorded; it is always reported.
func suppressed(d *detections, v, w *side, i int, set Setting) (finding, bool) {
	x := v.own[i]
	threshold := float64(float32(set.IoUThreshold))
	for k, y := range w.own {
		if y.class != x.class || y.score < x.score-2*d.scores.most() {
			continue
		}
		overlap, slack := iou(x.box, y.box), iouSlack(x.box, y.box, d.boxes.most())
		if overlap+slack < threshold {
			continue
		}
		decision := finding{Decision: Decision{Kind: Suppression, Output: "scores", Image: d.image, Items: v.describe(i)}}
		by := fmt.Sprintf("is suppressed in the %s by its detection %d", v.otherName, y.row)
		alone := w.ownPartner[k] < 0
		switch gap := math.Abs(x.score - y.score); {
		case math.Abs(overlap-threshold) <= slack:
			decision.Where, decision.Measure = by, "overlap and threshold"
			decision.Gap, decision.Moved = Number(math.Abs(overlap-threshold)), Number(slack)
			decision.Verdict = motion{slack, roundingFloor}.judgeOne(math.Abs(overlap - threshold))
		case alone && gap <= 2*d.scores.most():
			decision.Where, decision.Measure = by+" and suppresses it in the "+v.name, "scores"
			decision.rival = true
			decision.Gap, decision.Moved = Number(gap), Number(d.scores.moved)
			decision.Verdict = d.scores.judge(gap)
		case alone && w.explained[k]:
			decision.Where, decision.Verdict = by+", whose presence is explained", Explained
		default:
			continue
		}
		return decision, true
	}
	return finding{}, false
}
