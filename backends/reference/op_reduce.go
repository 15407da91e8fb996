package reference

import (
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// lowerReduce sums in float64, in the order of the elements. Neighbouring axes that are all kept or all reduced count as one;
// what then reads [kept, reduced, kept] takes a direct loop, anything else a table of offsets.
func lowerReduce[T tensor.Float](c *compiler, s *step) error {
	op, x := s.Node.Op.(graph.Reduce), s.Node.In[0]
	r := newReduction[T](op, x.Shape)
	s.bind = func() func() error {
		r.x, r.y = elements[T](x), elements[T](s.Node.Out[0])
		if r.offsets != nil {
			return c.ranges(len(r.y), len(r.offsets), r.scattered)
		}
		if r.inner == 1 {
			return c.ranges(r.outer, r.size, r.rows)
		}
		r.strips = (r.inner + reduceStrip - 1) / reduceStrip
		return c.parallel(r.outer*r.strips, r.columns)
	}
	return nil
}

type reduction[T tensor.Float] struct {
	square                     bool // ReduceL2: the root of the sum of squares
	x, y                       []T
	outer, size, inner, strips int

	offsets []int // of the elements of one sum, relative to its first, when they are scattered
	bases   []int // of the first element of each sum
}

func newReduction[T tensor.Float](op graph.Reduce, shape []int) *reduction[T] {
	r := &reduction[T]{square: op.Fn == graph.ReduceL2, outer: 1, size: 1, inner: 1}
	first, last := op.Axes[0], op.Axes[len(op.Axes)-1]
	for i, d := range shape {
		switch {
		case slices.Contains(op.Axes, i):
			r.size *= d
		case i < first:
			r.outer *= d
		case i > last:
			r.inner *= d
		case d != 1: // a kept axis between reduced ones
			r.scatter(op, shape)
			return r
		}
	}
	return r
}

// scatter builds the tables for axes that are not neighbours.
func (r *reduction[T]) scatter(op graph.Reduce, shape []int) {
	strides := make([]int, len(shape))
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = step
		step *= shape[i]
	}
	r.offsets, r.bases = []int{0}, []int{0}
	for i, d := range shape {
		list := &r.bases
		if slices.Contains(op.Axes, i) {
			list = &r.offsets
		}
		*list = expand(*list, d, strides[i])
	}
}

// expand returns every element of list plus 0, stride, … (n-1)·stride.
func expand(list []int, n, stride int) []int {
	out := make([]int, 0, len(list)*n)
	for _, v := range list {
		for i := range n {
			out = append(out, v+i*stride)
		}
	}
	return out
}

// term is what an element adds to the sum, finish what a sum of n elements becomes.
func (r *reduction[T]) term(v T) float64 {
	if r.square {
		return float64(v) * float64(v)
	}
	return float64(v)
}

func (r *reduction[T]) finish(sum float64, n int) T {
	if r.square {
		return T(math.Sqrt(sum))
	}
	return T(sum / float64(n))
}

func (r *reduction[T]) scattered(lo, hi int) {
	for i := lo; i < hi; i++ {
		sum := 0.0
		for _, off := range r.offsets {
			sum += r.term(r.x[r.bases[i]+off])
		}
		r.y[i] = r.finish(sum, len(r.offsets))
	}
}

// rows reduces contiguous stretches.
func (r *reduction[T]) rows(lo, hi int) {
	for i := lo; i < hi; i++ {
		sum := 0.0
		for _, v := range r.x[i*r.size : (i+1)*r.size] {
			sum += r.term(v)
		}
		r.y[i] = r.finish(sum, r.size)
	}
}

const reduceStrip = 256

// columns reduces the middle axis of [outer, size, inner] for a strip of the inner axis, row by row.
func (r *reduction[T]) columns(i int) {
	o, strip := i/r.strips, i%r.strips
	lo, hi := strip*reduceStrip, min((strip+1)*reduceStrip, r.inner)
	var sums [reduceStrip]float64
	for k := range r.size {
		for j, v := range r.x[(o*r.size+k)*r.inner+lo : (o*r.size+k)*r.inner+hi] {
			sums[j] += r.term(v)
		}
	}
	for j := range hi - lo {
		r.y[o*r.inner+lo+j] = r.finish(sums[j], r.size)
	}
}
