package reference

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// A projection maps boxes in pixels of the image to cells of a grid (spec/model.md 3.19).
type projection[T tensor.Float] struct {
	h, w           int
	scaleY, scaleX T
}

// newProjection rounds the scales to float32 in every precision.
func newProjection[T tensor.Float](h, w, imageH, imageW int) projection[T] {
	return projection[T]{h, w, T(float32(h) / float32(imageH)), T(float32(w) / float32(imageW))}
}

// cells returns the half-open ranges of cells that a box touches. They are empty for a box without area after rounding
// outwards, and for one with a NaN.
func (p projection[T]) cells(box []T) (y0, y1, x0, x1 int) {
	x0, x1 = touched(box[0], box[2], p.scaleX, p.w)
	y0, y1 = touched(box[1], box[3], p.scaleY, p.h)
	if x0 == x1 || y0 == y1 {
		return 0, 0, 0, 0
	}
	return y0, y1, x0, x1
}

func touched[T tensor.Float](a, b, scale T, size int) (lo, hi int) {
	limit := T(size)
	first := min(max(min(a, b)*scale, 0), limit)
	last := min(max(max(a, b)*scale, 0), limit)
	if !(first <= last) {
		return 0, 0
	}
	lo, hi = int(math.Floor(float64(first))), int(math.Ceil(float64(last)))
	return lo, max(lo, hi)
}

// lowerRoiMeanPool averages in float64, a stretch of channels of one box per task.
func lowerRoiMeanPool[T tensor.Float](c *compiler, s *step) error {
	op, x, boxes := s.Node.Op.(graph.RoiMeanPool), s.Node.In[0], s.Node.In[1]
	channels, h, w, n := x.Shape[1], x.Shape[2], x.Shape[3], boxes.Shape[1]
	p := newProjection[T](h, w, op.ImageHeight, op.ImageWidth)
	const stretch = 16
	stretches := (channels + stretch - 1) / stretch
	s.bind = func() func() error {
		xs, bs, ys := elements[T](x), elements[T](boxes), elements[T](s.Node.Out[0])
		return c.parallel(x.Shape[0]*n*stretches, func(i int) {
			box, first := i/stretches, i%stretches*stretch
			y0, y1, x0, x1 := p.cells(bs[box*4 : box*4+4])
			for ch := first; ch < min(first+stretch, channels); ch++ {
				plane := xs[(box/n*channels+ch)*h*w:][:h*w]
				ys[box*channels+ch] = windowMean(plane, w, y0, y1, x0, x1)
			}
		})
	}
	return nil
}

// windowMean returns the mean of the cells of a window, 0 for an empty one.
func windowMean[T tensor.Float](plane []T, w, y0, y1, x0, x1 int) T {
	if y0 == y1 || x0 == x1 {
		return 0
	}
	sum := 0.0
	for y := y0; y < y1; y++ {
		for _, v := range plane[y*w+x0 : y*w+x1] {
			sum += float64(v)
		}
	}
	return T(sum / float64((y1-y0)*(x1-x0)))
}
