package paritytest

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// The arithmetic of Hopper's matrix units in fp8 with a result in float32, as DeepSeek-V3 (arXiv 2412.19437, section 3.5.2) and SageAttention2 (arXiv 2411.10958)
// measured it: atOnce products and the sum so far are aligned to the largest of their exponents, of each behindPoint bits are left behind the point, and they are
// added exactly. Of the sum as many bits are left. What is left out is truncated, towards zero.
const (
	atOnce      = 32
	behindPoint = 13
)

// codes are rows of numbers of fp8, without their scale and padded with zeros to whole steps of atOnce.
type codes struct {
	depth    int
	value    []float32
	exponent []uint64 // of value, a byte each: lanes of them are compared at once; 0 for 0
}

const (
	lanes     = 8
	bias      = 32                               // of a byte, so that all are positive and the sum of two is less than 128
	leastByte = 2 * (bias - 6)                   // of a product that is not 0: -6 is the least exponent of E4M3
	highBits  = 0x8080_8080_8080_8080            // of all lanes
	words     = atOnce / lanes                   // of a step
	kept      = ^uint32(1<<(23-behindPoint) - 1) // bits of a float32 with behindPoint bits behind the point
)

// codesOf gathers rows. at returns an element of a row, multiplied by its scale, and the scale.
func codesOf(rows, depth int, at func(row, k int) (x, scale float32)) codes {
	c := codes{depth: (depth + atOnce - 1) / atOnce * atOnce}
	c.value, c.exponent = make([]float32, rows*c.depth), make([]uint64, rows*c.depth/lanes)
	for row := range rows {
		for k := range depth {
			if x, scale := at(row, k); x != 0 {
				// The quotient is off by an ULP of float32 or two: the nearest number of four digits is the one that was scaled.
				code := math.Float32frombits((math.Float32bits(x/scale) + 1<<19) &^ (1<<20 - 1))
				i := row*c.depth + k
				c.value[i] = code
				c.exponent[i/lanes] |= uint64(bias+max(exponentOf(code), graph.E4M3.MinExponent)) << (i % lanes * 8)
			}
		}
	}
	return c
}

// exponentOf returns floor(log2|x|) of a normal number.
func exponentOf(x float32) int { return int(math.Float32bits(x)>>23&0xff) - 127 }

// dot adds the products of row i of a and row j of b to a sum.
func dot(sum float32, a codes, i int, b codes, j int) float32 {
	for k := 0; k < a.depth; k += atOnce {
		p, q := i*a.depth+k, j*b.depth+k
		most, some := largest((*[words]uint64)(a.exponent[p/lanes:]), (*[words]uint64)(b.exponent[q/lanes:]))
		if !some {
			continue
		}
		if sum != 0 {
			most = max(most, exponentOf(sum))
		}
		sum = step(sum, (*[atOnce]float32)(a.value[p:]), (*[atOnce]float32)(b.value[q:]), most)
	}
	return sum
}

// largest returns the largest exponent of the products, which is the sum of their factors' exponents, and whether one of them is not 0.
func largest(a, b *[words]uint64) (exponent int, some bool) {
	var most uint64
	for i, v := range a {
		most = larger(most, v+b[i])
	}
	for width := 32; width >= 8; width /= 2 {
		most = larger(most, most>>width)
	}
	sum := int(most & 0xff)
	return sum - 2*bias, sum >= leastByte
}

// larger returns the larger of each two lanes, which are less than 128.
func larger(a, b uint64) uint64 {
	over := ((a | highBits) - b) & highBits // in the high bit of a lane: a ≥ b
	mask := over | (over - over>>7)
	return a&mask | b&^mask
}

// step adds atOnce products to a sum, of which most is the largest exponent.
func step(sum float32, a, b *[atOnce]float32, most int) float32 {
	unit := math.Float32frombits(uint32(127+behindPoint-most) << 23) // 2^(behindPoint-most), by which all become integers
	units := int32(sum * unit)
	for i := 0; i < atOnce-3; i += 4 {
		units += int32(a[i]*b[i]*unit) + int32(a[i+1]*b[i+1]*unit) + int32(a[i+2]*b[i+2]*unit) + int32(a[i+3]*b[i+3]*unit)
	}
	return math.Float32frombits(math.Float32bits(float32(units)/unit) & kept)
}

// isProduct tells products of operands that are rounded to fp8.
func isProduct(n *graph.Node) bool {
	switch n.Op.(type) {
	case graph.Conv, graph.Gemm, graph.MatMul:
		return scalesOf(n.Inputs[0]) != nil && scalesOf(n.Inputs[1]) != nil
	}
	return false
}

// scalesOf returns the scales of a value that is rounded to fp8, one or one of each output channel; nil of another value.
func scalesOf(v *graph.Value) []float32 {
	if v.Producer == nil {
		return nil
	}
	if op, ok := v.Producer.Op.(graph.Round); !ok || op.To != graph.FP8 {
		return nil
	}
	return tensor.Data[float32](v.Producer.Inputs[1].Const)
}

// product computes a node of two operands in fp8: the sums of the codes, times both scales, and the bias.
func product(n *graph.Node, values map[*graph.Value]*tensor.Tensor) *tensor.Tensor {
	a, b := tensor.Data[float32](values[n.Inputs[0]]), tensor.Data[float32](values[n.Inputs[1]])
	scale, scales := scalesOf(n.Inputs[0])[0], scalesOf(n.Inputs[1])
	var bias []float32
	if len(n.Inputs) == 3 && n.Inputs[2] != nil {
		bias = tensor.Data[float32](n.Inputs[2].Const)
	}
	y := tensor.New(tensor.Float32, n.Outputs[0].Shape...)
	e := epilogue{tensor.Data[float32](y), scale, scales, bias}
	switch op := n.Op.(type) {
	case graph.Conv:
		e.convolve(op, n.Inputs[0].Shape, n.Inputs[1].Shape, n.Outputs[0].Shape, a, b)
	case graph.Gemm:
		e.multiply(0, n.Inputs[0].Shape, a, b, n.Outputs[0].Shape[1], op.TransB)
	case graph.MatMul:
		shape, columns := n.Inputs[0].Shape, n.Outputs[0].Shape[2]
		for i := range shape[0] {
			e.multiply(i*shape[1]*columns, shape[1:], a[i*shape[1]*shape[2]:], b[i*shape[2]*columns:], columns, false)
		}
	}
	return y
}

// An epilogue makes results of sums.
type epilogue struct {
	y      []float32
	scale  float32
	scales []float32 // of the second operand: one, or one of each output channel
	bias   []float32 // nil for none
}

// of returns the scale of an output channel's weights.
func (e *epilogue) of(channel int) float32 { return e.scales[channel%len(e.scales)] }

func (e *epilogue) set(at, channel int, sum float32) {
	e.y[at] = sum * (e.scale * e.of(channel))
	if e.bias != nil {
		e.y[at] += e.bias[channel]
	}
}

// multiply computes [rows,depth]·[depth,columns], or ·[columns,depth]ᵀ.
func (e *epilogue) multiply(at int, shape []int, a, b []float32, columns int, transposed bool) {
	rows, depth := shape[0], shape[1]
	left := codesOf(rows, depth, func(row, k int) (float32, float32) { return a[row*depth+k], e.scale })
	right := codesOf(columns, depth, func(column, k int) (float32, float32) {
		if transposed {
			return b[column*depth+k], e.of(column)
		}
		return b[k*columns+column], e.of(column)
	})
	for row := range rows {
		for column := range columns {
			e.set(at+row*columns+column, column, dot(0, left, row, right, column))
		}
	}
}

// convolve adds one tap of the kernel after the other, all channels of each.
func (e *epilogue) convolve(op graph.Conv, x, w, y []int, a, b []float32) {
	plane, taps := x[2]*x[3], w[2]*w[3]
	cells := codesOf(x[0]*plane, x[1], func(cell, c int) (float32, float32) {
		return a[(cell/plane*x[1]+c)*plane+cell%plane], e.scale
	})
	weights := codesOf(w[0]*taps, w[1], func(row, c int) (float32, float32) {
		return b[(row/taps*w[1]+c)*taps+row%taps], e.of(row / taps)
	})
	for line := range y[0] * y[2] {
		batch, oy := line/y[2], line%y[2]
		for o := range y[1] {
			for ox := range y[3] {
				sum := float32(0)
				for tap := range taps {
					iy, ix := oy*op.Strides[0]-op.Pads[0]+tap/w[3], ox*op.Strides[1]-op.Pads[1]+tap%w[3]
					if iy >= 0 && iy < x[2] && ix >= 0 && ix < x[3] {
						sum = dot(sum, cells, batch*plane+iy*x[3]+ix, weights, o*taps+tap)
					}
				}
				e.set(((batch*y[1]+o)*y[2]+oy)*y[3]+ox, o, sum)
			}
		}
	}
}
