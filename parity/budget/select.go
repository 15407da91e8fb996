package budget

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// CheckSelection holds kept detections to the predictions they were chosen from, as the operator's definition has it, with what
// rounding leaves open: scores that differ by no more than λ spreads may come in either order, and an overlap that is as near to
// the threshold may suppress or not. Whatever an execution keeps has to be one of the best of its level and above the threshold, and what it does not keep
// suppressed by a kept one, or behind the last. The error says what is not.
func (b *Budget) CheckSelection(op graph.SelectDetections, in []Value, pairs, counts *tensor.Tensor) error {
	p := &pyramid{in, op.Strides, float64(op.ImageHeight), float64(op.ImageWidth)}
	for sample, n := range tensor.Data[int64](counts) {
		row := tensor.Data[int64](pairs)[sample*op.MaxDetections : (sample+1)*op.MaxDetections]
		if n < 0 || int(n) > len(row) {
			return fmt.Errorf("sample %d: %d detections are kept, of at most %d", sample, n, len(row))
		}
		s := selection{b: b, op: op, p: p, sample: sample}
		if err := s.check(row, int(n)); err != nil {
			return fmt.Errorf("sample %d: %w", sample, err)
		}
	}
	return nil
}

// selection is the check of one sample.
type selection struct {
	*pyramidOf
	b      *Budget
	op     graph.SelectDetections
	p      *pyramid
	sample int
}

// pyramidOf are the candidates of a sample: pairs whose score is not certainly below the threshold.
type pyramidOf struct {
	all    []candidate
	enough []float64 // by level: the score of the last that the cut by rank keeps, -Inf where none is cut
}

// candidate is a pair of an anchor and a class.
type candidate struct {
	pair, class, level int
	score, scoreSlack  float64
	box                [4]float64
	boxSlack           float64 // of a corner, in pixels
}

func (s *selection) check(row []int64, n int) error {
	s.collect()
	var kept []candidate
	for i, pair := range row {
		switch at := slices.IndexFunc(s.all, func(c candidate) bool { return c.pair == int(pair) }); {
		case i >= n && pair != 0:
			return fmt.Errorf("the pair %d stands behind the %d that are kept", pair, n)
		case i >= n:
		case at < 0:
			return fmt.Errorf("the pair %d is kept, whose score is below the threshold %g", pair, s.op.ScoreThreshold)
		default:
			kept = append(kept, s.all[at])
		}
	}
	for i, k := range kept {
		if i > 0 && k.score > kept[i-1].score+k.scoreSlack+kept[i-1].scoreSlack {
			return fmt.Errorf("the pair %d with the score %.9g comes behind one with %.9g", k.pair, k.score, kept[i-1].score)
		}
		if k.score+k.scoreSlack < s.enough[k.level] {
			return fmt.Errorf("the pair %d with the score %.9g is kept and not among the best %d of its level", k.pair, k.score, s.op.PreNMSTopK)
		}
		for _, other := range kept[:i] {
			if overlap, slack := s.overlap(other, k); other.pair == k.pair || other.class == k.class && overlap > float64(s.op.IoUThreshold)+slack {
				return fmt.Errorf("the pairs %d and %d are both kept and overlap by %.9g", other.pair, k.pair, overlap)
			}
		}
	}
	return s.missing(kept)
}

// missing looks for a candidate that is certainly above the threshold, and that is left out for no cause.
func (s *selection) missing(kept []candidate) error {
	for _, c := range s.all {
		left := c.score-c.scoreSlack >= float64(s.op.ScoreThreshold) && !slices.ContainsFunc(kept, func(k candidate) bool { return k.pair == c.pair })
		behind := len(kept) == s.op.MaxDetections && (len(kept) == 0 || c.score-c.scoreSlack <= kept[len(kept)-1].score+kept[len(kept)-1].scoreSlack)
		if !left || behind || c.score-c.scoreSlack <= s.enough[c.level] {
			continue
		}
		if !slices.ContainsFunc(kept, func(k candidate) bool {
			overlap, slack := s.overlap(k, c)
			return k.class == c.class && k.score+k.scoreSlack+c.scoreSlack >= c.score && overlap > float64(s.op.IoUThreshold)-slack
		}) {
			return fmt.Errorf("the pair %d with the score %.9g is left out, and nothing that is kept suppresses it", c.pair, c.score)
		}
	}
	return nil
}

// collect lists the candidates and the cut of every level.
func (s *selection) collect() {
	s.pyramidOf = &pyramidOf{}
	next, classes := 0, s.p.in[0].Shape()[1]
	for l := range s.p.strides {
		first := len(s.all)
		for cell := range s.p.cells(l) {
			a := anchor{l, cell, s.sample}
			for class := range classes {
				score, spread := s.p.score(a, class)
				if slack := s.b.Factor * spread; score+slack >= float64(s.op.ScoreThreshold) {
					box, off := s.p.box(a)
					s.all = append(s.all, candidate{next, class, l, score, slack, box, s.b.Factor * slices.Max(off[:])})
				}
				next++
			}
		}
		s.enough = append(s.enough, math.Inf(-1))
		if level := slices.Clone(s.all[first:]); len(level) > s.op.PreNMSTopK {
			slices.SortFunc(level, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
			s.enough[l] = level[s.op.PreNMSTopK-1].score
		}
	}
}

// overlap is the intersection over the union of two boxes, and what the errors of their corners may change of it.
func (s *selection) overlap(a, b candidate) (iou, slack float64) {
	width := max(0, min(a.box[2], b.box[2])-max(a.box[0], b.box[0]))
	height := max(0, min(a.box[3], b.box[3])-max(a.box[1], b.box[1]))
	area := func(c candidate) float64 { return (c.box[2] - c.box[0]) * (c.box[3] - c.box[1]) }
	union := max(area(a)+area(b)-width*height, 1e-9)
	perimeter := 2 * (a.box[2] - a.box[0] + a.box[3] - a.box[1] + b.box[2] - b.box[0] + b.box[3] - b.box[1])
	return width * height / union, (a.boxSlack+b.boxSlack)*perimeter/union + 8*Unit*s.b.Factor
}
