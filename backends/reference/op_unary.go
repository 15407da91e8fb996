package reference

import (
	"fmt"
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

func lowerIdentity(_ *compiler, s *step) error {
	s.node.out[0].viewOf(s.node.in[0], 0)
	return nil
}

// lowerActivation lowers the functions that package kernel computes.
func lowerActivation[T tensor.Float](c *compiler, s *step) error {
	f, ok := map[string]func(p *kernel.Pool, x, y []T, isa kernel.ISA){
		"Sigmoid":  kernel.Sigmoid[T],
		"Tanh":     kernel.Tanh[T],
		"Softplus": kernel.Softplus[T],
		"SiLU":     kernel.Swish[T],
	}[s.node.op.OpType()]
	if !ok {
		return fmt.Errorf("no kernel for %s", s.node.op.OpType())
	}
	s.allow(s.node.in[0])
	s.bind = func() func() error {
		x, y := elements[T](s.node.in[0]), elements[T](s.node.out[0])
		return func() error {
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
	op := s.node.op.(graph.Clip)
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
	s.allow(s.node.in[0])
	s.bind = func() func() error {
		x, y := elements[X](s.node.in[0]), elements[Y](s.node.out[0])
		return c.ranges(len(x), 1, func(lo, hi int) { f(y[lo:hi], x[lo:hi]) })
	}
	return nil
}
