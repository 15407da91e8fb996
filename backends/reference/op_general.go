package reference

import (
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// Operators that Apex-X does not use and other networks do (graph.General): plain loops, each task a stretch of the output.

// lowerFunction lowers the functions that package math computes, in float64.
func lowerFunction[T tensor.Float](c *compiler, s *step) error {
	f, ok := map[string]func(float64) float64{
		"Exp": math.Exp, "Log": math.Log, "Sqrt": math.Sqrt, "Erf": math.Erf, "Abs": math.Abs,
		"Neg": func(v float64) float64 { return -v },
	}[s.Node.Op.OpType()]
	if !ok {
		return fmt.Errorf("no function for %s", s.Node.Op.OpType())
	}
	return lowerMap(c, s, func(y, x []T) {
		for i, v := range x {
			y[i] = T(f(float64(v)))
		}
	})
}

// lowerPool sums means in float64. A NaN is the maximum of its windows.
func lowerPool[T tensor.Float](c *compiler, s *step) error {
	op, x, y := s.Node.Op.(graph.Pool), s.Node.In[0], s.Node.Out[0]
	height, width, outHeight, outWidth := x.Shape[2], x.Shape[3], y.Shape[2], y.Shape[3]
	s.bind = func() func() error {
		xs, ys := elements[T](x), elements[T](y)
		return c.ranges(len(ys)/max(1, outWidth), outWidth*op.Kernel[0]*op.Kernel[1], func(lo, hi int) {
			for row := lo; row < hi; row++ {
				plane, top := xs[row/outHeight*height*width:][:height*width], row%outHeight*op.Strides[0]-op.Pads[0]
				first, end := max(0, top), min(height, top+op.Kernel[0])
				for ox := range outWidth {
					left := ox*op.Strides[1] - op.Pads[1]
					ys[row*outWidth+ox] = poolWindow(op, plane, width, first, end, max(0, left), min(width, left+op.Kernel[1]))
				}
			}
		})
	}
	return nil
}

// poolWindow reduces rows [top, bottom) and columns [left, right) of a plane.
func poolWindow[T tensor.Float](op graph.Pool, plane []T, width, top, bottom, left, right int) T {
	most, sum := T(math.Inf(-1)), 0.0
	for y := top; y < bottom; y++ {
		for _, v := range plane[y*width+left : y*width+right] {
			if op.Fn == graph.MaxPool {
				most = max(most, v)
			} else {
				sum += float64(v)
			}
		}
	}
	switch {
	case op.Fn == graph.MaxPool:
		return most
	case op.CountPads:
		return T(sum / float64(op.Kernel[0]*op.Kernel[1]))
	}
	return T(sum / float64((bottom-top)*(right-left)))
}

// lowerGlobalAveragePool sums in float64.
func lowerGlobalAveragePool[T tensor.Float](c *compiler, s *step) error {
	x, y := s.Node.In[0], s.Node.Out[0]
	r := newReduction[T](graph.Reduce{Fn: graph.ReduceMean, Axes: []int{2, 3}}, x.Shape)
	s.bind = func() func() error {
		r.x, r.y = elements[T](x), elements[T](y)
		return c.ranges(r.outer, r.size, r.rows)
	}
	return nil
}

func lowerBatchNorm[T tensor.Float](c *compiler, s *step) error {
	op, x := s.Node.Op.(graph.BatchNormalization), s.Node.In[0]
	channels, plane := x.Shape[1], 1
	for _, d := range x.Shape[2:] {
		plane *= d
	}
	s.Allow(x)
	s.bind = func() func() error {
		xs, ys := elements[T](x), elements[T](s.Node.Out[0])
		scale, bias := elements[T](s.Node.In[1]), elements[T](s.Node.In[2])
		mean, variance := elements[T](s.Node.In[3]), elements[T](s.Node.In[4])
		return c.ranges(x.Shape[0]*channels, plane, func(lo, hi int) {
			for p := lo; p < hi; p++ {
				ch := p % channels
				factor := T(float64(scale[ch]) / math.Sqrt(float64(variance[ch])+op.Epsilon))
				for i := p * plane; i < (p+1)*plane; i++ {
					ys[i] = (xs[i]-mean[ch])*factor + bias[ch]
				}
			}
		})
	}
	return nil
}

// lowerSoftmax sums in float64.
func lowerSoftmax[T tensor.Float](c *compiler, s *step) error {
	x := s.Node.In[0]
	outer, size, inner := lower.Around(x.Shape, s.Node.Op.(graph.Softmax).Axis)
	s.Allow(x)
	s.bind = func() func() error {
		xs, ys := elements[T](x), elements[T](s.Node.Out[0])
		return c.ranges(outer*inner, size, func(lo, hi int) {
			for row := lo; row < hi; row++ {
				softmaxRow(xs, ys, row/inner*size*inner+row%inner, size, inner)
			}
		})
	}
	return nil
}

// softmaxRow normalises size elements from first on, stride apart.
func softmaxRow[T tensor.Float](x, y []T, first, size, stride int) {
	most, sum := math.Inf(-1), 0.0
	for i := range size {
		most = max(most, float64(x[first+i*stride]))
	}
	for i := range size {
		e := math.Exp(float64(x[first+i*stride]) - most)
		y[first+i*stride] = T(e)
		sum += e
	}
	for i := range size {
		y[first+i*stride] = T(float64(y[first+i*stride]) / sum)
	}
}

func lowerTranspose(c *compiler, s *step) error {
	byWidth(s.Node.In[0], func() { transpose[uint8](c, s) }, func() { transpose[uint32](c, s) }, func() { transpose[uint64](c, s) })
	return nil
}

// transpose writes rows of the output, whose elements lie a fixed stride apart in the input.
func transpose[U unit](c *compiler, s *step) {
	perm, x, y := s.Node.Op.(graph.Transpose).Perm, s.Node.In[0], s.Node.Out[0]
	last := len(perm) - 1
	if slices.IsSorted(perm) {
		y.ViewOf(x, 0)
		return
	}
	strides, step := make([]int, len(perm)), 1
	for i := last; i >= 0; i-- {
		strides[slices.Index(perm, i)] = step // of the output's axis in the input
		step *= x.Shape[i]
	}
	s.bind = func() func() error {
		xs, ys, n := units[U](x), units[U](y), y.Shape[last]
		return c.ranges(len(ys)/max(1, n), n, func(lo, hi int) {
			for row := lo; row < hi; row++ {
				from, rest := 0, row
				for i := last - 1; i >= 0; i-- {
					from += rest % y.Shape[i] * strides[i]
					rest /= y.Shape[i]
				}
				for i := range n {
					ys[row*n+i] = xs[from+i*strides[last]]
				}
			}
		})
	}
}

// lowerMatMulBroadcast multiplies matrices whose stacks broadcast, one after the other: package kernel divides each among the threads. One
// matrix b for all of a is one product.
func lowerMatMulBroadcast[T tensor.Float](c *compiler, s *step) error {
	a, b, y := s.Node.In[0], s.Node.In[1], s.Node.Out[0]
	rank := len(y.Shape)
	m, k, n := y.Shape[rank-2], a.Shape[len(a.Shape)-1], y.Shape[rank-1]
	if len(b.Shape) == 2 {
		m = y.Len() / max(1, n)
	}
	pairs := stackPairs(y, a, b, m*n)
	scratch := s.AddScratch(c.float, kernel.MatMulScratchLen[T](1, m, k, n, c.pool.Threads(), c.isa))
	s.bind = func() func() error {
		as, bs, ys, tmp := elements[T](a), elements[T](b), elements[T](y), elements[T](scratch)
		return func() error {
			for i, p := range pairs {
				kernel.MatMul(c.pool, as[p[0]*m*k:][:m*k], bs[p[1]*k*n:][:k*n], ys[i*m*n:][:m*n], 1, m, k, n, false, nil, c.isa, tmp)
			}
			return nil
		}
	}
	return nil
}

// stackPairs returns, for each matrix of size elements of y, which of a and of b it is the product of.
func stackPairs(y, a, b *lower.Value, size int) [][2]int {
	if size == 0 {
		return nil
	}
	pairs := make([][2]int, y.Len()/size)
	if len(b.Shape) == 2 {
		return pairs // one product
	}
	stack := func(v *lower.Value) []int { return v.Shape[:len(v.Shape)-2] }
	for i := range pairs {
		pairs[i] = [2]int{placeIn(i, stack(y), stack(a)), placeIn(i, stack(y), stack(b))}
	}
	return pairs
}

// placeIn maps a flat index of a shape to one of an operand that broadcasts to it.
func placeIn(flat int, shape, operand []int) int {
	at, step := 0, 1
	for i := len(shape) - 1; i >= 0; i-- {
		position := flat % shape[i]
		flat /= shape[i]
		j := i - (len(shape) - len(operand))
		if j < 0 {
			continue
		}
		if operand[j] != 1 {
			at += position * step
		}
		step *= operand[j]
	}
	return at
}
