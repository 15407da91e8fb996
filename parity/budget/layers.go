package budget

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
)

// topK is the rule of the largest elements of a row: an order statistic moves by no more than the largest error in the row. Which elements they
// are is chosen.
func topK(c *call) ([][]float64, error) {
	op, x := c.node.Op.(graph.TopK), c.in[0]
	if x.exact() {
		return nil, nil
	}
	axis, before, behind := along(x.Shape(), op.Axis)
	n := x.Shape()[axis]
	out := make([]float64, c.out[0].Len())
	for row := range before * behind {
		most := 0.0
		for i := range n {
			most = max(most, x.spread((row/behind*n+i)*behind+row%behind))
		}
		for k := range op.K {
			out[(row/behind*op.K+k)*behind+row%behind] = most
		}
	}
	return [][]float64{out, nil}, nil
}

// noisy is a number with its spread.
type noisy struct{ v, s float64 }

// The arithmetic of an LSTM, as in the rules of single operators.
func (a noisy) times(b noisy) noisy {
	y := a.v * b.v
	return noisy{y, root(b.v*a.s, a.v*b.s, a.s*b.s, Unit*y)}
}

func (a noisy) plus(b noisy) noisy { return noisy{a.v + b.v, root(a.s, b.s, Unit*(a.v+b.v))} }

func (a noisy) logistic() noisy {
	y := logistic(a.v)
	return noisy{y, root(y*(1-y)*a.s, elementary(y))}
}

func (a noisy) tanh() noisy {
	y := math.Tanh(a.v)
	return noisy{y, root((1-y*y)*a.s, elementary(y))}
}

// lstm is the rule of the steps of an LSTM, one after the other: a gate is a product of K = inputs + hidden units terms, and what follows is
// element by element. Weights are exact.
func lstm(c *call) ([][]float64, error) {
	op, x, directions := c.node.Op.(graph.LSTM), c.in[0].Shape(), c.in[1].Shape()[0]
	h := op.Hidden
	y, lastH, lastC := make([]float64, c.out[0].Len()), make([]float64, c.out[1].Len()), make([]float64, c.out[2].Len())
	for i := range directions * x[1] {
		d, b := i/x[1], i%x[1]
		hidden, cell, gates := c.state(5, i, h), c.state(6, i, h), make([]noisy, 4*h)
		for step := range x[0] {
			t := step
			if op.Backward || d == 1 {
				t = x[0] - 1 - step
			}
			for g := range gates {
				gates[g] = c.gate(d, g, (t*x[1]+b)*x[2], x[2], hidden)
			}
			for j := range h {
				cell[j] = gates[2*h+j].logistic().times(cell[j]).plus(gates[j].logistic().times(gates[3*h+j].tanh()))
				hidden[j] = gates[h+j].logistic().times(cell[j].tanh())
				y[((t*directions+d)*x[1]+b)*h+j] = hidden[j].s
			}
		}
		for j := range h {
			lastH[i*h+j], lastC[i*h+j] = hidden[j].s, cell[j].s
		}
	}
	return [][]float64{y, lastH, lastC}, nil
}

// state returns the first state of a sample, zeros where the input is absent.
func (c *call) state(input, sample, h int) []noisy {
	state := make([]noisy, h)
	if len(c.in) <= input || c.in[input].Tensor == nil {
		return state
	}
	for j := range state {
		state[j] = noisy{c.in[input].floats()[sample*h+j], c.in[input].spread(sample*h + j)}
	}
	return state
}

// gate is Σ w·x + Σ r·h + bias of K terms, with the rule of a product.
func (c *call) gate(d, g, at, width int, hidden []noisy) noisy {
	x, w, r := c.in[0], c.in[1].floats(), c.in[2].floats()
	rows, h := 4*len(hidden), len(hidden)
	var sum, terms, inputs float64
	if len(c.in) > 3 && c.in[3].Tensor != nil {
		bias := c.in[3].floats()
		sum = bias[2*d*rows+g] + bias[(2*d+1)*rows+g]
		terms = sum * sum
	}
	add := func(weight float64, v noisy) {
		sum += weight * v.v
		terms += weight * v.v * weight * v.v
		inputs += weight * v.s * weight * v.s
	}
	for i := range width {
		add(w[(d*rows+g)*width+i], noisy{x.floats()[at+i], x.spread(at + i)})
	}
	for i, v := range hidden {
		add(r[(d*rows+g)*h+i], v)
	}
	return noisy{sum, root(Unit*math.Sqrt(float64(width+h+2)*terms), math.Sqrt(inputs), Unit*sum)}
}
