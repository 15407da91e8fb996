package reference

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

func lowerMatMul[T tensor.Float](c *compiler, s *step) error {
	a, b := s.Node.In[0], s.Node.In[1]
	if !(graph.MatMul{}).Stacks(a.Shape, b.Shape) {
		return lowerMatMulBroadcast[T](c, s)
	}
	batch, m, k, n := a.Shape[0], a.Shape[1], a.Shape[2], b.Shape[2]
	scratch := s.AddScratch(c.float, kernel.MatMulScratchLen[T](batch, m, k, n, c.pool.Threads(), c.isa))
	s.bind = func() func() error {
		as, bs, ys, tmp := elements[T](a), elements[T](b), elements[T](s.Node.Out[0]), elements[T](scratch)
		return func() error {
			kernel.MatMul(c.pool, as, bs, ys, batch, m, k, n, false, nil, c.isa, tmp)
			return nil
		}
	}
	return nil
}

// lowerGemm hands an addend that is a row vector to the kernel as bias; any other is added afterwards.
func lowerGemm[T tensor.Float](c *compiler, s *step) error {
	a, b, addend, y := s.Node.In[0], s.Node.In[1], s.Node.Input(2), s.Node.Out[0]
	m, k, n, transB := a.Shape[0], a.Shape[1], y.Shape[1], s.Node.Op.(graph.Gemm).TransB
	scratch := s.AddScratch(c.float, kernel.MatMulScratchLen[T](1, m, k, n, c.pool.Threads(), c.isa))
	row := addend != nil && addend.Len() == n && addend.Shape[len(addend.Shape)-1] == n && n > 0
	s.bind = func() func() error {
		as, bs, ys, tmp := elements[T](a), elements[T](b), elements[T](y), elements[T](scratch)
		var bias []T
		if row {
			bias = elements[T](addend)
		}
		add := func() error { return nil }
		if addend != nil && !row {
			cs, l := elements[T](addend), newNest(y.Shape, y.Shape, addend.Shape)
			add = l.spans(c, func(off, n int, at [maxOperands]int) {
				combine(graph.Add, ys[off:off+n], ys[at[0]:], cs[at[1]:], l.inner[0], l.inner[1])
			})
		}
		return func() error {
			kernel.MatMul(c.pool, as, bs, ys, 1, m, k, n, transB, bias, c.isa, tmp)
			return add()
		}
	}
	return nil
}
