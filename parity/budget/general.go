package budget

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
)

// Rules of the operators that Apex-X does not use (graph.General).

// The rules of elementary functions.
var (
	exponential = function(func(_, y float64) float64 { return y }, elementary)
	logarithm   = function(func(x, _ float64) float64 { return 1 / x }, elementary)
	squareRoot  = function(func(_, y float64) float64 { return 1 / (2 * y) }, elementary)
	erf         = function(func(x, _ float64) float64 { return 2 / math.Sqrt(math.Pi) * math.Exp(-x*x) }, elementary)
)

// power is the rule of y = a^b: σy² = (b·y/a·σa)² + (y·ln a·σb)² + own².
func power(c *call) ([][]float64, error) {
	a, b := c.operands()
	return c.each(func(i int, y float64) float64 {
		v, s := a(i)
		w, t := b(i)
		var ofA, ofB float64
		if s > 0 {
			ofA = w * y / v * s
		}
		if t > 0 {
			ofB = y * math.Log(v) * t
		}
		return root(ofA, ofB, elementary(y))
	})
}

// softmax is the rule of y = e^(x-m)/Σe^(x-m) along an axis of n elements. The argument of e is rounded, and the sum is of terms of one sign:
//
//	σy² = y²·(σx² + Σy²·σx²) + (y·u)²·((x-m)² + √n) + own²
func softmax(c *call) ([][]float64, error) {
	x, y := c.in[0], c.out[0].floats()
	axis, before, behind := along(x.Shape(), c.node.Op.(graph.Softmax).Axis)
	n := x.Shape()[axis]
	out := make([]float64, len(y))
	for row := range before * behind {
		at := func(i int) int { return (row/behind*n+i)*behind + row%behind }
		most, mixed := math.Inf(-1), 0.0
		for i := range n {
			most = max(most, x.floats()[at(i)])
			mixed = root(mixed, y[at(i)]*x.spread(at(i)))
		}
		for i := range n {
			j := at(i)
			out[j] = root(y[j]*x.spread(j), y[j]*mixed, y[j]*Unit*(x.floats()[j]-most), y[j]*Unit*math.Pow(float64(n), 0.25), elementary(y[j]))
		}
	}
	return [][]float64{out}, nil
}

// pool is the rule of the largest and the mean of windows.
func pool(c *call) ([][]float64, error) {
	op, x, s := c.node.Op.(graph.Pool), c.in[0], c.out[0].Shape()
	in := x.Shape()
	return c.each(func(i int, _ float64) float64 {
		ox, oy, plane := i%s[3], i/s[3]%s[2], i/(s[3]*s[2])
		top, left := oy*op.Strides[0]-op.Pads[0], ox*op.Strides[1]-op.Pads[1]
		y0, y1, x0, x1 := max(top, 0), min(top+op.Kernel[0], in[2]), max(left, 0), min(left+op.Kernel[1], in[3])
		most := 0.0
		m := momentsOf((y1-y0)*(x1-x0), func(i int) (float64, float64) {
			at := (plane*in[2]+y0+i/(x1-x0))*in[3] + x0 + i%(x1-x0)
			most = max(most, x.spread(at))
			return x.floats()[at], x.spread(at)
		})
		if op.Fn == graph.MaxPool {
			return most
		}
		return m.meanSpread
	})
}

// globalPool is the rule of the mean of each channel.
func globalPool(c *call) ([][]float64, error) {
	x := c.in[0]
	n := x.Shape()[2] * x.Shape()[3]
	return c.each(func(i int, _ float64) float64 {
		return momentsOf(n, func(j int) (float64, float64) { return x.floats()[i*n+j], x.spread(i*n + j) }).meanSpread
	})
}

// batchNorm is the rule of y = (x-μ)·g + β with g = γ/√(v+ε), or x·g + (β - μ·g); parameters are exact:
//
//	σy² = (g·σx)² + u²·((g·x)² + (g·μ)² + 4·(g·(x-μ))² + y²)
func batchNorm(c *call) ([][]float64, error) {
	x, epsilon := c.in[0], c.node.Op.(graph.BatchNormalization).Epsilon
	channels, rest := x.Shape()[1], size(x.Shape()[2:])
	gamma, mean, variance := c.in[1].floats(), c.in[3].floats(), c.in[4].floats()
	return c.each(func(i int, y float64) float64 {
		ch, v := i/rest%channels, x.floats()[i]
		g := gamma[ch] / math.Sqrt(variance[ch]+epsilon)
		return root(g*x.spread(i), Unit*g*v, Unit*g*mean[ch], 2*Unit*g*(v-mean[ch]), Unit*y)
	})
}

func transpose(c *call) ([][]float64, error) {
	return c.carried(func(spread func(operand, i int) float64) [][]float64 {
		perm, in, s := c.node.Op.(graph.Transpose).Perm, c.in[0].Shape(), c.out[0].Shape()
		out := make([]float64, c.out[0].Len())
		for i := range out {
			from, rest := 0, i
			for d := len(perm) - 1; d >= 0; d-- {
				from += rest % s[d] * size(in[perm[d]+1:])
				rest /= s[d]
			}
			out[i] = spread(0, from)
		}
		return [][]float64{out}
	})
}
