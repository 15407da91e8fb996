package reference

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// lowerSelectDetections works in two phases: the best candidates of every (sample, level), then suppression per sample. All lists
// have their worst-case length from the start.
func lowerSelectDetections[T tensor.Float](c *compiler, s *step) error {
	op := s.Node.Op.(graph.SelectDetections)
	levels, batch := len(op.Strides), s.Node.In[0].Shape[0]
	d := &selector[T]{
		pyramid:   newPyramid[T](op.Strides, op.ImageHeight, op.ImageWidth, s.Node.In),
		threshold: T(op.ScoreThreshold), floor: logitFloor(T(op.ScoreThreshold), 1),
		heaps:  make([]topK[T], batch*levels),
		images: make([]suppressor[T], batch),
	}
	const bytesPerCandidate = 48
	for l := range levels {
		for b := range batch {
			most := min(op.PreNMSTopK, d.classes*d.cells(l))
			d.heaps[b*levels+l].items = make([]candidate[T], 0, most)
			c.held += most * bytesPerCandidate
		}
	}
	for b := range d.images {
		d.images[b] = newSuppressor[T](op.MaxDetections, levels, T(op.IoUThreshold))
		c.held += op.MaxDetections * bytesPerCandidate
	}
	s.bind = func() func() error {
		d.bind(s.Node.In)
		pairs, count := elements[int64](s.Node.Out[0]), elements[int64](s.Node.Out[1])
		collect := c.parallel(batch*levels, d.collect)
		suppress := c.parallel(batch, func(b int) {
			kept := d.images[b].run(d.heaps[b*levels : (b+1)*levels])
			count[b] = int64(len(kept))
			row := pairs[b*op.MaxDetections : (b+1)*op.MaxDetections]
			clear(row)
			for i := range kept {
				row[i] = int64(kept[i].pair)
			}
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

// A candidate is one (anchor, class) pair that may be kept.
type candidate[T tensor.Float] struct {
	score       T
	pair, class int // pair is anchor·classes + class
	box         [4]T
}

type selector[T tensor.Float] struct {
	pyramid[T]
	threshold T
	floor     T // no smaller class logit reaches the threshold
	heaps     []topK[T]
	images    []suppressor[T]
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
func (d *selector[T]) collect(i int) {
	levels := len(d.strides)
	at := d.of(i/levels, i%levels)
	best := &d.heaps[i]
	best.items = best.items[:0]
	for cell := range at.cells {
		d.collectCell(best, cell, at)
	}
	best.sort()
	for j := range best.items {
		c := &best.items[j]
		c.box = at.decode(c.pair/d.classes - at.first)
	}
}

// collectCell pushes the candidates of one cell. Its quality is looked at only when a class needs it, and then gives a higher
// floor, as does a full list of candidates.
func (d *selector[T]) collectCell(best *topK[T], cell int, at level[T]) {
	floor, q := d.floor, T(-1)
	for class := range d.classes {
		logit := at.cls[class*at.cells+cell]
		if !(logit >= floor) {
			continue
		}
		if q < 0 {
			q = T(kernel.Logistic(float64(at.quality[cell])))
			if q != q || hasNaN(at.box, cell, at.cells) {
				return
			}
			if floor = logitFloor(best.least(d.threshold), q); !(logit >= floor) {
				continue
			}
		}
		if score := T(kernel.Logistic(float64(logit))) * q; score >= d.threshold {
			best.push(candidate[T]{score: score, pair: (at.first+cell)*d.classes + class, class: class})
		}
	}
}

func hasNaN[T tensor.Float](box []T, cell, cells int) bool {
	for i := range 4 {
		if v := box[i*cells+cell]; v != v {
			return true
		}
	}
	return false
}
