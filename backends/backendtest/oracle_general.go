package backendtest

import (
	"math"

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
