package parity

import (
	"fmt"
	"math"

	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/budget"
)

// What rounding may leave of the gaps between scores, boxes and thresholds. Items round independently: their gap has the root of the sum
// of their squares. Where the budget of any part of a gap is not known, that of the gap is not.

// margin is how many spreads rounding may move an item of a whole run.
func (b *Budgets) margin() float64 { return budget.Dependent * b.scaled() }

// row returns how far rounding may move the scores [B,K] of an image, nil where nobody derived it.
func (b *Budgets) row(output string, of *tensor.Tensor, image int) []float64 {
	if of == nil {
		return nil
	}
	all := b.spreads(output, of.Shape())
	if all == nil {
		return nil
	}
	width := of.Shape()[1]
	return b.margins(all[image*width : (image+1)*width])
}

func (b *Budgets) margins(spreads []float64) []float64 {
	out := make([]float64, len(spreads))
	for i, s := range spreads {
		out[i] = b.margin() * s
	}
	return out
}

// spreadsOf returns those of an output per detection of the image, n numbers a row; nil where nobody derived them.
func (d *detections) spreadsOf(output string, n int) []float64 {
	if d.budgets == nil {
		return nil
	}
	t := d.budgets.Spreads.Get(output)
	if t == nil || t.Len() < (d.image+1)*d.rows*n {
		return nil
	}
	return d.budgets.margins(tensor.Data[float64](t)[d.image*d.rows*n : (d.image+1)*d.rows*n])
}

// allowedScores returns how far rounding may move the scores of the reference's detections, in its order.
func (d *detections) allowedScores() []float64 {
	rows := d.spreadsOf("scores", 1)
	if rows == nil {
		return nil
	}
	out := make([]float64, len(d.ref.list))
	for i, x := range d.ref.list {
		out[i] = rows[x.row]
	}
	return out
}

// allowedCorner returns how far rounding may move the worse of some coordinates of a row of the reference.
func (d *detections) allowedCorner(row int, coordinates ...int) (most float64, known bool) {
	boxes := d.spreadsOf("boxes", 4)
	if boxes == nil {
		return 0, false
	}
	for _, i := range coordinates {
		most = max(most, boxes[4*row+i])
	}
	return most, true
}

// logit returns a dense logit of an execution, and how far rounding may move the reference's.
func (d *detections) logit(p *predictions, kind string, at prediction, channel int) (v, allowed float64, known bool) {
	l := &p.levels[at.level]
	values := map[string][]float64{"cls": l.cls, "box": l.box, "quality": l.quality}[kind]
	plane := l.h * l.w
	i := channel*plane + at.anchor
	if d.budgets == nil {
		return values[i], 0, false
	}
	t := d.budgets.Spreads.Get(fmt.Sprintf("tap.det.%s.P%d", kind, at.level+3))
	if t == nil || t.Len() < (d.image+1)*len(values) {
		return values[i], 0, false
	}
	return values[i], d.budgets.margin() * tensor.Data[float64](t)[d.image*len(values)+i], true
}

// allowedScore returns how far rounding may move the score σ(cls)·σ(quality) of a prediction.
func (d *detections) allowedScore(p *predictions, at prediction) (float64, bool) {
	cls, s, known := d.logit(p, "cls", at, int(at.class))
	quality, t, also := d.logit(p, "quality", at, 0)
	if !known || !also {
		return 0, false
	}
	c, q := routing.Sigmoid(cls), routing.Sigmoid(quality)
	own := d.budgets.margin() * 2 * budget.Unit * (4*c*q + 1)
	return math.Hypot(math.Hypot(c*(1-c)*q*s, c*q*(1-q)*t), own), true
}

// allowedBox returns how far rounding may move a corner of a prediction's box, in pixels.
func (d *detections) allowedBox(p *predictions, at prediction) (most float64, known bool) {
	stride := p.levels[at.level].stride
	for side := range 4 {
		x, s, ok := d.logit(p, "box", at, side)
		if !ok {
			return 0, false
		}
		distance := stride * math.Log1p(math.Exp(max(-20, min(20, x))))
		own := d.budgets.margin() * budget.Unit * (stride*(4*distance/stride+1) + max(p.width, p.height))
		most = max(most, math.Hypot(stride*routing.Sigmoid(x)*s, own))
	}
	return most, true
}

// allowedOverlap returns how far rounding may move the overlap of a prediction with the detection that suppresses it: of places k in v and
// row in w.
func (d *detections) allowedOverlap(v, w *execution, p prediction, b box, k, row int) (float64, bool) {
	mine, known := d.allowedBox(w.dense, p)
	other, also := d.allowedCorner(d.ofReference(v, k, row), 0, 1, 2, 3)
	return iouSlack(b, v.list[k].box, max(mine, other)), known && also
}

// ofReference returns the row of the reference, of a pair of places in v and in the other execution.
func (d *detections) ofReference(v *execution, inV, inOther int) int {
	if v == d.ref {
		return d.ref.list[inV].row
	}
	return d.ref.list[inOther].row
}

// allowedCut returns how far rounding may move the score of a prediction and that of the last row of w apart.
func (d *detections) allowedCut(w *execution, p prediction) (float64, bool) {
	mine, known := d.allowedScore(w.dense, p)
	rows := d.spreadsOf("scores", 1)
	last := len(w.list) - 1
	if w != d.ref {
		last = w.partner[last]
	}
	if !known || rows == nil || last < 0 {
		return 0, false
	}
	return math.Hypot(mine, rows[d.ref.list[last].row]), true
}
