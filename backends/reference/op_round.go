package reference

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// lowerRound computes in float64 for either session: a float32 widens to it exactly, and so is the result exact in float32.
func lowerRound[T tensor.Float](c *compiler, s *step) error {
	r, err := newRounder(s.node.op.(graph.Round).To)
	if err != nil {
		return err
	}
	return lowerMap(c, s, func(y, x []T) {
		for i, v := range x {
			y[i] = T(r.round(float64(v)))
		}
	})
}

// rounder rounds float64 to a narrower format, to nearest and halves to even.
type rounder struct {
	drop                uint    // low bits of a float64 that a normal number of the format does not have
	leastNormal, magnet float64 // a sum with magnet is a multiple of the least subnormal number
	limit               float64 // the power of two beyond the largest finite number
}

func newRounder(f graph.Format) (rounder, error) {
	l, err := f.Layout()
	return rounder{
		drop:        uint(53 - l.Significand),
		leastNormal: math.Ldexp(1, l.MinExponent),
		magnet:      math.Ldexp(1, 52+l.MinExponent-l.Significand+1),
		limit:       math.Ldexp(1, l.MaxExponent+1),
	}, err
}

func (r rounder) round(x float64) float64 {
	a := math.Abs(x)
	switch {
	case a < r.leastNormal:
		a = (a + r.magnet) - r.magnet
	case a < r.limit:
		bits := math.Float64bits(a)
		bits += 1<<(r.drop-1) - 1 + bits>>r.drop&1 // a carry moves on to the exponent, as it should
		if a = math.Float64frombits(bits &^ (1<<r.drop - 1)); a >= r.limit {
			a = math.Inf(1)
		}
	case a == a:
		a = math.Inf(1)
	}
	return math.Copysign(a, x)
}
