package budget

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// elementary is the error of an elementary function in its last places: libraries are wrong by up to 4 units, and some work to an
// absolute error, of a unit of results that are at most 1.
func elementary(y float64) float64 { return Unit * (4*math.Abs(y) + 1) }

// sum is the rule of a + b and a - b: σy² = σa² + σb² + (u·y)².
func sum(c *call) ([][]float64, error) {
	if c.out[0].DType() == tensor.Int64 {
		return nil, nil
	}
	if a, b := c.in[0], c.in[1]; a.Len() == c.out[0].Len() && b.Len() == c.out[0].Len() {
		return c.each(func(i int, y float64) float64 {
			s, t, own := a.spread(i), b.spread(i), Unit*y
			return math.Sqrt(s*s + t*t + own*own)
		})
	}
	a, b := c.operands()
	return c.each(func(i int, y float64) float64 {
		_, s := a(i)
		_, t := b(i)
		return root(s, t, Unit*y)
	})
}

// multiplied is the rule of a·b: σy² = (b·σa)² + (a·σb)² + (σa·σb)² + (u·y)².
func multiplied(c *call) ([][]float64, error) {
	if c.out[0].DType() == tensor.Int64 {
		return nil, nil
	}
	if a, b := c.in[0], c.in[1]; a.Len() == c.out[0].Len() && b.Len() == c.out[0].Len() {
		vs, ws := a.floats(), b.floats()
		return c.each(func(i int, y float64) float64 {
			s, t, own := a.spread(i), b.spread(i), Unit*y
			return math.Sqrt(ws[i]*ws[i]*s*s + (vs[i]*vs[i]+s*s)*t*t + own*own)
		})
	}
	a, b := c.operands()
	return c.each(func(i int, y float64) float64 {
		v, s := a(i)
		w, t := b(i)
		return root(w*s, v*t, s*t, Unit*y)
	})
}

// divided is the rule of a/b: σy² = (σa/b)² + (y·σb/b)² + (2·u·y)², where b is larger than λ·σb; else nothing is known.
func divided(c *call) ([][]float64, error) {
	a, b := c.operands()
	return c.each(func(i int, y float64) float64 {
		_, s := a(i)
		w, t := b(i)
		if math.Abs(w) <= c.Factor*t {
			return math.Inf(1)
		}
		return root(s/w, y*t/w, 2*Unit*y)
	})
}

// largest is the rule of max(a, b) and min(a, b), which change by no more than either operand.
func largest(c *call) ([][]float64, error) {
	if c.out[0].DType() == tensor.Int64 {
		return nil, nil
	}
	a, b := c.operands()
	return c.each(func(i int, _ float64) float64 {
		_, s := a(i)
		_, t := b(i)
		return max(s, t)
	})
}

// operands returns the two operands of a node, and their spreads, at the elements of its output.
func (c *call) operands() (a, b func(i int) (v, spread float64)) {
	of := func(v Value) func(int) (float64, float64) {
		at, data := broadcast(c.out[0].Shape(), v.Shape()), v.floats()
		return func(i int) (float64, float64) {
			j := at(i)
			return data[j], v.spread(j)
		}
	}
	return of(c.in[0]), of(c.in[1])
}

// broadcast maps a flat index of the result to one of an operand.
func broadcast(out, in []int) func(int) int {
	n, m := size(out), size(in)
	switch {
	case n == m:
		return func(i int) int { return i }
	case m == 1:
		return func(int) int { return 0 }
	}
	steps, step := make([]int, len(out)), 1
	for d := len(out) - 1; d >= 0; d-- {
		if j := d - (len(out) - len(in)); j >= 0 {
			if in[j] != 1 {
				steps[d] = step
			}
			step *= in[j]
		}
	}
	return func(i int) int {
		at := 0
		for d := len(out) - 1; d >= 0; d-- {
			at += i % out[d] * steps[d]
			i /= out[d]
		}
		return at
	}
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// function is the rule of y = f(x): σy² = (f'(x)·σx)² + own², with the derivative at x as a function of x and y.
func function(derivative func(x, y float64) float64, own func(y float64) float64) rule {
	return func(c *call) ([][]float64, error) {
		x, xs := c.in[0], c.in[0].floats()
		return c.each(func(i int, y float64) float64 {
			if s := x.spread(i); s > 0 {
				moved, rounded := derivative(xs[i], y)*s, own(y)
				return math.Sqrt(moved*moved + rounded*rounded)
			}
			return own(y)
		})
	}
}

// The rules of elementary functions. That of ReLU takes the slope 1 on both sides, since an error may cross 0.
var (
	sigmoid  = function(func(_, y float64) float64 { return y * (1 - y) }, elementary)
	tanh     = function(func(_, y float64) float64 { return 1 - y*y }, elementary)
	softplus = function(func(x, _ float64) float64 { return 1 / (1 + math.Exp(-x)) }, elementary)
)

// relu passes an error on where x may be positive.
func relu(c *call) ([][]float64, error) {
	x := c.in[0]
	if x.exact() {
		return nil, nil
	}
	return c.each(func(i int, _ float64) float64 {
		if x.floats()[i] <= -c.Factor*x.Spread[i] {
			return 0
		}
		return x.Spread[i]
	})
}

// clip passes an error on where x may be within the limits, which float32 rounds.
func clip(c *call) ([][]float64, error) {
	op, x := c.node.Op.(graph.Clip), c.in[0]
	return c.each(func(i int, y float64) float64 {
		v, s := x.floats()[i], x.spread(i)
		if v >= op.Low && v <= op.High {
			return s
		}
		if v+c.Factor*s < op.Low || v-c.Factor*s > op.High {
			return Unit * math.Abs(y)
		}
		return root(s, Unit*y)
	})
}

// floor is off by 1 where an error may cross an integer, and exact elsewhere.
func floor(c *call) ([][]float64, error) {
	x := c.in[0]
	if x.exact() {
		return nil, nil
	}
	return c.each(func(i int, _ float64) float64 {
		v, e := x.floats()[i], c.Factor*x.Spread[i]
		if math.Floor(v-e) == math.Floor(v+e) {
			return 0
		}
		return c.jump(math.Ceil(e) + 1)
	})
}

// where has the error of what it chooses.
func where(c *call) ([][]float64, error) {
	if !c.out[0].DType().IsFloat() {
		return nil, nil
	}
	out := c.out[0].Shape()
	cond, a, b := broadcast(out, c.in[0].Shape()), broadcast(out, c.in[1].Shape()), broadcast(out, c.in[2].Shape())
	chooses := tensor.Data[bool](c.in[0].Tensor)
	return c.each(func(i int, _ float64) float64 {
		if chooses[cond(i)] {
			return c.in[1].spread(a(i))
		}
		return c.in[2].spread(b(i))
	})
}

// cast keeps the error of a float that stays one; integers from floats are chosen.
func cast(c *call) ([][]float64, error) {
	if !c.in[0].DType().IsFloat() || !c.out[0].DType().IsFloat() {
		return nil, nil
	}
	return moved(c)
}

// curved leaves room for the curvature of what comes before a rounding: a quantum is no small error, and slopes are taken at the exact value.
const curved = 1.1

// round is the rule of a declared rounding. A value whose error may carry it over the middle between two numbers of the format ends
// at the other one, a quantum q away; any other is exact. In a whole run the value is as likely to be carried to one side as to the other, whatever
// its operands did, and an error and a quantum add up as squares. Beside an execution that does not round, every value is off by up to half a quantum:
//
//	σy = curved·(q + λ·σx)/λ      in a whole run σy² = σx² + (curved·q/4)²      beside exact values σy² = σx² + (Persistent·q/2)²
func round(c *call) ([][]float64, error) {
	x := c.in[0]
	if op := c.node.Op.(graph.Round); op.To.Scaled() {
		return roundScaled(c, op)
	}
	if x.exact() && !c.declared.alone {
		return nil, nil
	}
	layout, err := c.node.Op.(graph.Round).To.Layout()
	if err != nil {
		return nil, err
	}
	return c.each(func(i int, y float64) float64 {
		v, s := x.floats()[i], x.spread(i)
		e := c.Factor * s
		_, exponent := math.Frexp(math.Abs(v) + e)
		quantum := math.Ldexp(1, max(exponent-1, layout.MinExponent)-layout.Significand+1)
		if math.IsInf(y, 0) || exponent-1 > layout.MaxExponent {
			return math.Inf(1) // it overflows, or nearly does
		}
		if c.declared.alone {
			return root(s, Persistent*quantum/2)
		}
		if nearest := math.RoundToEven(v/quantum) * quantum; nearest == y && math.Abs(v-nearest)+e < quantum/4 {
			return 0 // also where the quantum is half as large, below a power of two
		}
		if c.whole {
			return root(s, c.jump(curved*quantum))
		}
		return c.jump(curved * (quantum + e))
	})
}

// roundScaled is the rule of y = s·round(x/s). The quotient is float32 too, and may be carried over the middle between two numbers of the
// format by its own error; the product rounds.
func roundScaled(c *call, op graph.Round) ([][]float64, error) {
	x, scales := c.in[0], c.in[1].floats()
	inner, count := op.Slices(x.Shape(), c.in[1].Shape())
	least, most := op.To.Limits()
	return c.each(func(i int, y float64) float64 {
		s := scales[i/inner%count]
		v := x.floats()[i] / s
		e := c.Factor*x.spread(i)/s + 2*Unit*math.Abs(v)
		if v+e < least || v-e > most {
			return Unit * math.Abs(y) // the largest number, whatever the error
		}
		quantum := 1.0
		if op.To == graph.FP8 {
			_, exponent := math.Frexp(math.Abs(v) + e)
			quantum = math.Ldexp(1, max(exponent-1, graph.E4M3.MinExponent)-graph.E4M3.Significand+1)
		}
		if middle := math.Abs(v/quantum-math.Floor(v/quantum)-0.5) * quantum; middle > 2*e {
			return Unit * math.Abs(y)
		}
		return c.jump(curved*(quantum+e)*s) + Unit*math.Abs(y)
	})
}
