package backendtest

import (
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Oracle evaluates a graph in float64, operator by operator, in the plainest loops that the definitions allow. It shares no
// code with any backend and is as slow as it looks.
func Oracle(g *graph.Graph, inputs tensor.List) (tensor.List, error) {
	values, err := oracleValues(g, inputs)
	if err != nil {
		return nil, err
	}
	var list tensor.List
	for _, p := range g.Outputs {
		list = append(list, tensor.Named{Name: p.Name, Tensor: values[p.Value]})
	}
	return list, nil
}

// oracleValues evaluates every value of a graph.
func oracleValues(g *graph.Graph, inputs tensor.List) (map[*graph.Value]*tensor.Tensor, error) {
	values := map[*graph.Value]*tensor.Tensor{}
	for _, v := range g.Inputs {
		values[v] = widen(inputs.Get(v.Name))
	}
	for _, v := range g.Constants() {
		values[v] = widen(v.Const)
	}
	for _, n := range g.Nodes {
		out, err := Evaluate(n, operands(n, values))
		if err != nil {
			return nil, fmt.Errorf("oracle: node %s: %w", n.Name, err)
		}
		for i, v := range n.Outputs {
			values[v] = out[i]
		}
	}
	return values, nil
}

// operands returns the inputs of a node, nil for an absent one.
func operands(n *graph.Node, values map[*graph.Value]*tensor.Tensor) []*tensor.Tensor {
	in := make([]*tensor.Tensor, len(n.Inputs))
	for i, v := range n.Inputs {
		if v != nil {
			in[i] = values[v]
		}
	}
	return in
}

func widen(t *tensor.Tensor) *tensor.Tensor {
	if t.DType() != tensor.Float32 {
		return t
	}
	return tensor.Must(tensor.Of(t.Float64s(), t.Shape()...))
}

func f64(t *tensor.Tensor) []float64 { return tensor.Data[float64](t) }
func ints(t *tensor.Tensor) []int64  { return tensor.Data[int64](t) }

// blank allocates an output of the inferred type, floats as float64.
func blank(v *graph.Value) *tensor.Tensor {
	if v.DType.IsFloat() {
		return tensor.New(tensor.Float64, v.Shape...)
	}
	return tensor.New(v.DType, v.Shape...)
}

// Evaluate computes the outputs of one node, of which it reads the operator and the types of the outputs alone. Floats are float64 in
// inputs and outputs; nil stands for an absent input.
func Evaluate(n *graph.Node, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	out := make([]*tensor.Tensor, len(n.Outputs))
	for i, v := range n.Outputs {
		out[i] = blank(v)
	}
	switch op := n.Op.(type) {
	case graph.Conv:
		conv(op, in, out[0])
	case graph.GroupNormalization:
		s := in[0].Shape()
		normalise(in[0], in[1], in[2], out[0], s[1]/op.Groups, s[1], op.Epsilon)
	case graph.LayerNormalization:
		layerNorm(in, out[0], op.Epsilon)
	case graph.Unary:
		return unary(op, in[0], out)
	case graph.Binary:
		return out, binary(op, in, out[0])
	case graph.Clip:
		for i, x := range f64(in[0]) {
			f64(out[0])[i] = clip(x, op.Low, op.High)
		}
	case graph.Where:
		where(in, out[0])
	case graph.Cast:
		return []*tensor.Tensor{cast(in[0], n.Outputs[0].DType)}, nil
	case graph.Gemm:
		gemm(op, in, out[0])
	case graph.MatMul:
		matMul(in, out[0])
	case graph.Reshape:
		r, err := in[0].Reshaped(op.Shape...)
		return []*tensor.Tensor{r}, err
	case graph.Concat:
		concat(op.Axis, in, out[0])
	case graph.Split:
		split(op.Axis, in[0], out)
	case graph.Gather:
		gather(op.Axis, in, out[0])
	case graph.Reduce:
		reduce(op, in[0], out[0])
	case graph.Resize:
		resize(in[0], out[0])
	case graph.Pool:
		pool(op, in[0], out[0])
	case graph.GlobalAveragePool:
		reduce(graph.Reduce{Fn: graph.ReduceMean, Axes: []int{2, 3}}, in[0], out[0])
	case graph.BatchNormalization:
		batchNorm(op, in, out[0])
	case graph.Softmax:
		softmax(op.Axis, in[0], out[0])
	case graph.ConvTranspose:
		convTranspose(op, in, out[0])
	case graph.TopK:
		topK(op, in[0], out)
	case graph.LSTM:
		lstm(op, in, out)
	case graph.Transpose:
		transpose(op.Perm, in[0], out[0])
	default:
		return out, evaluateOwn(n.Op, in, out)
	}
	return out, nil
}

func conv(op graph.Conv, in []*tensor.Tensor, out *tensor.Tensor) {
	x, w, y := in[0].Shape(), in[1].Shape(), out.Shape()
	from, weights, to := f64(in[0]), f64(in[1]), f64(out)
	perGroup := w[0] / op.Group
	at := 0
	for b := range y[0] {
		for m := range y[1] {
			for oy := range y[2] {
				for ox := range y[3] {
					sum := 0.0
					if len(in) == 3 && in[2] != nil {
						sum = f64(in[2])[m]
					}
					for c := range w[1] {
						ic := m/perGroup*w[1] + c
						for ky := range w[2] {
							for kx := range w[3] {
								iy, ix := oy*op.Strides[0]+ky-op.Pads[0], ox*op.Strides[1]+kx-op.Pads[1]
								if iy >= 0 && iy < x[2] && ix >= 0 && ix < x[3] {
									sum += from[((b*x[1]+ic)*x[2]+iy)*x[3]+ix] * weights[((m*w[1]+c)*w[2]+ky)*w[3]+kx]
								}
							}
						}
					}
					to[at] = sum
					at++
				}
			}
		}
	}
}

// normalise handles a tensor [B, channels, rest] in groups of consecutive channels.
func normalise(x, scale, shift, out *tensor.Tensor, group, channels int, epsilon float64) {
	rest := x.Len()
	if rest == 0 {
		return
	}
	rest /= x.Shape()[0] * channels
	for start := 0; start < x.Len(); start += group * rest {
		block := f64(x)[start : start+group*rest]
		mean := 0.0
		for _, v := range block {
			mean += v
		}
		mean /= float64(len(block))
		variance := 0.0
		for _, v := range block {
			variance += (v - mean) * (v - mean)
		}
		variance /= float64(len(block))
		for i, v := range block {
			c := (start + i) / rest % channels
			f64(out)[start+i] = (v-mean)/math.Sqrt(variance+epsilon)*f64(scale)[c] + f64(shift)[c]
		}
	}
}

func layerNorm(in []*tensor.Tensor, out *tensor.Tensor, epsilon float64) {
	d := in[0].Shape()[in[0].Rank()-1]
	if in[0].Len() == 0 {
		return
	}
	rows, err := in[0].Reshaped(in[0].Len()/d, d, 1)
	if err != nil {
		panic(err) // d divides the length
	}
	normalise(rows, in[1], in[2], out, d, d, epsilon)
}

func unary(op graph.Unary, x *tensor.Tensor, out []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if op.Fn == graph.Identity {
		return []*tensor.Tensor{x}, nil
	}
	fn := map[graph.UnaryFn]func(float64) float64{
		graph.Sigmoid: sigmoid, graph.Tanh: math.Tanh, graph.Floor: math.Floor, graph.Softplus: softplus,
		graph.Relu: func(v float64) float64 { return maxNaN(v, 0) },
		graph.Exp:  math.Exp, graph.Log: math.Log, graph.Sqrt: math.Sqrt, graph.Erf: math.Erf, graph.Abs: math.Abs,
		graph.Neg: func(v float64) float64 { return -v },
	}[op.Fn]
	for i, v := range f64(x) {
		if op.Fn == graph.IsNaN {
			tensor.Data[bool](out[0])[i] = math.IsNaN(v)
		} else {
			f64(out[0])[i] = fn(v)
		}
	}
	return out, nil
}

func sigmoid(v float64) float64 { return 1 / (1 + math.Exp(-v)) }

func softplus(v float64) float64 {
	if math.IsNaN(v) {
		return v
	}
	return math.Max(v, 0) + math.Log1p(math.Exp(-math.Abs(v)))
}

// maxNaN and clip keep a NaN, as IEEE 754-2019 maximum does.
func maxNaN(a, b float64) float64 {
	if math.IsNaN(a) || math.IsNaN(b) {
		return math.NaN()
	}
	return math.Max(a, b)
}

func clip(v, low, high float64) float64 {
	switch {
	case v < low:
		return low
	case v > high:
		return high
	}
	return v
}

// broadcastAt maps a flat index of the output to one of an operand under broadcasting.
func broadcastAt(flat int, out, in []int) int {
	at, step := 0, 1
	for i := len(out) - 1; i >= 0; i-- {
		position := flat % out[i]
		flat /= out[i]
		if j := i - (len(out) - len(in)); j >= 0 {
			if in[j] != 1 {
				at += position * step
			}
			step *= in[j]
		}
	}
	return at
}

func binary(op graph.Binary, in []*tensor.Tensor, out *tensor.Tensor) error {
	for i := range out.Len() {
		a, b := broadcastAt(i, out.Shape(), in[0].Shape()), broadcastAt(i, out.Shape(), in[1].Shape())
		if in[0].DType() == tensor.Int64 {
			x, y := ints(in[0])[a], ints(in[1])[b]
			r, ok := map[graph.BinaryFn]int64{graph.Add: x + y, graph.Sub: x - y, graph.Mul: x * y, graph.Max: max(x, y), graph.Min: min(x, y)}[op.Fn]
			if !ok {
				return fmt.Errorf("no integer %s", op.Fn)
			}
			ints(out)[i] = r
			continue
		}
		x, y := f64(in[0])[a], f64(in[1])[b]
		switch op.Fn {
		case graph.Add:
			f64(out)[i] = x + y
		case graph.Sub:
			f64(out)[i] = x - y
		case graph.Mul:
			f64(out)[i] = x * y
		case graph.Div:
			f64(out)[i] = x / y
		case graph.Max:
			f64(out)[i] = maxNaN(x, y)
		case graph.Min:
			f64(out)[i] = -maxNaN(-x, -y)
		case graph.Pow:
			f64(out)[i] = math.Pow(x, y)
		}
	}
	return nil
}

func where(in []*tensor.Tensor, out *tensor.Tensor) {
	for i := range out.Len() {
		from := in[2]
		if tensor.Data[bool](in[0])[broadcastAt(i, out.Shape(), in[0].Shape())] {
			from = in[1]
		}
		at := broadcastAt(i, out.Shape(), from.Shape())
		if out.DType() == tensor.Int64 {
			ints(out)[i] = ints(from)[at]
		} else {
			f64(out)[i] = f64(from)[at]
		}
	}
}

func cast(x *tensor.Tensor, to tensor.DType) *tensor.Tensor {
	wide := x.Float64s()
	switch to {
	case tensor.Int64:
		out := tensor.New(to, x.Shape()...)
		for i, v := range wide {
			ints(out)[i] = int64(v)
		}
		return out
	case tensor.Bool:
		out := tensor.New(to, x.Shape()...)
		for i, v := range wide {
			tensor.Data[bool](out)[i] = v != 0
		}
		return out
	}
	return tensor.Must(tensor.Of(wide, x.Shape()...))
}

func gemm(op graph.Gemm, in []*tensor.Tensor, out *tensor.Tensor) {
	m, n, k := out.Shape()[0], out.Shape()[1], in[0].Shape()[1]
	x, y := f64(in[0]), f64(in[1])
	for i := range m {
		for j := range n {
			sum := 0.0
			for l := range k {
				b := l*n + j
				if op.TransB {
					b = j*k + l
				}
				sum += x[i*k+l] * y[b]
			}
			if len(in) == 3 && in[2] != nil {
				sum += f64(in[2])[broadcastAt(i*n+j, out.Shape(), in[2].Shape())]
			}
			f64(out)[i*n+j] = sum
		}
	}
}

func matMul(in []*tensor.Tensor, out *tensor.Tensor) {
	s, r := out.Shape(), out.Rank()
	m, n, k := s[r-2], s[r-1], in[0].Shape()[in[0].Rank()-1]
	x, y, stack := f64(in[0]), f64(in[1]), s[:r-2]
	for at := range out.Len() {
		i, j, b := at/n%m, at%n, at/(m*n)
		from := broadcastAt(b, stack, in[0].Shape()[:in[0].Rank()-2])
		by := broadcastAt(b, stack, in[1].Shape()[:in[1].Rank()-2])
		sum := 0.0
		for l := range k {
			sum += x[(from*m+i)*k+l] * y[(by*k+l)*n+j]
		}
		f64(out)[at] = sum
	}
}

// around returns the product of the dimensions before and after an axis.
func around(shape []int, axis int) (before, after int) {
	before, after = 1, 1
	for i, d := range shape {
		if i < axis {
			before *= d
		} else if i > axis {
			after *= d
		}
	}
	return before, after
}

// copyElement copies between tensors of one type.
func copyElement(dst *tensor.Tensor, i int, src *tensor.Tensor, j int) {
	switch src.DType() {
	case tensor.Int64:
		ints(dst)[i] = ints(src)[j]
	case tensor.Bool:
		tensor.Data[bool](dst)[i] = tensor.Data[bool](src)[j]
	default:
		f64(dst)[i] = f64(src)[j]
	}
}

func concat(axis int, in []*tensor.Tensor, out *tensor.Tensor) {
	if axis < 0 {
		axis += out.Rank()
	}
	before, after := around(out.Shape(), axis)
	at := 0
	for b := range before {
		for _, t := range in {
			row := t.Shape()[axis] * after
			for i := range row {
				copyElement(out, at, t, b*row+i)
				at++
			}
		}
	}
}

func split(axis int, x *tensor.Tensor, out []*tensor.Tensor) {
	if axis < 0 {
		axis += x.Rank()
	}
	before, after := around(x.Shape(), axis)
	at := 0
	for b := range before {
		for _, t := range out {
			row := t.Shape()[axis] * after
			for i := range row {
				copyElement(t, b*row+i, x, at)
				at++
			}
		}
	}
}

func gather(axis int, in []*tensor.Tensor, out *tensor.Tensor) {
	if axis < 0 {
		axis += in[0].Rank()
	}
	before, after := around(in[0].Shape(), axis)
	size, at := in[0].Shape()[axis], 0
	for b := range before {
		for _, id := range ints(in[1]) {
			for a := range after {
				copyElement(out, at, in[0], (b*size+int(id))*after+a)
				at++
			}
		}
	}
}

func reduce(op graph.Reduce, x, out *tensor.Tensor) {
	sums, count := f64(out), make([]int, out.Len())
	kept := slices.Clone(x.Shape())
	for _, a := range op.Axes {
		kept[a] = 1
	}
	for i, v := range f64(x) {
		at := broadcastAt(i, x.Shape(), kept)
		count[at]++
		if op.Fn == graph.ReduceL2 {
			v *= v
		}
		sums[at] += v
	}
	for i := range sums {
		if op.Fn == graph.ReduceL2 {
			sums[i] = math.Sqrt(sums[i])
		} else {
			sums[i] /= float64(count[i])
		}
	}
}

// bilinear returns the sources of an output position along one axis: src = max(0, (dst+0.5)·in/out - 0.5).
func bilinear(dst, in, out int) (low, high int, weight float64) {
	src := math.Max(0, (float64(dst)+0.5)*float64(in)/float64(out)-0.5)
	low = min(int(src), in-1)
	return low, min(low+1, in-1), src - float64(low)
}

func resize(x, out *tensor.Tensor) {
	s, o := x.Shape(), out.Shape()
	for p := range s[0] * s[1] {
		plane := f64(x)[p*s[2]*s[3]:]
		for y := range o[2] {
			y0, y1, v := bilinear(y, s[2], o[2])
			for z := range o[3] {
				x0, x1, u := bilinear(z, s[3], o[3])
				top := (1-u)*plane[y0*s[3]+x0] + u*plane[y0*s[3]+x1]
				bottom := (1-u)*plane[y1*s[3]+x0] + u*plane[y1*s[3]+x1]
				f64(out)[(p*o[2]+y)*o[3]+z] = (1-v)*top + v*bottom
			}
		}
	}
}
