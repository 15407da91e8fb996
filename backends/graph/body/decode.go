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

// selectDetections: A anchors of all levels, P candidates, the pair of candidate p kept beside its score.
func selectDetections(b *builder, o graph.SelectDetections, in []graph.Type) *Function {
	p := pyramidOf(o.Strides, o.ImageHeight, o.ImageWidth, in)
	if o.MaxDetections == 0 { // nothing to compute
		return b.finish(constant(b, []int64{}, p.batch, 0), constant(b, make([]int64, p.batch), p.batch))
	}
	boxLogits := p.joined(b, 1, 4)
	scores, pairs := p.candidates(b, boxLogits, o)
	boxes := p.boxes(b, boxLogits, pairs, p.candidatesIn(o))
	kept := suppress(b, boxes, scores, pairs, p, o)
	return b.finish(survivors(b, kept, pairs, p, o)...)
}

// decodeBoxes computes the scores of all pairs, as selection does, and gathers those of the kept ones, so that they are bit for bit
// what ranked them: vectorised functions may round the end of a tensor in another way. A runtime that eliminates common
// subexpressions computes them once.
func decodeBoxes(b *builder, o graph.DecodeBoxes, in []graph.Type) *Function {
	p := pyramidOf(o.Strides, o.ImageHeight, o.ImageWidth, in)
	pairs, count := b.in(3*p.levels), b.in(3*p.levels+1)
	n := in[3*p.levels].Shape[1]
	if n == 0 {
		return b.finish(constant(b, []float32{}, p.batch, 0, 4), constant(b, []float32{}, p.batch, 0), constant(b, []int64{}, p.batch, 0))
	}
	boxes := p.boxes(b, p.joined(b, 1, 4), pairs, n)
	classes := b.do("Mod", pairs, b.int(p.classes))
	at := b.do("Add", b.do("Mul", classes, b.int(p.anchors)), b.do("Div", pairs, b.int(p.classes))) // in [C,A]
	scores := b.gatherElements(b.reshape(p.scores(b), p.batch, p.classes*p.anchors), at, 1)
	row := make([]int64, n)
	for i := range row {
		row[i] = int64(i)
	}
	valid := b.do("Less", constant(b, row, n), b.reshape(count, p.batch, 1))
	return b.finish(
		b.do("Where", b.reshape(valid, p.batch, n, 1), boxes, b.float(0)),
		b.do("Where", valid, scores, b.float(0)),
		b.do("Where", valid, classes, b.int(-1)))
}

// pyramid knows the predictions: levels in order, their anchors numbered through, row by row.
type pyramid struct {
	batch, classes, levels int
	sizes                  []int // anchors per level
	anchors                int   // A
	centres, strides       []float32
	imageH, imageW         int
}

func pyramidOf(strides []int, imageH, imageW int, in []graph.Type) pyramid {
	p := pyramid{batch: in[0].Shape[0], classes: in[0].Shape[1], levels: len(strides), imageH: imageH, imageW: imageW}
	for l, stride := range strides {
		h, w := in[l].Shape[2], in[l].Shape[3]
		p.sizes = append(p.sizes, h*w)
		p.anchors += h * w
		for i := range h * w {
			x, y := (float32(i%w)+0.5)*float32(stride), (float32(i/w)+0.5)*float32(stride)
			p.centres = append(p.centres, x, y, x, y)
			p.strides = append(p.strides, float32(stride))
		}
	}
	return p
}

// candidatesOf returns how many pairs of level l enter suppression, candidatesIn of all levels: P.
func (p pyramid) candidatesOf(l int, o graph.SelectDetections) int {
	return min(o.PreNMSTopK, p.sizes[l]*p.classes)
}

func (p pyramid) candidatesIn(o graph.SelectDetections) (total int) {
	for l := range p.sizes {
		total += p.candidatesOf(l, o)
	}
	return total
}

// joined concatenates one kind of map over the levels, anchors last: [B,C,A]. Kind 0 is cls, 1 box, 2 quality.
func (p pyramid) joined(b *builder, kind, channels int) value {
	var parts []value
	for l, n := range p.sizes {
		parts = append(parts, b.reshape(b.in(kind*p.levels+l), p.batch, channels, n))
	}
	return b.concat(2, parts...)
}

// scores returns σ(cls)·σ(quality) of every pair, [B,C,A], as one quotient. Sigmoid of ONNX Runtime is off by 5e-8 and 0 below
// -18, which would reorder small scores; and it rewrites (1/u)·(1/v) as (1/v)/u, which is not symmetric: equal scores would
// cease to be equal.
func (p pyramid) scores(b *builder) value {
	one := b.float(1)
	inverse := func(x value) value { return b.do("Add", one, b.do("Exp", b.do("Neg", x))) } // 1/σ(x)
	return b.do("Div", one, b.do("Mul", inverse(p.joined(b, 0, p.classes)), inverse(p.joined(b, 2, 1))))
}

// candidates returns the score (or rejected) and the pair of the best of every level, levels in order: [B,P] each.
func (p pyramid) candidates(b *builder, boxLogits value, o graph.SelectDetections) (scores, pairs value) {
	// No comparison holds for NaN, so a NaN score is rejected here; a NaN in the box of an anchor rejects its pairs.
	score := p.scores(b)
	passes := b.do("GreaterOrEqual", score, b.float(float64(o.ScoreThreshold)))
	broken := b.reduce("ReduceMax", b.cast(b.do("IsNaN", boxLogits), onnxFloat), 1)
	passes = b.do("And", passes, b.do("Less", broken, b.float(0.5)))
	score = b.transpose(b.do("Where", passes, score, b.float(rejected)), 0, 2, 1) // [B,A,C]: anchor-major

	var best, pair []value
	first := 0
	levels := b.split(score, 1, p.sizes...)
	for l, n := range p.sizes {
		s, i := b.top(b.reshape(levels[l], p.batch, n*p.classes), p.candidatesOf(l, o), true)
		best, pair = append(best, s), append(pair, b.do("Add", i, b.int(first*p.classes)))
		first += n
	}
	return b.concat(1, best...), b.concat(1, pair...)
}

// boxes decodes the boxes of n pairs of each sample [B,n] → [B,n,4]: the centre moved by softplus(clamp(logit))·stride to the
// left, up, right and down, then clamped to the image.
func (p pyramid) boxes(b *builder, boxLogits, pairs value, n int) value {
	anchors := b.do("Div", pairs, b.int(p.classes))
	logits := b.gatherRows(b.transpose(boxLogits, 0, 2, 1), b.reshape(anchors, p.batch, n, 1))
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
func suppress(b *builder, boxes, scores, pairs value, p pyramid, o graph.SelectDetections) value {
	candidates := p.candidatesIn(o)
	perClass := b.reshape(scores, p.batch, 1, candidates)
	if p.classes > 1 {
		ids := make([]int64, p.classes)
		for c := range ids {
			ids[c] = int64(c)
		}
		mine := b.do("Equal", b.reshape(b.do("Mod", pairs, b.int(p.classes)), p.batch, 1, candidates), constant(b, ids, p.classes, 1))
		perClass = b.do("Where", mine, perClass, b.float(rejected)) // [B,C,P]
	}
	chosen := b.do("NonMaxSuppression", boxes, perClass, b.ints(o.MaxDetections),
		constant(b, []float32{o.IoUThreshold}, 1), constant(b, []float32{dropped}, 1)) // rows (sample, class, candidate)
	where := b.gather(chosen, b.ints(0, 2), 1)

	none := make([]float32, p.batch*candidates)
	for i := range none {
		none[i] = rejected
	}
	return b.do("ScatterND", constant(b, none, p.batch, candidates), where, b.do("GatherND", scores, where))
}

// survivors lists the pairs of the best survivors by score and then position, in rows padded with 0 to MaxDetections, and counts
// them.
func survivors(b *builder, kept, pairs value, p pyramid, o graph.SelectDetections) []value {
	n := min(o.MaxDetections, p.candidatesIn(o))
	score, best := b.top(kept, n, true)
	valid := b.do("Greater", score, b.float(dropped))
	chosen := b.do("Where", valid, b.gatherElements(pairs, best, 1), b.int(0))
	if n < o.MaxDetections {
		chosen = b.do("Pad", chosen, b.ints(0, o.MaxDetections-n), b.int(0), b.ints(1))
	}
	count := b.with("ReduceSum", []Attr{{"keepdims", int64(0)}}, b.cast(valid, onnxInt64), b.ints(1))
	return []value{chosen, count}
}
