package reference

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// Layers that Apex-X does not have: a transposed convolution, the largest elements, an LSTM. Sums are in float64, and nothing is tuned.

// lowerConvTranspose gathers what each output gets: the inputs whose stride reaches it, kernel position by kernel position.
func lowerConvTranspose[T tensor.Float](c *compiler, s *step) error {
	op, x, w, bias, y := s.Node.Op.(graph.ConvTranspose), s.Node.In[0], s.Node.In[1], s.Node.Input(2), s.Node.Out[0]
	s.bind = func() func() error {
		t := &transposed[T]{op: op, x: elements[T](x), w: elements[T](w), bias: optional[T](bias), in: x.Shape, kernel: w.Shape, out: y.Shape}
		ys, width := elements[T](y), y.Shape[3]
		return c.ranges(len(ys)/max(1, width), width*t.in[1]/op.Group*w.Shape[2], func(lo, hi int) {
			for row := lo; row < hi; row++ {
				t.row(row, ys[row*width:(row+1)*width])
			}
		})
	}
	return nil
}

// transposed is a transposed convolution with its memory.
type transposed[T tensor.Float] struct {
	op              graph.ConvTranspose
	x, w, bias      []T
	in, kernel, out []int
}

// row computes one row of one channel of the output.
func (t *transposed[T]) row(at int, y []T) {
	oy, channel, b := at%t.out[2], at/t.out[2]%t.out[1], at/(t.out[2]*t.out[1])
	group, m := channel/t.kernel[1], channel%t.kernel[1]
	per := t.in[1] / t.op.Group
	for ox := range y {
		sum := 0.0
		if t.bias != nil {
			sum = float64(t.bias[channel])
		}
		for ky := range t.kernel[2] {
			iy := oy + t.op.Pads[0] - ky
			if iy%t.op.Strides[0] != 0 || iy < 0 || iy/t.op.Strides[0] >= t.in[2] {
				continue
			}
			for kx := range t.kernel[3] {
				ix := ox + t.op.Pads[1] - kx
				if ix%t.op.Strides[1] != 0 || ix < 0 || ix/t.op.Strides[1] >= t.in[3] {
					continue
				}
				for i := range per {
					c := group*per + i
					v := t.x[((b*t.in[1]+c)*t.in[2]+iy/t.op.Strides[0])*t.in[3]+ix/t.op.Strides[1]]
					sum += float64(v) * float64(t.w[((c*t.kernel[1]+m)*t.kernel[2]+ky)*t.kernel[3]+kx])
				}
			}
		}
		y[ox] = T(sum)
	}
}

// lowerTopK inserts each element into the list of the best so far. A NaN is the last choice.
func lowerTopK[T tensor.Float](c *compiler, s *step) error {
	op, x := s.Node.Op.(graph.TopK), s.Node.In[0]
	outer, size, inner := lower.Around(x.Shape, op.Axis)
	s.bind = func() func() error {
		xs, values, ids := elements[T](x), elements[T](s.Node.Out[0]), elements[int64](s.Node.Out[1])
		return c.ranges(outer*inner, size, func(lo, hi int) {
			for row := lo; row < hi; row++ {
				o, i := row/inner, row%inner
				at := o*op.K*inner + i
				topRow(op, xs[o*size*inner+i:], values[min(at, len(values)):], ids[min(at, len(ids)):], size, inner)
			}
		})
	}
	return nil
}

// topRow chooses from size elements that lie stride apart.
func topRow[T tensor.Float](op graph.TopK, x, values []T, ids []int64, size, stride int) {
	better := func(a, b T) bool {
		switch {
		case b != b:
			return a == a
		case op.Smallest:
			return a < b
		}
		return a > b
	}
	for i := range size {
		v, at := x[i*stride], min(i, op.K)
		for at > 0 && better(v, values[(at-1)*stride]) {
			at--
		}
		if at >= op.K {
			continue
		}
		for j := min(i, op.K-1); j > at; j-- {
			values[j*stride], ids[j*stride] = values[(j-1)*stride], ids[(j-1)*stride]
		}
		values[at*stride], ids[at*stride] = v, int64(i)
	}
}

// lowerLSTM gives a task each sample in each direction: its steps follow each other.
func lowerLSTM[T tensor.Float](c *compiler, s *step) error {
	n := s.Node
	op, x, directions := n.Op.(graph.LSTM), n.In[0].Shape, n.In[1].Shape[0]
	gates := s.AddScratch(tensor.Float64, directions*x[1]*4*op.Hidden)
	s.bind = func() func() error {
		r := &recurrence[T]{op: op, steps: x[0], batch: x[1], width: x[2], directions: directions,
			x: elements[T](n.In[0]), w: elements[T](n.In[1]), r: elements[T](n.In[2]), bias: optional[T](n.Input(3)), h: optional[T](n.Input(5)), c: optional[T](n.Input(6)),
			y: elements[T](n.Out[0]), lastH: elements[T](n.Out[1]), lastC: elements[T](n.Out[2]), gates: elements[float64](gates)}
		return c.parallel(directions*x[1], r.sample)
	}
	return nil
}

// recurrence is an LSTM with its memory. lastH and lastC are the running states.
type recurrence[T tensor.Float] struct {
	op                              graph.LSTM
	steps, batch, width, directions int

	x, w, r, bias, h, c, y, lastH, lastC []T
	gates                                []float64
}

// sample runs one sample in one direction.
func (l *recurrence[T]) sample(i int) {
	d, b, hidden := i/l.batch, i%l.batch, l.op.Hidden
	h, c, gates := l.lastH[i*hidden:(i+1)*hidden], l.lastC[i*hidden:(i+1)*hidden], l.gates[i*4*hidden:(i+1)*4*hidden]
	clear(h)
	clear(c)
	if l.h != nil {
		copy(h, l.h[i*hidden:])
	}
	if l.c != nil {
		copy(c, l.c[i*hidden:])
	}
	for step := range l.steps {
		t := step
		if l.op.Backward || d == 1 {
			t = l.steps - 1 - step
		}
		l.activate(gates, d, l.x[(t*l.batch+b)*l.width:][:l.width], h)
		for j := range hidden {
			state := logistic(gates[2*hidden+j])*float64(c[j]) + logistic(gates[j])*math.Tanh(gates[3*hidden+j])
			c[j] = T(state)
			h[j] = T(logistic(gates[hidden+j]) * math.Tanh(state))
		}
		copy(l.y[((t*l.directions+d)*l.batch+b)*hidden:], h)
	}
}

// activate computes what goes into the gates.
func (l *recurrence[T]) activate(gates []float64, d int, x, h []T) {
	for g := range gates {
		sum := 0.0
		if l.bias != nil {
			sum = float64(l.bias[2*d*len(gates)+g]) + float64(l.bias[(2*d+1)*len(gates)+g])
		}
		for i, w := range l.w[(d*len(gates)+g)*len(x):][:len(x)] {
			sum += float64(w) * float64(x[i])
		}
		for i, w := range l.r[(d*len(gates)+g)*len(h):][:len(h)] {
			sum += float64(w) * float64(h[i])
		}
		gates[g] = sum
	}
}

func logistic(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
