package routing

import (
	"fmt"
	"slices"
)

// Float is the element type of feature maps, packed tiles and router weights. Arithmetic on such data is done in the type
// itself, as the model does.
type Float interface{ float32 | float64 }

// Array is dense row-major data with its shape, last axis fastest. Feature maps are [B,C,H,W].
type Array[T any] struct {
	Data  []T
	Shape []int
}

// NewArray returns zeros of the given shape, whose sizes must be >= 0.
func NewArray[T any](shape ...int) Array[T] {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return Array[T]{Data: make([]T, n), Shape: shape}
}

// check requires the rank, no negative size, and as much data as the shape says.
func (a Array[T]) check(what string, rank int) error {
	if len(a.Shape) != rank {
		return fmt.Errorf("%s have shape %v: want rank-%d", what, a.Shape, rank)
	}
	return a.checkSize(what)
}

func (a Array[T]) checkSize(what string) error {
	// The product is compared as it grows, so that it cannot overflow.
	n, empty := 1, false
	for _, s := range a.Shape {
		if s < 0 {
			return fmt.Errorf("%s have shape %v: sizes must be >= 0", what, a.Shape)
		}
		empty = empty || s == 0
	}
	if empty {
		n = 0
	} else {
		for _, s := range a.Shape {
			if n > len(a.Data)/s {
				n = -1
				break
			}
			n *= s
		}
	}
	if n != len(a.Data) {
		return fmt.Errorf("%s have shape %v but %d values", what, a.Shape, len(a.Data))
	}
	return nil
}

// clone copies the data, so that the result can be written to.
func (a Array[T]) clone() Array[T] {
	return Array[T]{Data: slices.Clone(a.Data), Shape: slices.Clone(a.Shape)}
}
