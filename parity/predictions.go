package parity

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/backends/tensor"
)

// predictions are the dense logits of one image in one execution, from the taps det.cls, det.box and det.quality. They hold
// the detections that were suppressed or cut, so they prove that a missing detection was dropped for a cause, or that it was not.
type predictions struct {
	levels        []pyramidLevel
	height, width float64 // of the image, 0 where unknown
}

type pyramidLevel struct {
	cls, box, quality []float64 // [classes,h,w], [4,h,w], [h,w]
	classes, h, w     int
	stride            float64
	enough            float64 // the least score that the cut by PreNMSTopK lets pass, 0 where it drops nothing
}

// scoreRounding bounds what the float32 arithmetic of a score in [0,1] makes of equal logits.
const scoreRounding = 2e-6

// boxRounding bounds what float32 arithmetic makes of a coordinate in an image, in pixels.
func (p *predictions) boxRounding() float64 { return 1e-4 + 1e-6*max(p.width, p.height) }

// readPredictions returns the recorded predictions of one image, nil where the taps are absent or incomplete.
func readPredictions(outputs tensor.List, image int, set Setting) *predictions {
	p := &predictions{height: float64(set.ImageHeight), width: float64(set.ImageWidth)}
	for level := 3; level <= 7; level++ {
		part := func(kind string) *tensor.Tensor { return outputs.Get(fmt.Sprintf("tap.det.%s.P%d", kind, level)) }
		cls, box, quality := part("cls"), part("box"), part("quality")
		if cls == nil || box == nil || quality == nil || cls.Rank() != 4 || image >= cls.Shape()[0] {
			return nil
		}
		s := cls.Shape()
		if !slices.Equal(box.Shape(), []int{s[0], 4, s[2], s[3]}) || !slices.Equal(quality.Shape(), []int{s[0], 1, s[2], s[3]}) {
			return nil
		}
		l := pyramidLevel{cls: imageOf(cls, image), box: imageOf(box, image), quality: imageOf(quality, image),
			classes: s[1], h: s[2], w: s[3], stride: float64(int(1) << level)}
		l.enough = l.leastKept(set)
		p.levels = append(p.levels, l)
	}
	return p
}

// imageOf returns the elements of one image of a floating-point tensor as float64.
func imageOf(t *tensor.Tensor, image int) []float64 {
	n := rowLength(t, 1)
	if t.DType() == tensor.Float64 {
		return tensor.Data[float64](t)[image*n : (image+1)*n]
	}
	out := make([]float64, n)
	for i, v := range tensor.Data[float32](t)[image*n : (image+1)*n] {
		out[i] = float64(v)
	}
	return out
}

// above calls do for every prediction with a score of at least least.
func (l *pyramidLevel) above(least float64, do func(anchor, class int, score float64)) {
	floor := math.Inf(-1)
	if t := min(max(least, 0), 0.99); t > 0 {
		floor = math.Log(t/(1-t)) - 1e-3 // a smaller logit has a smaller score, whatever the quality
	}
	plane := l.h * l.w
	for class := range l.classes {
		for anchor, logit := range l.cls[class*plane : (class+1)*plane] {
			if logit < floor {
				continue
			}
			if score := routing.Sigmoid(logit) * routing.Sigmoid(l.quality[anchor]); score >= least {
				do(anchor, class, score)
			}
		}
	}
}

// leastKept returns the score of the last candidate of a level that the cut by rank lets pass.
func (l *pyramidLevel) leastKept(set Setting) float64 {
	if set.PreNMSTopK == 0 {
		return 0
	}
	var scores []float64
	l.above(set.ScoreThreshold, func(_, _ int, score float64) { scores = append(scores, score) })
	if len(scores) <= set.PreNMSTopK {
		return 0
	}
	slices.SortFunc(scores, func(a, b float64) int { return cmp.Compare(b, a) })
	return scores[set.PreNMSTopK-1]
}

// prediction is a detection that the decoder could choose, and whether it may have been cut within its level.
type prediction struct {
	detection
	enough        float64 // see pyramidLevel
	level, anchor int     // where it is predicted
}

// find returns what was predicted of x's class within the limits of x: the least different in score.
func (p *predictions) find(x detection, lim limits) (best prediction, ok bool) {
	for i := range p.levels {
		l := &p.levels[i]
		if x.class < 0 || x.class >= int64(l.classes) {
			return prediction{}, false
		}
		plane := l.h * l.w
		for at := range plane {
			score := routing.Sigmoid(l.cls[int(x.class)*plane+at]) * routing.Sigmoid(l.quality[at])
			if !(math.Abs(score-x.score) <= lim.score+scoreRounding) || ok && math.Abs(score-x.score) >= math.Abs(best.score-x.score) {
				continue
			}
			if b := p.decode(l, at); b.near(x.box, lim.pixels+p.boxRounding()) {
				best, ok = prediction{detection{box: b, score: score, class: x.class}, l.enough, i, at}, true
			}
		}
	}
	return best, ok
}

// decode returns the box of an anchor: distances softplus(clamp(logit, -20, 20))·stride from its centre, clamped to the image
// (spec/model.md 3.17).
func (p *predictions) decode(l *pyramidLevel, at int) box {
	plane := l.h * l.w
	cx, cy := (float64(at%l.w)+0.5)*l.stride, (float64(at/l.w)+0.5)*l.stride
	distance := func(side int) float64 {
		return math.Log1p(math.Exp(max(-20, min(20, l.box[side*plane+at])))) * l.stride
	}
	b := box{cx - distance(0), cy - distance(1), cx + distance(2), cy + distance(3)}
	if p.width > 0 && p.height > 0 {
		for i, most := range []float64{p.width, p.height, p.width, p.height} {
			b[i] = max(0, min(most, b[i]))
		}
	}
	return b
}

// dropCause says by which rule an execution drops a prediction.
type dropCause uint8

const (
	notDropped dropCause = iota
	byThreshold
	bySuppression
	byRank
)

// drop is why an execution does not list a prediction.
type drop struct {
	by    dropCause
	row   int     // of the suppressor
	score float64 // of the last that was not cut
	text  string
}

// dropped looks for the cause by which an execution, by its own numbers, does not list a prediction of its own.
func (x *execution) dropped(p prediction, set Setting) drop {
	if p.score < float64(float32(set.ScoreThreshold))+scoreRounding {
		return drop{by: byThreshold, text: fmt.Sprintf("is below the threshold %g in the %s", set.ScoreThreshold, x.name)}
	}
	for _, y := range x.list {
		if y.class == p.class && y.score >= p.score-scoreRounding && iou(y.box, p.box) > float64(float32(set.IoUThreshold))-iouRounding {
			return drop{by: bySuppression, row: y.row, text: fmt.Sprintf("is suppressed in the %s by its detection %d", x.name, y.row)}
		}
	}
	if n := len(x.list); n == x.rows && (n == 0 || p.score <= x.list[n-1].score+scoreRounding) {
		d := drop{by: byRank, text: fmt.Sprintf("falls behind the last of the %d rows of the %s", x.rows, x.name)}
		if n > 0 {
			d.score = x.list[n-1].score
		}
		return d
	}
	if p.score <= p.enough+scoreRounding {
		return drop{by: byRank, score: p.enough, text: fmt.Sprintf("is not among the best %d of its level in the %s", set.PreNMSTopK, x.name)}
	}
	return drop{}
}

// obeysPredictions holds an execution to its own predictions: it lists nothing that it does not predict, and what it predicts above
// the threshold and does not list is suppressed by what it lists, or cut.
func (s *settled) obeysPredictions(x *execution, image int, set Setting) bool {
	if x.dense == nil || set.IoUThreshold == 0 {
		return true
	}
	exact := limits{} // the rounding of the arithmetic alone
	for i, d := range x.list {
		if _, ok := x.dense.find(d, exact); !ok {
			s.inconsistent("boxes", image, "the %s lists detection %d (class %d, score %.9g, box %.6v), which its own logits do not predict",
				x.name, i, d.class, d.score, d.box)
			return false
		}
	}
	ok := true
	for i := range x.dense.levels {
		l := &x.dense.levels[i]
		l.above(float64(float32(set.ScoreThreshold))+scoreRounding, func(anchor, class int, score float64) {
			p := prediction{detection{box: x.dense.decode(l, anchor), score: score, class: int64(class)}, l.enough, i, anchor}
			if ok && p.finite() && !x.lists(p) && x.dropped(p, set).by == notDropped {
				s.inconsistent("scores", image, "the %s predicts a detection (class %d, score %.9g, box %.6v) above the threshold that it does not list, suppress or cut",
					x.name, class, score, p.box)
				ok = false
			}
		})
	}
	return ok
}

// lists tells whether a prediction is among the detections.
func (x *execution) lists(p prediction) bool {
	return slices.ContainsFunc(x.list, func(d detection) bool {
		return d.class == p.class && math.Abs(d.score-p.score) <= scoreRounding && d.box.near(p.box, x.dense.boxRounding())
	})
}
