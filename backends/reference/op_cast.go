package reference

import (
	"fmt"

	"github.com/apex-x/apexx/backends/tensor"
)

// lowerCast converts elements. Numbers become booleans by comparison with 0, and booleans the numbers 0 and 1.
func lowerCast[T tensor.Float](c *compiler, s *step) error {
	x, y := s.Node.In[0], s.Node.Out[0]
	if x.DType == y.DType {
		y.ViewOf(x, 0)
		return nil
	}
	switch x.DType {
	case tensor.Int32:
		return castFrom[int32, T](c, s)
	case tensor.Int64:
		return castFrom[int64, T](c, s)
	case tensor.Bool:
		return castFromBool[T](c, s)
	}
	return castFrom[T, T](c, s)
}

func castFrom[X number, T tensor.Float](c *compiler, s *step) error {
	switch s.Node.Out[0].DType {
	case tensor.Int32:
		return lowerMap(c, s, convert[X, int32])
	case tensor.Int64:
		return lowerMap(c, s, convert[X, int64])
	case tensor.Bool:
		return lowerMap(c, s, func(y []bool, x []X) {
			for i, v := range x {
				y[i] = v != 0
			}
		})
	case tensor.DTypeOf[T]():
		return lowerMap(c, s, convert[X, T])
	}
	return fmt.Errorf("cannot cast to %v", s.Node.Out[0].DType)
}

func castFromBool[T tensor.Float](c *compiler, s *step) error {
	switch s.Node.Out[0].DType {
	case tensor.Int32:
		return lowerMap(c, s, fromBool[int32])
	case tensor.Int64:
		return lowerMap(c, s, fromBool[int64])
	}
	return lowerMap(c, s, fromBool[T])
}

func convert[X, Y number](y []Y, x []X) {
	for i, v := range x {
		y[i] = Y(v)
	}
}

func fromBool[Y number](y []Y, x []bool) {
	for i, v := range x {
		y[i] = 0
		if v {
			y[i] = 1
		}
	}
}
