package reference

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// lowerDecodeBoxes computes a score by the very operations by which selection ranked it, so that the scores of kept pairs have
// the order in which they were kept.
func lowerDecodeBoxes[T tensor.Float](c *compiler, s *step) error {
	op := s.Node.Op.(graph.DecodeBoxes)
	p := newPyramid[T](op.Strides, op.ImageHeight, op.ImageWidth, s.Node.In)
	predictions := 3 * len(op.Strides)
	batch, n := s.Node.In[predictions].Shape[0], s.Node.In[predictions].Shape[1]
	s.bind = func() func() error {
		p.bind(s.Node.In)
		pairs, count := elements[int64](s.Node.In[predictions]), elements[int64](s.Node.In[predictions+1])
		boxes, scores, classes := elements[T](s.Node.Out[0]), elements[T](s.Node.Out[1]), elements[int64](s.Node.Out[2])
		return c.parallel(batch, func(b int) {
			for row := b * n; row < (b+1)*n; row++ {
				var box [4]T
				scores[row], classes[row] = 0, -1
				if row-b*n < int(count[b]) {
					anchor, class := int(pairs[row])/p.classes, int(pairs[row])%p.classes
					at := p.of(b, p.levelOf(anchor))
					box, scores[row], classes[row] = at.decode(anchor-at.first), at.score(anchor-at.first, class), int64(class)
				}
				copy(boxes[4*row:], box[:])
			}
		})
	}
	return nil
}

// A pyramid is what the operators of detection know of the predictions: anchors are numbered through, level by level.
type pyramid[T tensor.Float] struct {
	strides           []int
	width, height     T // of the image, in pixels
	classes           int
	sizes             [][2]int // of the levels: rows, columns
	first             []int    // the number of each level's first anchor
	cls, box, quality [][]T    // by level
}

func newPyramid[T tensor.Float](strides []int, height, width int, in []*lower.Value) pyramid[T] {
	p := pyramid[T]{strides: strides, width: T(width), height: T(height), classes: in[0].Shape[1]}
	anchors := 0
	for l := range strides {
		p.sizes = append(p.sizes, [2]int(in[l].Shape[2:]))
		p.first = append(p.first, anchors)
		anchors += p.cells(l)
	}
	return p
}

// bind fetches the elements of the predictions once they have memory.
func (p *pyramid[T]) bind(in []*lower.Value) {
	levels := len(p.strides)
	for l := range levels {
		p.cls = append(p.cls, elements[T](in[l]))
		p.box = append(p.box, elements[T](in[levels+l]))
		p.quality = append(p.quality, elements[T](in[2*levels+l]))
	}
}

func (p *pyramid[T]) cells(level int) int { return p.sizes[level][0] * p.sizes[level][1] }

// levelOf returns the level of an anchor.
func (p *pyramid[T]) levelOf(anchor int) int {
	l := len(p.first) - 1
	for anchor < p.first[l] {
		l--
	}
	return l
}

// A level is one level of one sample. Its cells are numbered row by row.
type level[T tensor.Float] struct {
	*pyramid[T]
	cls, box, quality []T
	cells, columns    int
	first             int // the anchor of cell 0
	stride            T
}

func (p *pyramid[T]) of(sample, l int) level[T] {
	n := p.cells(l)
	plane := func(all []T, channels int) []T { return all[sample*channels*n : (sample+1)*channels*n] }
	return level[T]{
		pyramid: p, cls: plane(p.cls[l], p.classes), box: plane(p.box[l], 4), quality: plane(p.quality[l], 1),
		cells: n, columns: p.sizes[l][1], first: p.first[l], stride: T(p.strides[l]),
	}
}

// score returns σ(cls)·σ(quality).
func (l level[T]) score(cell, class int) T {
	return T(kernel.Logistic(float64(l.cls[class*l.cells+cell]))) * T(kernel.Logistic(float64(l.quality[cell])))
}

// decode computes the box of a cell: softplus distances from its centre, clamped to the image.
func (l level[T]) decode(cell int) [4]T {
	var d [4]T
	for i := range d {
		v := min(max(float64(l.box[i*l.cells+cell]), -20), 20)
		d[i] = T(max(v, 0)+math.Log1p(math.Exp(-math.Abs(v)))) * l.stride
	}
	x, y := (T(cell%l.columns)+0.5)*l.stride, (T(cell/l.columns)+0.5)*l.stride
	return [4]T{
		min(max(x-d[0], 0), l.width), min(max(y-d[1], 0), l.height),
		min(max(x+d[2], 0), l.width), min(max(y+d[3], 0), l.height),
	}
}
