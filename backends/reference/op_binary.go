package reference

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// number lists the element types of arithmetic.
type number interface {
	float32 | float64 | int32 | int64
}

func lowerBinary[T tensor.Float](c *compiler, s *step) error {
	switch s.Node.In[0].DType {
	case tensor.Int32:
		lowerBinaryOf[int32](c, s)
	case tensor.Int64:
		lowerBinaryOf[int64](c, s)
	default:
		lowerBinaryOf[T](c, s)
	}
	return nil
}

func lowerBinaryOf[E number](c *compiler, s *step) {
	fn := s.Node.Op.(graph.Binary).Fn
	a, b, y := s.Node.In[0], s.Node.In[1], s.Node.Out[0]
	s.Allow(a)
	s.Allow(b)
	s.bind = func() func() error {
		as, bs, ys := elements[E](a), elements[E](b), elements[E](y)
		l := newNest(y.Shape, a.Shape, b.Shape)
		return l.spans(c, func(off, n int, at [maxOperands]int) {
			combine(fn, ys[off:off+n], as[at[0]:], bs[at[1]:], l.inner[0], l.inner[1])
		})
	}
}

// combine computes y = fn(a, b) for the elements of y. An operand whose stride is 0 gives the same element to all.
func combine[E number](fn graph.BinaryFn, y, a, b []E, strideA, strideB int) {
	const stretch = 128
	var bufA, bufB [stretch]E
	if strideA == 0 {
		setAll(bufA[:min(stretch, len(y))], a[0])
	}
	if strideB == 0 {
		setAll(bufB[:min(stretch, len(y))], b[0])
	}
	if strideA == 1 && strideB == 1 {
		combineEqual(fn, y, a, b)
		return
	}
	for lo := 0; lo < len(y); lo += stretch {
		hi := min(lo+stretch, len(y))
		x, z := bufA[:], bufB[:]
		if strideA == 1 {
			x = a[lo:]
		}
		if strideB == 1 {
			z = b[lo:]
		}
		combineEqual(fn, y[lo:hi], x, z)
	}
}

func setAll[E any](s []E, v E) {
	for i := range s {
		s[i] = v
	}
}

// combineEqual is combine for operands that advance with y. The quotient of integers by 0 is 0, where ONNX leaves it open;
// maximum and minimum with a NaN are NaN.
func combineEqual[E number](fn graph.BinaryFn, y, a, b []E) {
	a, b = a[:len(y)], b[:len(y)]
	switch fn {
	case graph.Add:
		for i := range y {
			y[i] = a[i] + b[i]
		}
	case graph.Sub:
		for i := range y {
			y[i] = a[i] - b[i]
		}
	case graph.Mul:
		for i := range y {
			y[i] = a[i] * b[i]
		}
	case graph.Div:
		divide(y, a, b)
	case graph.Max:
		for i := range y {
			y[i] = max(a[i], b[i])
		}
	case graph.Min:
		for i := range y {
			y[i] = min(a[i], b[i])
		}
	case graph.Pow:
		for i := range y {
			y[i] = E(math.Pow(float64(a[i]), float64(b[i])))
		}
	}
}

func divide[E number](y, a, b []E) {
	one := E(1)
	integer := one/2 == 0
	for i := range y {
		if integer && b[i] == 0 {
			y[i] = 0
			continue
		}
		y[i] = a[i] / b[i]
	}
}
