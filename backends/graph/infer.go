package graph

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// The helpers below keep the rules of inference short: each checks one thing and words the error.

func wantInputs(in []Type, least, most int) error {
	if len(in) < least || len(in) > most {
		if least == most {
			return fmt.Errorf("got %d inputs, want %d", len(in), least)
		}
		return fmt.Errorf("got %d inputs, want %d to %d", len(in), least, most)
	}
	for i := range least {
		if in[i].DType == tensor.Invalid {
			return fmt.Errorf("input %d is missing", i)
		}
	}
	return nil
}

func wantFloat(in []Type, indices ...int) error {
	for _, i := range indices {
		if i < len(in) && in[i].DType != tensor.Invalid && !in[i].DType.IsFloat() {
			return fmt.Errorf("input %d is %v, want a floating-point type", i, in[i])
		}
	}
	return nil
}

func wantDType(in []Type, i int, d tensor.DType) error {
	if in[i].DType != d {
		return fmt.Errorf("input %d is %v, want %v", i, in[i], d)
	}
	return nil
}

func wantRank(in []Type, i, rank int) error {
	if len(in[i].Shape) != rank {
		return fmt.Errorf("input %d has shape %v, want rank %d", i, in[i].Shape, rank)
	}
	return nil
}

func wantShape(in []Type, i int, shape ...int) error {
	if !slices.Equal(in[i].Shape, shape) {
		return fmt.Errorf("input %d has shape %v, want %v", i, in[i].Shape, shape)
	}
	return nil
}

// floats is the opening check of most operators: a number of inputs, all of them floating-point.
func floats(in []Type, least, most int) error {
	if err := wantInputs(in, least, most); err != nil {
		return err
	}
	for i := range in {
		if err := wantFloat(in, i); err != nil {
			return err
		}
	}
	return nil
}

func one(dtype tensor.DType, shape ...int) []Type { return []Type{{dtype, shape}} }

// Broadcast returns the common shape of two operands under the multidirectional (NumPy) rule of ONNX.
func Broadcast(a, b []int) ([]int, error) {
	n := max(len(a), len(b))
	out := make([]int, n)
	for i := range n {
		x, y := 1, 1
		if j := i - (n - len(a)); j >= 0 {
			x = a[j]
		}
		if j := i - (n - len(b)); j >= 0 {
			y = b[j]
		}
		switch {
		case x == y || y == 1:
			out[i] = x
		case x == 1:
			out[i] = y
		default:
			return nil, fmt.Errorf("shapes %v and %v do not broadcast", a, b)
		}
	}
	return out, nil
}

// axisOf resolves a negative axis and checks its range.
func axisOf(axis, rank int) (int, error) {
	a := axis
	if a < 0 {
		a += rank
	}
	if a < 0 || a >= rank {
		return 0, fmt.Errorf("axis %d is outside a shape of rank %d", axis, rank)
	}
	return a, nil
}
