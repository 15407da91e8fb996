package reference

import "github.com/apex-x/apexx/backends/tensor"

func lowerWhere[T tensor.Float](c *compiler, s *step) error {
	switch s.Node.Out[0].DType {
	case tensor.Int32:
		lowerWhereOf[int32](c, s)
	case tensor.Int64:
		lowerWhereOf[int64](c, s)
	case tensor.Bool:
		lowerWhereOf[bool](c, s)
	default:
		lowerWhereOf[T](c, s)
	}
	return nil
}

func lowerWhereOf[E tensor.Element](c *compiler, s *step) {
	cond, a, b, y := s.Node.In[0], s.Node.In[1], s.Node.In[2], s.Node.Out[0]
	s.Allow(a)
	s.Allow(b)
	s.bind = func() func() error {
		cs, as, bs, ys := elements[bool](cond), elements[E](a), elements[E](b), elements[E](y)
		l := newNest(y.Shape, cond.Shape, a.Shape, b.Shape)
		return l.spans(c, func(off, n int, at [maxOperands]int) {
			for i := range n {
				if cs[at[0]+i*l.inner[0]] {
					ys[off+i] = as[at[1]+i*l.inner[1]]
				} else {
					ys[off+i] = bs[at[2]+i*l.inner[2]]
				}
			}
		})
	}
}
