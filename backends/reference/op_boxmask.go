package reference

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/lower/regions"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// lowerBoxMask lowers BoxMask and ResizeBoxMask. Only the cells inside the boxes are computed, one mask per task.
func lowerBoxMask[T tensor.Float](c *compiler, s *step) error {
	node, x, y := s.Node, s.Node.In[0], s.Node.Out[0]
	var common *lower.Value
	resize := node.Part("resize")
	if resize != nil {
		node, x = s.Node.Part("mask"), resize.In[0]
	}
	if sum := s.Node.Part("sum"); sum != nil {
		common = regions.Factor(sum, resize)
	}
	op, boxes := node.Op.(graph.BoxMask), node.In[1]
	m := &boxMask[T]{perImage: y.Shape[1], h: y.Shape[2], w: y.Shape[3], inH: x.Shape[2], inW: x.Shape[3]}
	if resize != nil {
		m.rows, m.cols = newAxis[T](m.inH, m.h), newAxis[T](m.inW, m.w)
	} else {
		s.Allow(x)
	}
	if err := c.lowerAside(s); err != nil {
		return err
	}
	m.outside, m.projection = T(op.Fill), newProjection[T](m.h, m.w, op.ImageHeight, op.ImageWidth)
	s.bind = func() func() error {
		m.x, m.boxes, m.common = elements[T](x), elements[T](boxes), optional[T](common)
		m.y, m.scores = elements[T](y), elements[T](s.Node.Out[1])
		aside, masks := s.bindAside(), c.parallel(len(m.scores), m.do)
		return func() error {
			if err := aside(); err != nil {
				return err
			}
			return masks()
		}
	}
	return nil
}

type boxMask[T tensor.Float] struct {
	projection       projection[T]
	perImage         int // masks of one image
	h, w, inH, inW   int
	rows, cols       []sample[T] // empty when the logits have the size of the output
	outside          T           // the logit of cells outside the box
	x, boxes, common []T
	y, scores        []T
}

// do computes one mask.
func (m *boxMask[T]) do(i int) {
	y0, y1, x0, x1 := m.projection.cells(m.boxes[i*4 : i*4+4])
	dst := m.y[i*m.h*m.w : (i+1)*m.h*m.w]
	setAll(dst[:y0*m.w], m.outside)
	sum := 0.0
	for y := y0; y < y1; y++ {
		row := dst[y*m.w : (y+1)*m.w]
		m.logits(row[x0:x1], i, y, x0)
		for _, v := range row[x0:x1] {
			sum += kernel.Logistic(float64(v))
		}
		setAll(row[:x0], m.outside)
		setAll(row[x1:], m.outside)
	}
	setAll(dst[y1*m.w:], m.outside)
	m.scores[i] = T(sum / float64(max(1, (y1-y0)*(x1-x0))))
}

// logits writes the logits of mask i from cell (y, x0) on.
func (m *boxMask[T]) logits(dst []T, i, y, x0 int) {
	src := m.x[i*m.inH*m.inW : (i+1)*m.inH*m.inW]
	if len(m.rows) == 0 {
		copy(dst, src[y*m.w+x0:])
		return
	}
	r := m.rows[y]
	interpolateRow(dst, src[r.lo*m.inW:][:m.inW], src[r.hi*m.inW:][:m.inW], r.weight, m.cols[x0:])
	if len(m.common) > 0 {
		row := m.common[(i/m.perImage*m.h+y)*m.w+x0:]
		for j := range dst {
			dst[j] += row[j]
		}
	}
}
