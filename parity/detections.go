package parity

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// detection is one valid row of boxes, scores and class_ids.
type detection struct {
	row   int
	box   box
	score float64
	class int64
}

// finite reports whether the box and the score are numbers; the decoder drops everything else.
func (d detection) finite() bool {
	sum := d.score + d.box[0] + d.box[1] + d.box[2] + d.box[3]
	return sum-sum == 0
}

// detections are the valid rows of one image in both executions, with the rows that were matched.
type detections struct {
	image             int
	ref, cand         []detection
	refRows, candRows int   // rows of the outputs, padding included
	partnerOfRef      []int // place in cand, -1 for none
	partnerOfCand     []int
	scores, boxes     motion // of the detections that certainly match
	tolerance         Tolerance
	refDense          *predictions // nil where not recorded
	candDense         *predictions
}

// compareDetections settles the detections of every image and records which rows correspond, so that arithmetic is compared
// detection by detection. Images that were computed from other tiles are left out: their detections differ honestly.
func (s *settled) compareDetections(ref, cand tensor.List, boxes Tolerance, set Setting) {
	if !detectionOutputs(ref, cand) {
		return
	}
	s.decided["class_ids"], s.decided["valid_counts"] = true, true
	var plan alignments
	for image, rerouted := range s.rerouted {
		rows := ref.Get("scores").Shape()[1]
		d := &detections{image: image, refRows: rows, candRows: rows, tolerance: boxes}
		var okRef, okCand bool
		d.ref, okRef = s.readDetections(ref, image, "reference")
		d.cand, okCand = s.readDetections(cand, image, "candidate")
		if rerouted || !okRef || !okCand {
			plan.leaveOut(image)
			continue
		}
		s.compared++
		d.matchNear()
		if slices.Contains(d.partnerOfRef, -1) || slices.Contains(d.partnerOfCand, -1) {
			d.refDense, d.candDense = readPredictions(ref, image, set), readPredictions(cand, image, set)
		}
		s.settleMissing(d, set)
		s.settleOrder(d)
		edges := s.settleEdges(d, ref, set)
		plan.include(d, edges)
	}
	plan.apply(s)
}

// detectionOutputs reports whether both executions have well-shaped detections.
func detectionOutputs(ref, cand tensor.List) bool {
	boxes := ref.Get("boxes")
	return comparable2D(ref, cand, "scores") && comparable2D(ref, cand, "class_ids") && comparableCounts(ref, cand, "valid_counts") &&
		boxes != nil && cand.Get("boxes") != nil && boxes.Rank() == 3 && boxes.Shape()[2] == 4 && boxes.DType().IsFloat() &&
		slices.Equal(boxes.Shape(), cand.Get("boxes").Shape()) && cand.Get("boxes").DType().IsFloat() &&
		slices.Equal(boxes.Shape()[:2], ref.Get("scores").Shape()) && slices.Equal(boxes.Shape()[:2], ref.Get("class_ids").Shape()) &&
		ref.Get("scores").DType().IsFloat() && kindOf(ref.Get("class_ids").DType()) == integers
}

// readDetections reads the rows of one image and checks that they are finite, and that the rows beyond the count are padding:
// box and score 0, class -1.
func (s *settled) readDetections(outputs tensor.List, image int, side string) ([]detection, bool) {
	shape := outputs.Get("scores").Shape()
	rows := shape[1]
	boxes, scores := outputs.Get("boxes"), outputs.Get("scores")
	classes := integersOf(outputs.Get("class_ids"))
	valid := integersOf(outputs.Get("valid_counts"))[image]
	if valid < 0 || valid > int64(rows) {
		s.inconsistent("valid_counts", image, "the %s counts %d detections in %d rows", side, valid, rows)
		return nil, false
	}
	out := make([]detection, 0, valid)
	for row := range rows {
		at := image*rows + row
		d := detection{row: row, score: element(scores, at), class: classes[at]}
		for i := range d.box {
			d.box[i] = element(boxes, 4*at+i)
		}
		if row < int(valid) {
			if !d.finite() {
				s.inconsistent("scores", image, "the %s holds a detection that is not finite in row %d: box %v, score %v", side, row, d.box, d.score)
				return nil, false
			}
			out = append(out, d)
		} else if d.score != 0 || d.class != -1 || d.box != (box{}) {
			s.inconsistent("valid_counts", image, "the %s counts %d detections, and row %d is not padding", side, valid, row)
			return nil, false
		}
	}
	return out, true
}

// candidatePair is a possible match; less distant ones are tried first.
type candidatePair struct {
	ref, cand             int
	distance, scoreChange float64
}

// matchNear pairs detections of one class whose boxes agree within the tolerance of their coordinates, or within nearBox.
// These certainly match, and give the moves of scores and boxes.
func (d *detections) matchNear() {
	d.partnerOfRef, d.partnerOfCand = unmatched(len(d.ref)), unmatched(len(d.cand))
	d.pairUp(func(r, c detection) (float64, bool) {
		return r.box.move(c.box), d.near(r.box, c.box)
	})
	d.measure()
}

// near reports whether every coordinate of b is within its tolerance, or within nearBox, of a's.
func (d *detections) near(a, b box) bool {
	for i, v := range a {
		if !(math.Abs(b[i]-v) <= max(d.tolerance.allowed(v), nearBox)) {
			return false
		}
	}
	return true
}

// matchFar pairs the remaining detections of one class that overlap by half or more: the same detection with a wrong box, which
// the arithmetic then shows. Those for which skip is true in either execution stay alone.
func (d *detections) matchFar(skipRef, skipCand []bool) {
	d.pairUp(func(r, c detection) (float64, bool) {
		overlap := iou(r.box, c.box)
		return 1 - overlap, overlap >= 0.5 && !skipRef[r.row] && !skipCand[c.row]
	})
}

// nearBox is a distance in pixels below which boxes of one class are the same whatever the tolerance.
const nearBox = 0.05

// pairUp matches unmatched detections of one class that near accepts: the least distant first, ties by the smaller change of
// score and then of place.
func (d *detections) pairUp(near func(r, c detection) (distance float64, ok bool)) {
	var pairs []candidatePair
	for i, r := range d.ref {
		for j, c := range d.cand {
			if r.class != c.class || d.partnerOfRef[i] >= 0 || d.partnerOfCand[j] >= 0 {
				continue
			}
			if distance, ok := near(r, c); ok {
				pairs = append(pairs, candidatePair{i, j, distance, finiteOr0(c.score - r.score)})
			}
		}
	}
	slices.SortStableFunc(pairs, func(p, q candidatePair) int {
		return cmp.Or(cmp.Compare(p.distance, q.distance), cmp.Compare(p.scoreChange, q.scoreChange),
			cmp.Compare(abs(p.ref-p.cand), abs(q.ref-q.cand)))
	})
	for _, p := range pairs {
		if d.partnerOfRef[p.ref] < 0 && d.partnerOfCand[p.cand] < 0 {
			d.partnerOfRef[p.ref], d.partnerOfCand[p.cand] = p.cand, p.ref
		}
	}
}

func unmatched(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = -1
	}
	return out
}

func abs(n int) int { return max(n, -n) }

// measure sets how far matched scores and boxes moved, and the levels of rounding.
func (d *detections) measure() {
	for i, r := range d.ref {
		d.scores.rounding = max(d.scores.rounding, finiteOr0(r.score)*roundingFloor)
		for _, v := range r.box {
			d.boxes.rounding = max(d.boxes.rounding, finiteOr0(v)*roundingFloor)
		}
		if j := d.partnerOfRef[i]; j >= 0 {
			d.scores.moved = max(d.scores.moved, finiteOr0(d.cand[j].score-r.score))
			d.boxes.moved = max(d.boxes.moved, finiteOr0(r.box.move(d.cand[j].box)))
		}
	}
}

// finiteOr0 returns the magnitude of a finite number: a non-finite one is a failure of arithmetic, not a move.
func finiteOr0(v float64) float64 {
	if v-v != 0 {
		return 0
	}
	return math.Abs(v)
}

// settleOrder compares the order of the matched rows.
func (s *settled) settleOrder(d *detections) {
	rank := ranking{output: "scores", noun: "detection", measure: "scores", image: d.image}
	var refOrder, candOrder []int
	for i, j := range d.partnerOfRef {
		rank.ref = append(rank.ref, d.ref[i].score)
		if j < 0 {
			rank.cand = append(rank.cand, d.ref[i].score)
			continue
		}
		rank.cand = append(rank.cand, d.cand[j].score)
		refOrder = append(refOrder, i)
	}
	for _, i := range d.partnerOfCand {
		if i >= 0 {
			candOrder = append(candOrder, i)
		}
	}
	s.add(rank.order(refOrder, candOrder)...)
}

// settleEdges finds matched boxes of which an edge rounds to different cells. The mask of such a detection differs by a row or
// column, and its pooled features by a cell, without an error of arithmetic.
func (s *settled) settleEdges(d *detections, ref tensor.List, set Setting) edgeFlips {
	flips := edgeFlips{}
	if set.ImageHeight < 1 || set.ImageWidth < 1 {
		return flips
	}
	stride := set.FeatureStride
	if stride == 0 {
		stride = 8
	}
	for i, j := range d.partnerOfRef {
		if j < 0 || !(d.ref[i].box.move(d.cand[j].box) <= d.boxes.most()) { // a wrong box is a matter of arithmetic
			continue
		}
		if s.edge(d, i, j, "feature", set.ImageHeight/stride, set.ImageWidth/stride, set) {
			flips[i] = featureEdge
		} else if mask := ref.Get("mask_logits"); mask != nil && mask.Rank() == 4 &&
			s.edge(d, i, j, "mask", mask.Shape()[2], mask.Shape()[3], set) {
			flips[i] = maskEdge
		}
	}
	return flips
}

// edge records the sides of one matched box that cover other cells of a grid, if any.
func (s *settled) edge(d *detections, i, j int, grid string, height, width int, set Setting) bool {
	r, c := d.ref[i].box, d.cand[j].box
	found := false
	for axis, side := range []struct {
		name         string
		size, extent int
	}{{"columns", width, set.ImageWidth}, {"rows", height, set.ImageHeight}} {
		was := cells(r[axis], r[axis+2], side.size, side.extent)
		is := cells(c[axis], c[axis+2], side.size, side.extent)
		if was == is {
			continue
		}
		found = true
		gap := max(math.Abs(r[axis]-c[axis]), math.Abs(r[axis+2]-c[axis+2]))
		s.add(Decision{Kind: EdgeRounding, Output: "boxes", Image: d.image, Verdict: d.boxes.judgeOne(gap),
			Items:   fmt.Sprintf("detection %d", d.ref[i].row),
			Where:   fmt.Sprintf("covers %s %d to %d of the %s grid in the reference, %d to %d in the candidate", side.name, was[0], was[1], grid, is[0], is[1]),
			Measure: "coordinates", Gap: Number(gap), Moved: Number(d.boxes.moved)})
	}
	return found
}
