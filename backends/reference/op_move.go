package reference

import (
	"fmt"
	"unsafe"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// Operators that move elements without looking at them. They handle every element type by its width.

// unit stands for any element type of its width.
type unit interface{ uint8 | uint32 | uint64 }

// units returns the elements of a value as integers of their width.
func units[U unit](v *lower.Value) []U {
	switch v.DType {
	case tensor.Float32:
		return reinterpret[U](elements[float32](v))
	case tensor.Float64:
		return reinterpret[U](elements[float64](v))
	case tensor.Int32:
		return reinterpret[U](elements[int32](v))
	case tensor.Int64:
		return reinterpret[U](elements[int64](v))
	}
	return reinterpret[U](elements[bool](v))
}

func reinterpret[U unit, E tensor.Element](s []E) []U {
	return unsafe.Slice((*U)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

// byWidth chooses the instance of a lowering for the width of a value's elements.
func byWidth(v *lower.Value, w1, w4, w8 func()) {
	switch v.DType.Size() {
	case 1:
		w1()
	case 4:
		w4()
	default:
		w8()
	}
}

func lowerReshape(_ *compiler, s *step) error {
	s.Node.Out[0].ViewOf(s.Node.In[0], 0)
	return nil
}

func lowerConcat(c *compiler, s *step) error {
	byWidth(s.Node.Out[0], func() { concat[uint8](c, s) }, func() { concat[uint32](c, s) }, func() { concat[uint64](c, s) })
	return nil
}

func concat[U unit](c *compiler, s *step) {
	axis, y := s.Node.Op.(graph.Concat).Axis, s.Node.Out[0]
	s.bind = func() func() error {
		outer, size, inner := lower.Around(y.Shape, axis)
		ys := units[U](y)
		parts := make([][]U, len(s.Node.In))
		starts := make([]int, len(s.Node.In))
		at := 0
		for i, v := range s.Node.In {
			_, n, _ := lower.Around(v.Shape, axis)
			parts[i], starts[i] = units[U](v), at
			at += n * inner
		}
		return c.parallel(outer*len(parts), func(i int) {
			o, p := i/len(parts), i%len(parts)
			n := len(parts[p]) / outer
			copy(ys[o*size*inner+starts[p]:][:n], parts[p][o*n:])
		})
	}
}

// lowerSplit makes the parts views where they are contiguous, and otherwise copies them.
func lowerSplit(c *compiler, s *step) error {
	x, axis := s.Node.In[0], s.Node.Op.(graph.Split).Axis
	outer, _, inner := lower.Around(x.Shape, axis)
	if outer == 1 {
		at := 0
		for _, v := range s.Node.Out {
			v.ViewOf(x, at)
			_, n, _ := lower.Around(v.Shape, axis)
			at += n * inner
		}
		return nil
	}
	byWidth(x, func() { split[uint8](c, s) }, func() { split[uint32](c, s) }, func() { split[uint64](c, s) })
	return nil
}

func split[U unit](c *compiler, s *step) {
	axis, x := s.Node.Op.(graph.Split).Axis, s.Node.In[0]
	s.bind = func() func() error {
		outer, size, inner := lower.Around(x.Shape, axis)
		xs := units[U](x)
		parts := make([][]U, len(s.Node.Out))
		starts := make([]int, len(s.Node.Out))
		at := 0
		for i, v := range s.Node.Out {
			_, n, _ := lower.Around(v.Shape, axis)
			parts[i], starts[i] = units[U](v), at
			at += n * inner
		}
		return c.parallel(outer*len(parts), func(i int) {
			o, p := i/len(parts), i%len(parts)
			n := len(parts[p]) / max(1, outer)
			copy(parts[p][o*n:(o+1)*n], xs[o*size*inner+starts[p]:])
		})
	}
}

func lowerGather(c *compiler, s *step) error {
	byWidth(s.Node.In[0], func() { gather[uint8](c, s) }, func() { gather[uint32](c, s) }, func() { gather[uint64](c, s) })
	return nil
}

func gather[U unit](c *compiler, s *step) {
	axis, x, index, y := s.Node.Op.(graph.Gather).Axis, s.Node.In[0], s.Node.In[1], s.Node.Out[0]
	s.bind = func() func() error {
		outer, size, inner := lower.Around(x.Shape, axis)
		xs, ys, ids := units[U](x), units[U](y), elements[int64](index)
		n := len(ids)
		pick := c.ranges(outer, n*inner, func(lo, hi int) {
			for o := lo; o < hi; o++ {
				src, dst := xs[o*size*inner:(o+1)*size*inner], ys[o*n*inner:(o+1)*n*inner]
				if inner == 1 {
					for i, id := range ids {
						dst[i] = src[id]
					}
					continue
				}
				for i, id := range ids {
					copy(dst[i*inner:(i+1)*inner], src[int(id)*inner:])
				}
			}
		})
		return func() error {
			if err := checkIDs(ids, size); err != nil {
				return err
			}
			return pick()
		}
	}
}

// checkIDs verifies that every id is in [0, size).
func checkIDs(ids []int64, size int) error {
	for i, id := range ids {
		if id < 0 || id >= int64(size) {
			return fmt.Errorf("index %d at position %d is outside [0, %d)", id, i, size)
		}
	}
	return nil
}
