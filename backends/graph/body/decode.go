package body

import (
	"github.com/apex-x/apexx/backends/graph"
)

// rejected is the score of a pair that is not a candidate, dropped the bar between it and real scores, which are ≥ 0.
// NonMaxSuppression takes boxes with a score > its threshold, so the operator's ≥ must be decided before.
const (
	rejected = -1
	dropped  = -0.5
)

// decodeNMS: A anchors of all levels, P candidates, the anchor of candidate p kept beside its score and class.
func decodeNMS(b *builder, o graph.DecodeNMS, in []graph.Type) *Function {
	p := pyramidOf(o, in)
	if o.MaxDetections == 0 {
		return noDetections(b, p.batch)
	}
	boxLogits := p.joined(b, 1, 4)
	scores, anchors, classes := p.candidates(b, boxLogits, o.ScoreThreshold, o.PreNMSTopK)
	boxes := p.boxes(b, boxLogits, anchors)
	kept := suppress(b, boxes, scores, classes, p, o)
	return b.finish(detections(b, boxes, kept, classes, p, o.MaxDetections)...)
}

// noDetections: with no rows to fill there is nothing to compute.
func noDetections(b *builder, batch int) *Function {
	none := []float32{}
	return b.finish(constant(b, none, batch, 0, 4), constant(b, none, batch, 0), constant(b, []int64{}, batch, 0),
		constant(b, make([]int64, batch), batch))
}

// pyramid knows the inputs: levels in order, their anchors numbered through, row by row.
type pyramid struct {
	batch, classes, levels int
	sizes                  []int // anchors per level
	anchors, kept          int   // A and P
	centres, strides       []float32
	imageH, imageW         int
}

func pyramidOf(o graph.DecodeNMS, in []graph.Type) pyramid {
	p := pyramid{batch: in[0].Shape[0], classes: in[0].Shape[1], levels: len(o.Strides), imageH: o.ImageHeight, imageW: o.ImageWidth}
	for l, stride := range o.Strides {
		h, w := in[l].Shape[2], in[l].Shape[3]
		p.sizes = append(p.sizes, h*w)
		p.anchors += h * w
		p.kept += min(o.PreNMSTopK, h*w*p.classes)
		for i := range h * w {
			x, y := (float32(i%w)+0.5)*float32(stride), (float32(i/w)+0.5)*float32(stride)
			p.centres = append(p.centres, x, y, x, y)
			p.strides = append(p.strides, float32(stride))
		}
	}
	return p
}

// joined concatenates one kind of map over the levels, anchors last: [B,C,A]. Kind 0 is cls, 1 box, 2 quality.
func (p pyramid) joined(b *builder, kind, channels int) value {
	var parts []value
	for l, n := range p.sizes {
		parts = append(parts, b.reshape(b.in(kind*p.levels+l), p.batch, channels, n))
	}
	return b.concat(2, parts...)
}

// candidates returns the score (or rejected), anchor and class of the best pairs of every level, levels in order: [B,P] each.
func (p pyramid) candidates(b *builder, boxLogits value, threshold float32, topK int) (scores, anchors, classes value) {
	// σ(cls)·σ(quality) as one quotient. Sigmoid of ONNX Runtime is off by 5e-8 and 0 below -18, which would reorder small
	// scores; and it rewrites (1/u)·(1/v) as (1/v)/u, which is not symmetric: equal scores would cease to be equal.
	one := b.float(1)
	inverse := func(x value) value { return b.do("Add", one, b.do("Exp", b.do("Neg", x))) } // 1/σ(x)
	score := b.do("Div", one, b.do("Mul", inverse(p.joined(b, 0, p.classes)), inverse(p.joined(b, 2, 1))))

	// No comparison holds for NaN, so a NaN score is rejected here; a NaN in the box of an anchor rejects its pairs.
	passes := b.do("GreaterOrEqual", score, b.float(float64(threshold)))
	broken := b.reduce("ReduceMax", b.cast(b.do("IsNaN", boxLogits), onnxFloat), 1)
	passes = b.do("And", passes, b.do("Less", broken, b.float(0.5)))
	score = b.transpose(b.do("Where", passes, score, b.float(rejected)), 0, 2, 1) // [B,A,C]: anchor-major

	var best, pair []value
	first := 0
	levels := b.split(score, 1, p.sizes...)
	for l, n := range p.sizes {
		s, i := b.top(b.reshape(levels[l], p.batch, n*p.classes), min(topK, n*p.classes), true)
		best, pair = append(best, s), append(pair, b.do("Add", i, b.int(first*p.classes)))
		first += n
	}
	index := b.concat(1, pair...) // anchor·classes + class
	return b.concat(1, best...), b.do("Div", index, b.int(p.classes)), b.do("Mod", index, b.int(p.classes))
}

// boxes decodes the boxes of the given anchors [B,P] → [B,P,4]: the centre moved by softplus(clamp(logit))·stride to the
// left, up, right and down, then clamped to the image.
func (p pyramid) boxes(b *builder, boxLogits, anchors value) value {
	logits := b.gatherRows(b.transpose(boxLogits, 0, 2, 1), b.reshape(anchors, p.batch, p.kept, 1))
	centre := b.gather(constant(b, p.centres, p.anchors, 4), anchors, 0)
	stride := b.gather(constant(b, p.strides, p.anchors, 1), anchors, 0)

	distance := b.do("Mul", b.do("Softplus", b.do("Clip", logits, b.float(-20), b.float(20))), stride)
	box := b.do("Add", centre, b.do("Mul", distance, constant(b, []float32{-1, -1, 1, 1}, 4)))
	w, h := float32(p.imageW), float32(p.imageH)
	return b.do("Min", b.do("Max", box, b.float(0)), constant(b, []float32{w, h, w, h}, 4))
}

// suppress returns the scores [B,P] with every candidate that class-wise suppression drops at rejected. NonMaxSuppression
// treats the classes apart when each has its own row of scores. No class can fill more than MaxDetections rows. Boxes without
// area have IoU 0 there too; but it has no floor under the union, so that boxes with a union below 1e-9 square pixels, which
// meet only in a corner of the image where both are cut off, suppress each other.
func suppress(b *builder, boxes, scores, classes value, p pyramid, o graph.DecodeNMS) value {
	perClass := b.reshape(scores, p.batch, 1, p.kept)
	if p.classes > 1 {
		ids := make([]int64, p.classes)
		for c := range ids {
			ids[c] = int64(c)
		}
		mine := b.do("Equal", b.reshape(classes, p.batch, 1, p.kept), constant(b, ids, p.classes, 1))
		perClass = b.do("Where", mine, perClass, b.float(rejected)) // [B,C,P]
	}
	chosen := b.do("NonMaxSuppression", boxes, perClass, b.ints(o.MaxDetections),
		constant(b, []float32{o.IoUThreshold}, 1), constant(b, []float32{dropped}, 1)) // rows (sample, class, candidate)
	where := b.gather(chosen, b.ints(0, 2), 1)

	none := make([]float32, p.batch*p.kept)
	for i := range none {
		none[i] = rejected
	}
	return b.do("ScatterND", constant(b, none, p.batch, p.kept), where, b.do("GatherND", scores, where))
}

// detections lists the best survivors by score and then position, in rows padded to MaxDetections, and counts them.
func detections(b *builder, boxes, kept, classes value, p pyramid, rows int) []value {
	n := min(rows, p.kept)
	score, best := b.top(kept, n, true)
	valid := b.do("Greater", score, b.float(dropped))
	box := b.gatherRows(boxes, b.reshape(best, p.batch, n, 1))
	out := []value{
		b.do("Where", b.reshape(valid, p.batch, n, 1), box, b.float(0)),
		b.do("Where", valid, score, b.float(0)),
		b.do("Where", valid, b.gatherElements(classes, best, 1), b.int(-1)),
	}
	if n < rows {
		padding := b.ints(0, rows-n)
		for i, fill := range []value{b.float(0), b.float(0), b.int(-1)} {
			out[i] = b.do("Pad", out[i], padding, fill, b.ints(1))
		}
	}
	count := b.with("ReduceSum", []Attr{{"keepdims", int64(0)}}, b.cast(valid, onnxInt64), b.ints(1))
	return append(out, count)
}
