package backendtest

import (
	"math"
	"sort"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// pool takes maximum or mean of the elements of each window that lie inside.
func pool(op graph.Pool, x, out *tensor.Tensor) {
	in, o := x.Shape(), out.Shape()
	for at := range out.Len() {
		ox, oy, plane := at%o[3], at/o[3]%o[2], at/(o[3]*o[2])
		most, sum, n := math.Inf(-1), 0.0, 0
		for ky := range op.Kernel[0] {
			for kx := range op.Kernel[1] {
				y, z := oy*op.Strides[0]+ky-op.Pads[0], ox*op.Strides[1]+kx-op.Pads[1]
				if y < 0 || y >= in[2] || z < 0 || z >= in[3] {
					continue
				}
				v := f64(x)[(plane*in[2]+y)*in[3]+z]
				most, sum, n = maxNaN(most, v), sum+v, n+1
			}
		}
		if op.CountPads {
			n = op.Kernel[0] * op.Kernel[1]
		}
		if f64(out)[at] = sum / float64(n); op.Fn == graph.MaxPool {
			f64(out)[at] = most
		}
	}
}

func batchNorm(op graph.BatchNormalization, in []*tensor.Tensor, out *tensor.Tensor) {
	channels := in[0].Shape()[1]
	_, rest := around(in[0].Shape(), 1)
	for i, v := range f64(in[0]) {
		c := i / rest % channels
		f64(out)[i] = (v-f64(in[3])[c])/math.Sqrt(f64(in[4])[c]+op.Epsilon)*f64(in[1])[c] + f64(in[2])[c]
	}
}

func softmax(axis int, x, out *tensor.Tensor) {
	if axis < 0 {
		axis += x.Rank()
	}
	before, after := around(x.Shape(), axis)
	size := x.Shape()[axis]
	for row := range before * after {
		at := func(i int) int { return (row/after*size+i)*after + row%after }
		most, sum := math.Inf(-1), 0.0
		for i := range size {
			most = maxNaN(most, f64(x)[at(i)])
		}
		for i := range size {
			f64(out)[at(i)] = math.Exp(f64(x)[at(i)] - most)
			sum += f64(out)[at(i)]
		}
		for i := range size {
			f64(out)[at(i)] /= sum
		}
	}
}

func transpose(perm []int, x, out *tensor.Tensor) {
	strides, step := make([]int, x.Rank()), 1
	for i := x.Rank() - 1; i >= 0; i-- {
		strides[i] = step
		step *= x.Shape()[i]
	}
	for at := range out.Len() {
		from, rest := 0, at
		for i := len(perm) - 1; i >= 0; i-- {
			from += rest % out.Shape()[i] * strides[perm[i]]
			rest /= out.Shape()[i]
		}
		copyElement(out, at, x, from)
	}
}

// convTranspose spreads every input over the outputs that a convolution would have made it of.
func convTranspose(op graph.ConvTranspose, in []*tensor.Tensor, out *tensor.Tensor) {
	x, w, y := in[0].Shape(), in[1].Shape(), out.Shape()
	for i := range out.Len() {
		if len(in) == 3 && in[2] != nil {
			f64(out)[i] = f64(in[2])[i/(y[2]*y[3])%y[1]]
		}
	}
	for at, v := range f64(in[0]) {
		ix, iy, c, b := at%x[3], at/x[3]%x[2], at/(x[3]*x[2])%x[1], at/(x[3]*x[2]*x[1])
		for m := range w[1] {
			for ky := range w[2] {
				for kx := range w[3] {
					oy, ox := iy*op.Strides[0]+ky-op.Pads[0], ix*op.Strides[1]+kx-op.Pads[1]
					if oy < 0 || oy >= y[2] || ox < 0 || ox >= y[3] {
						continue
					}
					channel := c/(x[1]/op.Group)*w[1] + m
					f64(out)[((b*y[1]+channel)*y[2]+oy)*y[3]+ox] += v * f64(in[1])[((c*w[1]+m)*w[2]+ky)*w[3]+kx]
				}
			}
		}
	}
}

func topK(op graph.TopK, x *tensor.Tensor, out []*tensor.Tensor) {
	axis := op.Axis
	if axis < 0 {
		axis += x.Rank()
	}
	before, after := around(x.Shape(), axis)
	size := x.Shape()[axis]
	for row := range before * after {
		b, a := row/after, row%after
		order := make([]int, size)
		for i := range order {
			order[i] = i
		}
		value := func(i int) float64 { return f64(x)[(b*size+i)*after+a] }
		sort.SliceStable(order, func(i, j int) bool {
			if op.Smallest {
				return value(order[i]) < value(order[j])
			}
			return value(order[i]) > value(order[j])
		})
		for i, id := range order[:op.K] {
			at := (b*op.K+i)*after + a
			f64(out[0])[at], ints(out[1])[at] = value(id), int64(id)
		}
	}
}

func lstm(op graph.LSTM, in []*tensor.Tensor, out []*tensor.Tensor) {
	x, h := in[0].Shape(), op.Hidden
	for d := range in[1].Shape()[0] {
		for b := range x[1] {
			hidden, cell := make([]float64, h), make([]float64, h)
			for i, state := range [][]float64{hidden, cell} {
				if len(in) > 5+i && in[5+i] != nil {
					copy(state, f64(in[5+i])[(d*x[1]+b)*h:][:h])
				}
			}
			for step := range x[0] {
				t := step
				if op.Backward || d == 1 {
					t = x[0] - 1 - step
				}
				gates := make([]float64, 4*h)
				for g := range gates {
					if len(in) > 3 && in[3] != nil {
						gates[g] = f64(in[3])[d*8*h+g] + f64(in[3])[d*8*h+4*h+g]
					}
					for i := range x[2] {
						gates[g] += f64(in[1])[(d*4*h+g)*x[2]+i] * f64(in[0])[(t*x[1]+b)*x[2]+i]
					}
					for i := range h {
						gates[g] += f64(in[2])[(d*4*h+g)*h+i] * hidden[i]
					}
				}
				for i := range h {
					cell[i] = sigmoid(gates[2*h+i])*cell[i] + sigmoid(gates[i])*math.Tanh(gates[3*h+i])
				}
				for i := range h {
					hidden[i] = sigmoid(gates[h+i]) * math.Tanh(cell[i])
					f64(out[0])[((t*in[1].Shape()[0]+d)*x[1]+b)*h+i] = hidden[i]
				}
			}
			copy(f64(out[1])[(d*x[1]+b)*h:], hidden)
			copy(f64(out[2])[(d*x[1]+b)*h:], cell)
		}
	}
}
