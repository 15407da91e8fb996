package backendtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Case is one graph with its inputs.
type Case struct {
	Name string
	Op   graph.Op
	In   []Operand
	// Scale widens the tolerance of a float32 run: 1 for element-wise operators, more where many terms are added.
	Scale float64
}

// Operand is one input of a case's operator. Operands with non-finite values reach the operator through an addition, since
// a session takes finite inputs only.
type Operand struct {
	Tensor *tensor.Tensor // nil for an absent optional input
	Const  bool           // a constant of the graph, as weights are
}

// Deviation is a case in which a backend is known to differ from the definition, and why.
type Deviation struct {
	Case   string // pattern of path.Match over "case"
	Reason string
}

// Options of Run.
type Options struct {
	Precisions []backends.Precision // nil means fp32
	Deviations []Deviation
}

// Run checks a backend with every case. It skips as a whole, with the reason, where the backend is not available.
func Run(t *testing.T, b backends.Backend, o Options) {
	t.Helper()
	if a := b.Probe(t.Context()); !a.Available {
		t.Skipf("%s is unavailable: %s: %s", b.Name(), a.Reason, a.Detail)
	}
	if o.Precisions == nil {
		o.Precisions = []backends.Precision{backends.FP32}
	}
	for _, p := range o.Precisions {
		for _, c := range Cases() {
			t.Run(fmt.Sprintf("%s/%s", p, c.Name), func(t *testing.T) { o.check(t, b, p, c) })
		}
	}
}

func (o Options) check(t *testing.T, b backends.Backend, p backends.Precision, c Case) {
	for _, d := range o.Deviations {
		if ok, err := path.Match(d.Case, c.Name); err != nil {
			t.Fatal(err)
		} else if ok {
			t.Skipf("%s deviates: %s", b.Name(), d.Reason)
		}
	}
	if s := b.Supports(c.Op, p); s.Level == backends.Unsupported {
		t.Skipf("%s does not support %s in %s: %s %s", b.Name(), c.Op.OpType(), p, s.Reason, s.Detail)
	}
	g, inputs, err := c.graph()
	if err != nil {
		t.Fatal(err)
	}
	want, err := Oracle(g, inputs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := execute(t.Context(), b, g, inputs, p)
	var unavailable *backends.Unavailable
	if errors.As(err, &unavailable) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if err := c.compare(p, got[i].Tensor, w.Tensor); err != nil {
			t.Errorf("output %d: %v", i, err)
		}
	}
}

// execute runs a graph twice on one session and insists on equal bits, then returns the outputs.
func execute(ctx context.Context, b backends.Backend, g *graph.Graph, inputs tensor.List, p backends.Precision) (tensor.List, error) {
	session, err := b.Compile(ctx, g, backends.Options{Precision: p})
	if err != nil {
		return nil, err
	}
	first, err := session.Run(ctx, inputs)
	if err != nil {
		return nil, errors.Join(err, session.Close())
	}
	kept := first.Clone()
	second, err := session.Run(ctx, inputs)
	if err != nil {
		return nil, errors.Join(err, session.Close())
	}
	for i := range kept {
		if !sameBits(kept[i].Tensor, second[i].Tensor) {
			return nil, errors.Join(fmt.Errorf("output %s of a second run differs from the first", kept[i].Name), session.Close())
		}
	}
	return kept, session.Close()
}

func sameBits(a, b *tensor.Tensor) bool {
	x, y := a.Float64s(), b.Float64s()
	for i := range x {
		if math.Float64bits(x[i]) != math.Float64bits(y[i]) && !(math.IsNaN(x[i]) && math.IsNaN(y[i])) {
			return false
		}
	}
	return len(x) == len(y)
}

// graph builds the case: inputs, the operator as node "op", outputs y0, y1 and so on.
func (c Case) graph() (*graph.Graph, tensor.List, error) {
	b := graph.NewBuilder("case")
	var inputs tensor.List
	var operands []*graph.Value
	feed := func(name string, t *tensor.Tensor) *graph.Value {
		inputs = append(inputs, tensor.Named{Name: name, Tensor: t})
		return b.Input(name, graph.Type{DType: t.DType(), Shape: t.Shape()})
	}
	for i, o := range c.In {
		name := fmt.Sprintf("x%d", i)
		switch {
		case o.Tensor == nil:
			operands = append(operands, nil)
		case o.Const:
			operands = append(operands, b.Const(name, o.Tensor))
		case o.Tensor.NonFinite() >= 0:
			special := b.Const(name+".special", o.Tensor)
			operands = append(operands, b.Add1(name, graph.Binary{Fn: graph.Add}, special, feed(name+".zero", negativeZeros(o.Tensor.Shape()))))
		default:
			operands = append(operands, feed(name, o.Tensor))
		}
	}
	for i, v := range b.Add("op", c.Op, operands...) {
		if b.Err() == nil {
			b.Output(fmt.Sprintf("y%d", i), v)
		}
	}
	g, err := b.Build()
	return g, inputs, err
}

// negativeZeros is the neutral element of addition for every float, negative zero included.
func negativeZeros(shape []int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] = float32(math.Copysign(0, -1))
	}
	return t
}

// compare judges an output: its element type (of a float that of the session), its shape, integers and booleans exactly, NaN and
// infinities by kind, floats by Scale units of rounding.
func (c Case) compare(p backends.Precision, got, want *tensor.Tensor) error {
	if fmt.Sprint(got.Shape()) != fmt.Sprint(want.Shape()) {
		return fmt.Errorf("shape %v, want %v", got.Shape(), want.Shape())
	}
	dtype := want.DType()
	if dtype.IsFloat() && p != backends.FP64 {
		dtype = tensor.Float32
	}
	if got.DType() != dtype {
		return fmt.Errorf("element type %v, want %v in %s", got.DType(), dtype, p)
	}
	unit := 0.0
	if want.DType().IsFloat() {
		if unit = math.Ldexp(1, -23); p == backends.FP64 {
			unit = math.Ldexp(1, -44) // the oracle itself rounds and adds in its own order
		}
		unit *= 8 * max(c.Scale, 1)
	}
	g, w := got.Float64s(), want.Float64s()
	for i := range w {
		if p == backends.FP32 && math.Abs(w[i]) > math.MaxFloat32 {
			w[i] = math.Inf(int(math.Copysign(1, w[i]))) // beyond the session's range
		}
		if !agree(g[i], w[i], unit) {
			return fmt.Errorf("element %d is %g, want %g", i, g[i], w[i])
		}
	}
	return nil
}

// agree tells whether two numbers are of one kind, NaN or the same infinity, or differ by at most unit·(|want|+1). Beside an
// infinity that bound is infinite, and bounds nothing.
func agree(got, want, unit float64) bool {
	if math.IsNaN(want) || math.IsInf(want, 0) {
		return got == want || math.IsNaN(got) && math.IsNaN(want)
	}
	return math.Abs(got-want) <= unit*(math.Abs(want)+1)
}
