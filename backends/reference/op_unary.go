package reference

import (
	"fmt"
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

func lowerIdentity(_ *compiler, s *step) error {
	s.Node.Out[0].ViewOf(s.Node.In[0], 0)
	return nil
}

// lowerActivation lowers the functions that package kernel computes.
func lowerActivation[T tensor.Float](c *compiler, s *step) error {
	f, ok := map[string]func(p *kernel.Pool, x, y []T, isa kernel.ISA){
		"Sigmoid":  kernel.Sigmoid[T],
		"Tanh":     kernel.Tanh[T],
		"Softplus": kernel.Softplus[T],
		"SiLU":     kernel.Swish[T],
	}[s.Node.Op.OpType()]
	if !ok {
		return fmt.Errorf("no kernel for %s", s.Node.Op.OpType())
	}
	s.Allow(s.Node.In[0])
	if err := c.lowerAside(s); err != nil {
		return err
	}
	s.bind = func() func() error {
		x, y, aside := elements[T](s.Node.In[0]), elements[T](s.Node.Out[0]), s.bindAside()
		return func() error {
			if err := aside(); err != nil {
				return err
			}
			f(c.pool, x, y, c.isa)
			return nil
		}
	}
	return nil
}

// lowerRelu: max(x, 0), NaN for NaN.
func lowerRelu[T tensor.Float](c *compiler, s *step) error {
	return lowerMap(c, s, func(y, x []T) {
		for i, v := range x {
			y[i] = max(v, 0)
		}
	})
}

func lowerFloor[T tensor.Float](c *compiler, s *step) error {
	return lowerMap(c, s, func(y, x []T) {
		for i, v := range x {
			y[i] = T(math.Floor(float64(v)))
		}
	})
}

func lowerIsNaN[T tensor.Float](c *compiler, s *step) error {
	return lowerMap(c, s, func(y []bool, x []T) {
		for i, v := range x {
			y[i] = v != v
		}
	})
}

// lowerClip rounds the limits to the session's precision. Both comparisons are false for NaN, which stays.
func lowerClip[T tensor.Float](c *compiler, s *step) error {
	op := s.Node.Op.(graph.Clip)
	low, high := T(op.Low), T(op.High)
	return lowerMap(c, s, func(y, x []T) {
		for i, v := range x {
			if v < low {
				v = low
			} else if v > high {
				v = high
			}
			y[i] = v
		}
	})
}

// lowerMap lowers a function of one operand to f, which gets stretches of equal length and may get the same one twice.
func lowerMap[X, Y tensor.Element](c *compiler, s *step, f func(y []Y, x []X)) error {
	s.Allow(s.Node.In[0])
	s.bind = func() func() error {
		x, y := elements[X](s.Node.In[0]), elements[Y](s.Node.Out[0])
		return c.ranges(len(x), 1, func(lo, hi int) { f(y[lo:hi], x[lo:hi]) })
	}
	return nil
}
