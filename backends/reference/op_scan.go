package reference

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// lowerTileSSMScan runs the recurrence for a stretch of channels per task, all tokens in order.
func lowerTileSSMScan[T tensor.Float](c *compiler, s *step) error {
	op, x := s.Node.Op.(graph.TileSSMScan), s.Node.In[0]
	const stretch = 32
	sc := &scan[T]{tokens: x.Shape[1], channels: x.Shape[2], backward: op.Backward, limit: T(op.Clamp)}
	stretches := (sc.channels + stretch - 1) / stretch
	s.bind = func() func() error {
		sc.x, sc.decay, sc.in = elements[T](x), elements[T](s.Node.In[1]), elements[T](s.Node.In[2])
		sc.gain, sc.bias = elements[T](s.Node.In[3]), elements[T](s.Node.In[4])
		sc.y, sc.state = elements[T](s.Node.Out[0]), elements[T](s.Node.Out[1])
		return c.parallel(x.Shape[0]*stretches, func(i int) {
			b, first := i/stretches, i%stretches*stretch
			sc.run(b, first, min(first+stretch, sc.channels))
		})
	}
	return nil
}

type scan[T tensor.Float] struct {
	tokens, channels         int
	backward                 bool
	limit                    T
	x, decay, in, gain, bias []T
	y, state                 []T
}

// run scans the channels [lo, hi) of one sample. The state lies in the output for the final state.
func (s *scan[T]) run(b, lo, hi int) {
	state := s.state[b*s.channels : (b+1)*s.channels]
	clear(state[lo:hi])
	for step := range s.tokens {
		k := step
		if s.backward {
			k = s.tokens - 1 - step
		}
		x, y := s.x[(b*s.tokens+k)*s.channels:], s.y[(b*s.tokens+k)*s.channels:]
		for ch := lo; ch < hi; ch++ {
			d := min(max(s.decay[ch], 1e-6), 1-1e-6)
			state[ch] = d*state[ch] + (1-d)*(s.in[ch]*s.sanitised(x[ch])+s.bias[ch])
			y[ch] = s.gain[ch] * state[ch]
		}
	}
}

// sanitised maps NaN to 0 and limits the rest, infinities included.
func (s *scan[T]) sanitised(v T) T {
	if v != v {
		return 0
	}
	return min(max(v, -s.limit), s.limit)
}
