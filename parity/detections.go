package parity

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/apex-x/apexx/backends/tensor"
)

// detection is one valid row of boxes, scores and class_ids.
type detection struct {
	row   int
	box   box
	score float64
	class int64
}

// detections are the valid rows of one image in both executions, with the rows that were matched.
type detections struct {
	image             int
	ref, cand         []detection
	refRows, candRows int   // rows of the outputs, padding included
	partnerOfRef      []int // place in cand, -1 for none
	partnerOfCand     []int
	scoreMoved        float64 // largest move of a matched score, at least its rounding
	scoreRounding     float64
	boxMoved          float64 // largest move of a matched coordinate, at least its rounding
}

// compareDetections settles the detections of every image and records which rows correspond, so that arithmetic is compared
// detection by detection. Images that were computed from other tiles are left out: their detections differ honestly.
func (s *settled) compareDetections(ref, cand tensor.List, set Setting) {
	if !detectionOutputs(ref, cand) {
		return
	}
	s.decided["class_ids"], s.decided["valid_counts"] = true, true
	var plan alignments
	for image, rerouted := range s.rerouted {
		rows := ref.Get("scores").Shape()[1]
		d := &detections{image: image, refRows: rows, candRows: rows}
		var okRef, okCand bool
		d.ref, okRef = s.readDetections(ref, image, "reference")
		d.cand, okCand = s.readDetections(cand, image, "candidate")
		if rerouted || !okRef || !okCand {
			plan.leaveOut(image)
			continue
		}
		s.compared++
		d.match()
		s.settleOrder(d)
		s.settleMissing(d, set)
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

// readDetections reads the rows of one image and checks that the rows beyond the count are padding: box and score 0, class -1.
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
			out = append(out, d)
		} else if d.score != 0 || d.class != -1 || d.box != (box{}) {
			s.inconsistent("valid_counts", image, "the %s counts %d detections, and row %d is not padding", side, valid, row)
			return nil, false
		}
	}
	return out, true
}

// match pairs detections of one class, the most similar boxes first, ties by the nearer score and then the nearer row. Boxes
// that overlap by less than half are different detections.
func (d *detections) match() {
	type pair struct {
		ref, cand        int
		similarity, step float64
	}
	var pairs []pair
	for i, r := range d.ref {
		for j, c := range d.cand {
			if r.class != c.class {
				continue
			}
			if like := similarity(r.box, c.box); like >= 0.5 {
				pairs = append(pairs, pair{i, j, like, scoreStep(r.score, c.score)})
			}
		}
	}
	sort.SliceStable(pairs, func(a, b int) bool {
		p, q := pairs[a], pairs[b]
		if p.similarity != q.similarity {
			return p.similarity > q.similarity
		}
		if p.step != q.step {
			return p.step < q.step
		}
		return abs(p.ref-p.cand) < abs(q.ref-q.cand)
	})
	d.partnerOfRef, d.partnerOfCand = unmatched(len(d.ref)), unmatched(len(d.cand))
	for _, p := range pairs {
		if d.partnerOfRef[p.ref] < 0 && d.partnerOfCand[p.cand] < 0 {
			d.partnerOfRef[p.ref], d.partnerOfCand[p.cand] = p.cand, p.ref
		}
	}
	d.measureMoves()
}

// scoreStep is a sortable distance of two scores.
func scoreStep(a, b float64) float64 {
	if d := math.Abs(a - b); !math.IsNaN(d) {
		return d
	}
	return math.Inf(1)
}

func unmatched(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = -1
	}
	return out
}

func abs(n int) int { return max(n, -n) }

// measureMoves sets how far matched scores and boxes moved, and the levels of rounding.
func (d *detections) measureMoves() {
	var score, extent float64
	for i, r := range d.ref {
		score = max(score, finiteOr0(r.score))
		for _, v := range r.box {
			extent = max(extent, finiteOr0(v))
		}
		if j := d.partnerOfRef[i]; j >= 0 {
			d.scoreMoved = max(d.scoreMoved, finiteOr0(d.cand[j].score-r.score))
			d.boxMoved = max(d.boxMoved, finiteOr0(r.box.move(d.cand[j].box)))
		}
	}
	d.scoreRounding = score * roundingFloor
	d.scoreMoved = max(d.scoreMoved, d.scoreRounding)
	d.boxMoved = max(d.boxMoved, extent*roundingFloor)
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
		if j < 0 {
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
		s.add(Decision{Kind: EdgeRounding, Output: "boxes", Image: d.image, Verdict: judge(gap, d.boxMoved, d.boxMoved),
			Items:   fmt.Sprintf("detection %d", d.ref[i].row),
			Where:   fmt.Sprintf("covers %s %d to %d of the %s grid in the reference, %d to %d in the candidate", side.name, was[0], was[1], grid, is[0], is[1]),
			Measure: "coordinates", Gap: Number(gap), Moved: Number(d.boxMoved)})
	}
	return found
}
