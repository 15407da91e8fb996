package reference

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// lowerDecodeNMS works in two phases: the best candidates of every (sample, level), then suppression per sample. All lists
// have their worst-case length from the start.
func lowerDecodeNMS[T tensor.Float](c *compiler, s *step) error {
	op := s.Node.Op.(graph.DecodeNMS)
	levels, batch, classes := len(op.Strides), s.Node.In[0].Shape[0], s.Node.In[0].Shape[1]
	d := &decoder[T]{
		DecodeNMS: op, classes: classes,
		threshold: T(op.ScoreThreshold), floor: logitFloor(T(op.ScoreThreshold), 1),
		heaps:  make([]topK[T], batch*levels),
		images: make([]suppressor[T], batch),
	}
	const bytesPerCandidate = 48
	for l := range levels {
		shape := s.Node.In[l].Shape
		d.sizes = append(d.sizes, [2]int{shape[2], shape[3]})
		for b := range batch {
			most := min(op.PreNMSTopK, classes*shape[2]*shape[3])
			d.heaps[b*levels+l].items = make([]candidate[T], 0, most)
			c.held += most * bytesPerCandidate
		}
	}
	for b := range d.images {
		d.images[b] = newSuppressor[T](op.MaxDetections, levels, T(op.IoUThreshold))
		c.held += op.MaxDetections * bytesPerCandidate
	}
	s.bind = func() func() error {
		for l := range levels {
			d.cls = append(d.cls, elements[T](s.Node.In[l]))
			d.box = append(d.box, elements[T](s.Node.In[levels+l]))
			d.quality = append(d.quality, elements[T](s.Node.In[2*levels+l]))
		}
		out := detections[T]{elements[T](s.Node.Out[0]), elements[T](s.Node.Out[1]), elements[int64](s.Node.Out[2]), elements[int64](s.Node.Out[3])}
		collect := c.parallel(batch*levels, d.collect)
		suppress := c.parallel(batch, func(b int) {
			out.write(b, op.MaxDetections, d.images[b].run(d.heaps[b*levels:(b+1)*levels]))
		})
		return func() error {
			if err := collect(); err != nil {
				return err
			}
			return suppress()
		}
	}
	return nil
}

// A candidate is one (anchor, class) pair of a level.
type candidate[T tensor.Float] struct {
	score        T
	index, class int // index is anchor·classes + class
	box          [4]T
}

type decoder[T tensor.Float] struct {
	graph.DecodeNMS
	classes           int
	threshold         T
	floor             T // no smaller class logit reaches the threshold
	sizes             [][2]int
	cls, box, quality [][]T // by level
	heaps             []topK[T]
	images            []suppressor[T]
}

// logitFloor returns a class logit below which no score σ(logit)·q reaches least: log(t/(1-t)) with t = least/q, lowered by more
// than any rounding of the score amounts to. It spares most cells the exponential.
func logitFloor[T tensor.Float](least, q T) T {
	if least <= 0 {
		return T(math.Inf(-1))
	}
	t := float64(least) / float64(q)
	if t > 1.0001 {
		return T(math.Inf(1))
	}
	t = min(t, 0.99)
	return T(math.Log(t/(1-t)) - 1e-3)
}

// collect finds the best candidates of one (sample, level) and decodes their boxes.
func (d *decoder[T]) collect(i int) {
	level, b := i%len(d.sizes), i/len(d.sizes)
	cells := d.sizes[level][0] * d.sizes[level][1]
	cls := d.cls[level][b*d.classes*cells : (b+1)*d.classes*cells]
	box := d.box[level][b*4*cells : (b+1)*4*cells]
	quality := d.quality[level][b*cells : (b+1)*cells]
	best := &d.heaps[i]
	best.items = best.items[:0]
	for anchor := range cells {
		d.collectAnchor(best, anchor, cells, cls, box, quality)
	}
	best.sort()
	for j := range best.items {
		d.decode(&best.items[j], level, box)
	}
}

// collectAnchor pushes the candidates of one cell. Its quality is looked at only when a class needs it, and then gives a higher
// floor, as does a full list of candidates.
func (d *decoder[T]) collectAnchor(best *topK[T], anchor, cells int, cls, box, quality []T) {
	floor, q := d.floor, T(-1)
	for class := range d.classes {
		logit := cls[class*cells+anchor]
		if !(logit >= floor) {
			continue
		}
		if q < 0 {
			q = T(kernel.Logistic(float64(quality[anchor])))
			if q != q || hasNaN(box, anchor, cells) {
				return
			}
			if floor = logitFloor(best.least(d.threshold), q); !(logit >= floor) {
				continue
			}
		}
		if score := T(kernel.Logistic(float64(logit))) * q; score >= d.threshold {
			best.push(candidate[T]{score: score, index: anchor*d.classes + class, class: class})
		}
	}
}

func hasNaN[T tensor.Float](box []T, anchor, cells int) bool {
	for i := range 4 {
		if v := box[i*cells+anchor]; v != v {
			return true
		}
	}
	return false
}

// decode computes the box of a candidate: softplus distances from the centre of its cell, clamped to the image.
func (d *decoder[T]) decode(c *candidate[T], level int, box []T) {
	cells, width, stride := d.sizes[level][0]*d.sizes[level][1], d.sizes[level][1], T(d.Strides[level])
	anchor := c.index / d.classes
	var dist [4]T
	for i := range dist {
		v := min(max(float64(box[i*cells+anchor]), -20), 20)
		dist[i] = T(max(v, 0)+math.Log1p(math.Exp(-math.Abs(v)))) * stride
	}
	cx, cy := (T(anchor%width)+0.5)*stride, (T(anchor/width)+0.5)*stride
	w, h := T(d.ImageWidth), T(d.ImageHeight)
	c.box = [4]T{
		min(max(cx-dist[0], 0), w), min(max(cy-dist[1], 0), h),
		min(max(cx+dist[2], 0), w), min(max(cy+dist[3], 0), h),
	}
}

// detections are the outputs of a batch, with n rows per sample.
type detections[T tensor.Float] struct {
	boxes, scores  []T
	classes, count []int64
}

// write fills the rows of sample b and pads them with 0, 0 and -1.
func (o *detections[T]) write(b, n int, kept []candidate[T]) {
	o.count[b] = int64(len(kept))
	for i := range n {
		c := candidate[T]{class: -1}
		if i < len(kept) {
			c = kept[i]
		}
		row := b*n + i
		copy(o.boxes[row*4:], c.box[:])
		o.scores[row], o.classes[row] = c.score, int64(c.class)
	}
}
