package routing

import (
	"fmt"
	"math"
)

// Spline is a piecewise linear activation per feature, through NumKnots equally spaced knots on [Min, Max], constant
// outside. Source: spec 19.1.
type Spline[T Float] struct {
	features, knots int
	lo, hi, delta   T
	y               []T // [features, knots]
}

// NewSpline returns the activation with knot heights y [features, knots], not copied. features > 0, knots >= 2, hi > lo.
func NewSpline[T Float](features, knots int, lo, hi float64, y []T) (*Spline[T], error) {
	if features <= 0 || knots < 2 || !(hi > lo) || !finite(lo) || !finite(hi) {
		return nil, fmt.Errorf("spline of %d features and %d knots on [%v, %v]: want features > 0, knots >= 2 and a finite, increasing range", features, knots, lo, hi)
	}
	if len(y) != features*knots {
		return nil, fmt.Errorf("spline has %d knot heights: want %d features of %d knots", len(y), features, knots)
	}
	return &Spline[T]{features, knots, T(lo), T(hi), T((hi - lo) / float64(knots-1)), y}, nil
}

// Apply replaces x, whose length is the number of features, by its activation:
//
//	pos = (clamp(x) - lo)/delta; i = clamp(floor(pos), 0, knots-2); y = y[i] + (pos-i)*(y[i+1]-y[i])
//
// with NaN taken as 0 and infinities as the ends of the range.
func (s *Spline[T]) Apply(x []T) error {
	if len(x) != s.features {
		return fmt.Errorf("spline of %d features got %d", s.features, len(x))
	}
	s.apply(x)
	return nil
}

func (s *Spline[T]) apply(x []T) {
	for f, v := range x {
		if v != v {
			v = 0
		}
		pos := (min(max(v, s.lo), s.hi) - s.lo) / s.delta
		i := min(max(int(math.Floor(float64(pos))), 0), s.knots-2)
		y := s.y[f*s.knots+i:]
		x[f] = y[0] + T((pos-T(i))*(y[1]-y[0]))
	}
}

// knotPositions returns the knots' abscissae, also the heights of the identity.
func knotPositions(knots int, lo, hi float64) []float64 {
	x := make([]float64, knots)
	for i := range x {
		x[i] = lo + float64(i)*(hi-lo)/float64(knots-1)
	}
	return x
}
