package reference

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

func lowerMatMul[T tensor.Float](c *compiler, s *step) error {
	a, b := s.node.in[0], s.node.in[1]
	batch, m, k, n := a.shape[0], a.shape[1], a.shape[2], b.shape[2]
	scratch := s.addScratch(c.float, kernel.MatMulScratchLen[T](batch, m, k, n, c.pool.Threads(), c.isa))
	s.bind = func() func() error {
		as, bs, ys, tmp := elements[T](a), elements[T](b), elements[T](s.node.out[0]), elements[T](scratch)
		return func() error {
			kernel.MatMul(c.pool, as, bs, ys, batch, m, k, n, false, nil, c.isa, tmp)
			return nil
		}
	}
	return nil
}

// lowerGemm hands an addend that is a row vector to the kernel as bias; any other is added afterwards.
func lowerGemm[T tensor.Float](c *compiler, s *step) error {
	a, b, addend, y := s.node.in[0], s.node.in[1], s.node.input(2), s.node.out[0]
	m, k, n, transB := a.shape[0], a.shape[1], y.shape[1], s.node.op.(graph.Gemm).TransB
	scratch := s.addScratch(c.float, kernel.MatMulScratchLen[T](1, m, k, n, c.pool.Threads(), c.isa))
	row := addend != nil && addend.len() == n && addend.shape[len(addend.shape)-1] == n && n > 0
	s.bind = func() func() error {
		as, bs, ys, tmp := elements[T](a), elements[T](b), elements[T](y), elements[T](scratch)
		var bias []T
		if row {
			bias = elements[T](addend)
		}
		add := func() error { return nil }
		if addend != nil && !row {
			cs, l := elements[T](addend), newNest(y.shape, y.shape, addend.shape)
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
