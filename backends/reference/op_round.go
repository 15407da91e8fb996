package reference

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// lowerRound computes in float64 for either session: a float32 widens to it exactly, and so is the result exact in float32.
func lowerRound[T tensor.Float](c *compiler, s *step) error {
	op := s.Node.Op.(graph.Round)
	if op.To.Scaled() {
		return lowerScaledRound[T](c, s, op)
	}
	l, err := op.To.Layout()
	if err != nil {
		return err
	}
	r := newRounder(l)
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

func newRounder(l graph.Layout) rounder {
	return rounder{
		drop:        uint(53 - l.Significand),
		leastNormal: math.Ldexp(1, l.MinExponent),
		magnet:      math.Ldexp(1, 52+l.MinExponent-l.Significand+1),
		limit:       math.Ldexp(1, l.MaxExponent+1),
	}
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

// lowerScaledRound divides, rounds and multiplies in the type of the session, as runtimes do in float32.
func lowerScaledRound[T tensor.Float](c *compiler, s *step, op graph.Round) error {
	x, scale, y := s.Node.In[0], s.Node.In[1], s.Node.Out[0]
	inner, count := op.Slices(x.Shape, scale.Shape)
	round := roundInteger[T]
	if op.To == graph.FP8 {
		round = roundE4M3[T]
	}
	s.Allow(x)
	s.bind = func() func() error {
		from, scales, to := elements[T](x), elements[T](scale), elements[T](y)
		return c.ranges(len(from), 1, func(lo, hi int) {
			for lo < hi { // a piece of one slice at a time
				slice := lo / inner
				end := min(hi, (slice+1)*inner)
				round(to[lo:end], from[lo:end], scales[slice%count])
				lo = end
			}
		})
	}
	return nil
}

// roundInteger computes s·clamp(rint(x/s), -128, 127), and NaN for NaN. A sum with magnet is an integer, halves rounded to even.
func roundInteger[T tensor.Float](y, x []T, s T) {
	magnet := T(3 << 22)
	if _, double := any(s).(float64); double {
		magnet = T(3 << 51)
	}
	for i, v := range x {
		q := min(max(v/s, -128), 127)
		y[i] = ((q + magnet) - magnet) * s
	}
}

// e4m3 rounds to fp8, once the magnitude is at most its largest.
var e4m3 = newRounder(graph.E4M3)

func roundE4M3[T tensor.Float](y, x []T, s T) {
	least, largest := graph.FP8.Limits()
	for i, v := range x {
		y[i] = T(e4m3.round(min(max(float64(v/s), least), largest))) * s
	}
}
