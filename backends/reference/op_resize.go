package reference

import (
	"math"

	"github.com/apex-x/apexx/backends/tensor"
)

// lowerResize interpolates rows first and then columns, a band of output rows of one plane per task.
func lowerResize[T tensor.Float](c *compiler, s *step) error {
	x, y := s.Node.In[0], s.Node.Out[0]
	inH, inW, outH, outW := x.Shape[2], x.Shape[3], y.Shape[2], y.Shape[3]
	if inH == outH && inW == outW {
		y.ViewOf(x, 0) // every source coordinate is a cell centre
		return nil
	}
	const band = 16
	rows, cols := newAxis[T](inH, outH), newAxis[T](inW, outW)
	bands := (outH + band - 1) / band
	s.bind = func() func() error {
		xs, ys := elements[T](x), elements[T](y)
		return c.parallel(x.Shape[0]*x.Shape[1]*bands, func(i int) {
			plane, b := i/bands, i%bands
			src := xs[plane*inH*inW : (plane+1)*inH*inW]
			for oy := b * band; oy < min((b+1)*band, outH); oy++ {
				dst := ys[(plane*outH+oy)*outW:][:outW]
				r := rows[oy]
				interpolateRow(dst, src[r.lo*inW:][:inW], src[r.hi*inW:][:inW], r.weight, cols)
			}
		})
	}
	return nil
}

// sample says how an output coordinate is made: (1-weight)·v[lo] + weight·v[hi].
type sample[T tensor.Float] struct {
	lo, hi int
	weight T
}

// newAxis returns the samples of one axis: src = max(0, (dst+0.5)·in/out - 0.5), half-pixel centres clamped to the edge.
func newAxis[T tensor.Float](in, out int) []sample[T] {
	axis := make([]sample[T], out)
	for i := range axis {
		src := max(0, (float64(i)+0.5)*float64(in)/float64(out)-0.5)
		lo := min(int(math.Floor(src)), in-1)
		axis[i] = sample[T]{lo, min(lo+1, in-1), T(src - float64(lo))}
	}
	return axis
}

// interpolateRow mixes two rows of the input and then its columns, a stretch of columns at a time.
func interpolateRow[T tensor.Float](dst, top, bottom []T, weight T, cols []sample[T]) {
	const stretch = 512
	var mixed [stretch]T
	for lo := 0; lo < len(dst); {
		first := cols[lo].lo
		hi := lo
		for hi < len(dst) && cols[hi].hi-first < stretch {
			hi++
		}
		n := cols[hi-1].hi - first + 1
		t, b := top[first:first+n], bottom[first:first+n]
		for i, v := range t {
			mixed[i] = (1-weight)*v + weight*b[i]
		}
		for i := lo; i < hi; i++ {
			s := &cols[i]
			dst[i] = (1-s.weight)*mixed[s.lo-first] + s.weight*mixed[s.hi-first]
		}
		lo = hi
	}
}
