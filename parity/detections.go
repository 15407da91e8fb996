package parity

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// detection is one valid row of boxes, scores and class_ids, or one prediction.
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

// execution is what one side detected in an image.
type execution struct {
	name    string // "reference" or "candidate"
	list    []detection
	rows    int          // of the outputs, padding included
	dense   *predictions // what it chose from, nil where not recorded
	partner []int        // place in the other's list, -1 for none
	settled []bool       // of those without a partner: a cause was found, or may be there
}

// detections are both executions of one image, and the largest differences of what counts as the same detection.
type detections struct {
	image, rows int
	ref, cand   *execution
	limits      limits
	budgets     *Budgets // of the reference, nil where nobody derived them
}

// limits are the tolerances by which detections correspond.
type limits struct {
	pixels, score float64
	undefined     bool // no tolerance is defined
}

// compareDetections settles the detections of every image and records which rows correspond, so that arithmetic is compared
// detection by detection. Each execution is first held to its own numbers. Images that were computed from other tiles are left
// out of the comparison: their detections differ honestly.
func (s *settled) compareDetections(ref, cand tensor.List, lim limits, set Setting) {
	if !detectionOutputs(ref, cand) {
		return
	}
	s.decided["class_ids"], s.decided["valid_counts"] = true, true
	for image, rerouted := range s.rerouted {
		rows := ref.Get("scores").Shape()[1]
		d := &detections{image: image, rows: rows, limits: lim, budgets: s.budgets,
			ref: &execution{name: "reference", rows: rows}, cand: &execution{name: "candidate", rows: rows}}
		okRef := s.read(d.ref, ref, image, set)
		okCand := s.read(d.cand, cand, image, set)
		s.checkRanges(d.ref, ref, image, set)
		s.checkRanges(d.cand, cand, image, set)
		switch {
		case !okRef || !okCand:
			s.rows = append(s.rows, imageRows{image: image, rows: rows, leftOut: causeBroken})
			continue
		case rerouted:
			s.rows = append(s.rows, imageRows{image: image, rows: rows, leftOut: causeRerouted})
			continue
		case lim.undefined:
			s.rows = append(s.rows, imageRows{image: image, rows: rows, leftOut: causeNoRule})
			continue
		}
		s.compared++
		d.matchNear()
		s.settleMissing(d, set)
		s.settleOrder(d)
		s.rows = append(s.rows, correspondence(d, s.settleEdges(d, ref, set)))
	}
}

// pairReplayed lets the rows of detections that both executions were given correspond as they stand. Their order follows the
// reference's scores, so neither is held to its own.
func (s *settled) pairReplayed(ref, cand tensor.List, lim limits, set Setting) {
	if !detectionOutputs(ref, cand) {
		return
	}
	for image := range s.rerouted {
		rows := ref.Get("scores").Shape()[1]
		d := &detections{image: image, rows: rows, limits: lim, budgets: s.budgets,
			ref: &execution{name: "reference", rows: rows}, cand: &execution{name: "candidate", rows: rows}}
		okRef, okCand := s.readRows(d.ref, ref, image), s.readRows(d.cand, cand, image)
		s.checkRanges(d.ref, ref, image, set)
		s.checkRanges(d.cand, cand, image, set)
		switch {
		case !okRef || !okCand:
			s.rows = append(s.rows, imageRows{image: image, rows: rows, leftOut: causeBroken})
			continue
		case lim.undefined:
			s.rows = append(s.rows, imageRows{image: image, rows: rows, leftOut: causeNoRule})
			continue
		}
		d.ref.partner, d.cand.partner = unmatched(len(d.ref.list)), unmatched(len(d.cand.list))
		for i := range min(len(d.ref.list), len(d.cand.list)) {
			d.ref.partner[i], d.cand.partner[i] = i, i
		}
		s.rows = append(s.rows, correspondence(d, s.settleEdges(d, ref, set)))
	}
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

// read fills in the detections of an image and holds them to their own numbers. It reports false where they cannot be used.
func (s *settled) read(x *execution, outputs tensor.List, image int, set Setting) bool {
	if !s.readRows(x, outputs, image) {
		return false
	}
	x.dense = readPredictions(outputs, image, set)
	return s.obeysScores(x, image, set) && s.obeysPredictions(x, image, set)
}

// readRows reads the rows of one image and checks that they are finite, and that the rows beyond the count are padding:
// box and score 0, class -1.
func (s *settled) readRows(x *execution, outputs tensor.List, image int) bool {
	boxes, scores := outputs.Get("boxes"), outputs.Get("scores")
	classes := integersOf(outputs.Get("class_ids"))
	valid := integersOf(outputs.Get("valid_counts"))[image]
	if valid < 0 || valid > int64(x.rows) {
		s.inconsistent("valid_counts", image, "the %s counts %d detections in %d rows", x.name, valid, x.rows)
		return false
	}
	for row := range x.rows {
		at := image*x.rows + row
		d := detection{row: row, score: element(scores, at), class: classes[at]}
		for i := range d.box {
			d.box[i] = element(boxes, 4*at+i)
		}
		if row < int(valid) {
			if !d.finite() {
				s.inconsistent("scores", image, "the %s holds a detection that is not finite in row %d: box %v, score %v", x.name, row, d.box, d.score)
				return false
			}
			x.list = append(x.list, d)
		} else if d.score != 0 || d.class != -1 || d.box != (box{}) {
			s.inconsistent("valid_counts", image, "the %s counts %d detections, and row %d is not padding", x.name, valid, row)
			return false
		}
	}
	x.settled = make([]bool, len(x.list))
	return true
}

// obeysScores holds the detections of an execution to their own scores and boxes: listed by descending score, at or above the
// threshold, inside the image, and of one class no two that overlap by more than the suppression lets stand.
func (s *settled) obeysScores(x *execution, image int, set Setting) bool {
	for i, d := range x.list {
		switch {
		case i > 0 && d.score > x.list[i-1].score:
			s.inconsistent("scores", image, "the %s lists detection %d (score %.9g) behind detection %d (score %.9g), against its own scores",
				x.name, i, d.score, i-1, x.list[i-1].score)
			return false
		case d.score < float64(float32(set.ScoreThreshold)) || d.score > 1:
			s.inconsistent("scores", image, "the %s keeps detection %d with a score of %.9g, outside [%g, 1]", x.name, i, d.score, set.ScoreThreshold)
			return false
		case d.class < 0:
			s.inconsistent("class_ids", image, "the %s gives detection %d the class %d", x.name, i, d.class)
			return false
		case set.ImageWidth > 0 && set.ImageHeight > 0 && !d.box.inside(set.ImageWidth, set.ImageHeight):
			s.inconsistent("boxes", image, "the %s places detection %d at %v, outside the image or from right to left", x.name, i, d.box)
			return false
		}
		if k := x.overlapped(d, x.list[:i], set); k >= 0 {
			s.inconsistent("scores", image, "the %s keeps detection %d beside detection %d of class %d, which overlap by %.6g by its own boxes, above the threshold %g",
				x.name, i, k, d.class, iou(d.box, x.list[k].box), set.IoUThreshold)
			return false
		}
	}
	return true
}

// overlapped returns the place in better of a detection that certainly suppresses d, -1 for none.
func (x *execution) overlapped(d detection, better []detection, set Setting) int {
	if set.IoUThreshold == 0 {
		return -1
	}
	return slices.IndexFunc(better, func(y detection) bool {
		return y.class == d.class && iou(y.box, d.box) > float64(float32(set.IoUThreshold))+iouRounding
	})
}

// matchNear pairs detections of one class whose boxes agree within the limits.
func (d *detections) matchNear() {
	d.ref.partner, d.cand.partner = unmatched(len(d.ref.list)), unmatched(len(d.cand.list))
	d.pairUp(func(r, c detection) (float64, bool) {
		return r.box.move(c.box), r.box.near(c.box, d.limits.pixels)
	})
}

// matchFar pairs the remaining detections of one class that overlap by half or more: the same detection with a wrong box, which
// the arithmetic then shows. What is settled in either execution stays alone.
func (d *detections) matchFar() {
	d.pairUp(func(r, c detection) (float64, bool) {
		overlap := iou(r.box, c.box)
		return 1 - overlap, overlap >= 0.5 && !d.ref.settled[r.row] && !d.cand.settled[c.row]
	})
}

// candidatePair is a possible match; less distant ones are tried first.
type candidatePair struct {
	ref, cand             int
	distance, scoreChange float64
}

// pairUp matches unmatched detections of one class that near accepts: the least distant first, ties by the smaller change of
// score and then of place.
func (d *detections) pairUp(near func(r, c detection) (distance float64, ok bool)) {
	var pairs []candidatePair
	for i, r := range d.ref.list {
		for j, c := range d.cand.list {
			if r.class != c.class || d.ref.partner[i] >= 0 || d.cand.partner[j] >= 0 {
				continue
			}
			if distance, ok := near(r, c); ok {
				pairs = append(pairs, candidatePair{i, j, distance, math.Abs(c.score - r.score)})
			}
		}
	}
	slices.SortStableFunc(pairs, func(p, q candidatePair) int {
		return cmp.Or(cmp.Compare(p.distance, q.distance), cmp.Compare(p.scoreChange, q.scoreChange),
			cmp.Compare(abs(p.ref-p.cand), abs(q.ref-q.cand)))
	})
	for _, p := range pairs {
		if d.ref.partner[p.ref] < 0 && d.cand.partner[p.cand] < 0 {
			d.ref.partner[p.ref], d.cand.partner[p.cand] = p.cand, p.ref
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
	rank.allowed = d.allowedScores()
	var refOrder, candOrder []int
	for i, j := range d.ref.partner {
		rank.ref = append(rank.ref, d.ref.list[i].score)
		if j < 0 {
			rank.cand = append(rank.cand, d.ref.list[i].score)
			continue
		}
		rank.cand = append(rank.cand, d.cand.list[j].score)
		refOrder = append(refOrder, i)
	}
	for _, i := range d.cand.partner {
		if i >= 0 {
			candOrder = append(candOrder, i)
		}
	}
	s.add(rank.order(refOrder, candOrder)...)
}

// settleEdges finds matched boxes of which an edge rounds to different cells, by their place in the reference. The mask of such a
// detection differs by a row or column, and its pooled features by a cell, without an error of arithmetic.
func (s *settled) settleEdges(d *detections, ref tensor.List, set Setting) map[int]pair {
	flips := map[int]pair{}
	if set.ImageHeight < 1 || set.ImageWidth < 1 {
		return flips
	}
	stride := cmp.Or(set.FeatureStride, 8)
	for i, j := range d.ref.partner {
		if j < 0 || !d.ref.list[i].box.near(d.cand.list[j].box, d.limits.pixels) { // a wrong box is a matter of arithmetic
			continue
		}
		if _, found := s.edge(d, i, j, "feature", set.ImageHeight/stride, set.ImageWidth/stride, set); found {
			flips[i] = pair{edge: featureEdge}
		} else if mask := ref.Get("mask_logits"); mask != nil && mask.Rank() == 4 {
			if cells, found := s.edge(d, i, j, "mask", mask.Shape()[2], mask.Shape()[3], set); found {
				flips[i] = pair{edge: maskEdge, cells: cells}
			}
		}
	}
	return flips
}

// edge records the sides of one matched box that cover other cells of a grid, if any, and returns the cells of both.
func (s *settled) edge(d *detections, i, j int, grid string, height, width int, set Setting) (covered [2][2][2]int, found bool) {
	r, c := d.ref.list[i].box, d.cand.list[j].box
	for axis, side := range []struct {
		name         string
		size, extent int
	}{{"columns", width, set.ImageWidth}, {"rows", height, set.ImageHeight}} {
		was := cells(r[axis], r[axis+2], side.size, side.extent)
		is := cells(c[axis], c[axis+2], side.size, side.extent)
		covered[0][axis], covered[1][axis] = was, is
		if was == is {
			continue
		}
		found = true
		gap := max(math.Abs(r[axis]-c[axis]), math.Abs(r[axis+2]-c[axis+2]))
		flip := Decision{Kind: EdgeRounding, Output: "boxes", Image: d.image, Verdict: judge(gap, gap, roundingFloor*float64(side.extent)),
			Items:   fmt.Sprintf("detection %d", d.ref.list[i].row),
			Where:   fmt.Sprintf("covers %s %d to %d of the %s grid in the reference, %d to %d in the candidate", side.name, was[0], was[1], grid, is[0], is[1]),
			Measure: "coordinates", Gap: Number(gap), Moved: Number(gap)}
		flip.hold(d.allowedCorner(d.ref.list[i].row, axis, axis+2))
		s.add(flip)
	}
	return covered, found
}
