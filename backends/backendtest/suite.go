package backendtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
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
	// Scale widens the bound of operators other than matrix products, which have their own (bound.go): 1 for element-wise operators,
	// more where many terms are added.
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

// Options of Run, RunModules, RunReplay and RunSessions.
type Options struct {
	Precisions []backends.Precision // nil means fp32
	Deviations []Deviation
	Complete   bool // the backend has every operator of Apex-X in each of the precisions: a case of one that it refuses is a failure, not a skip

	// Measures says that every session chooses its kernels by measurement: two sessions of one computation round differently.
	Measures bool

	// Process says that a session lies in a process of its own, which a call that is cancelled while it computes ends.
	Process bool
}

// prepare completes the options. It skips a test, with the reason, where the backend is not available.
func (o Options) prepare(t *testing.T, b backends.Backend) Options {
	t.Helper()
	SkipWithout(t, b)
	if o.Precisions == nil {
		o.Precisions = []backends.Precision{backends.FP32}
	}
	return o
}

// Run checks a backend with every case. It skips as a whole, with the reason, where the backend is not available.
func Run(t *testing.T, b backends.Backend, o Options) {
	t.Helper()
	o = o.prepare(t, b)
	cases := Cases()
	for _, p := range o.Precisions {
		for i, c := range cases {
			if r, ok := c.Op.(graph.Round); ok && !o.rounds(p, r.To) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", p, c.Name), func(t *testing.T) { o.check(t, b, p, c, i) })
		}
	}
}

// rounds tells whether sessions of a precision are held to a Round: one of another precision than their own is refused by graph.Lower,
// and to round to a format with a scale a backend must have it.
func (o Options) rounds(p backends.Precision, to graph.Format) bool {
	if f := p.Format(); f != "" {
		return f == to
	}
	return !to.Scaled() || slices.Contains(o.Precisions, backends.Precision(to))
}

// check runs a case, which is the one of that index in Cases.
func (o Options) check(t *testing.T, b backends.Backend, p backends.Precision, c Case, index int) {
	for _, d := range o.Deviations {
		if ok, err := path.Match(d.Case, c.Name); err != nil {
			t.Fatal(err)
		} else if ok {
			t.Skipf("%s deviates: %s", b.Name(), d.Reason)
		}
	}
	g, inputs, err := c.Graph()
	if err != nil {
		t.Fatal(err)
	}
	want, err := answerOf(fmt.Sprintf("case %d", index), p.Format(), g, inputs)
	if err != nil {
		t.Fatal(err)
	}
	got, level, err := execute(t.Context(), b, want.graph, want.inputs, p)
	var unavailable *backends.Unavailable
	if errors.As(err, &unavailable) && (!o.Complete || c.general()) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	if err := want.judge(p, c.Scale, level, got); err != nil {
		t.Error(err)
	}
}

// judge compares the outputs of a session with the oracle's on the graph that the session has to compute. The node of the case is the one
// that computes the first output.
func (a *answer) judge(p backends.Precision, scale float64, level backends.SupportLevel, got tensor.List) error {
	limit, err := boundOf(p, scale, level, a.node(), operands(a.node(), a.values), a.sums)
	if err != nil {
		return err
	}
	var errs []error
	for i := range a.low.Outputs {
		if err := limit.compare(got[i].Tensor, a.output(i)); err != nil {
			errs = append(errs, fmt.Errorf("output %d: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// execute runs a graph twice on one session and insists on equal bits and on a plan that covers the graph, then returns the outputs and
// the worst level of the plan's steps.
func execute(ctx context.Context, b backends.Backend, g *graph.Graph, inputs tensor.List, p backends.Precision) (_ tensor.List, _ backends.SupportLevel, err error) {
	opts := backends.Options{Precision: p}
	session, err := b.Compile(ctx, g, opts)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	applied, err := opts.Apply(g)
	if err != nil {
		return nil, 0, err
	}
	plan := session.Plan()
	if err := plan.Check(applied); err != nil {
		return nil, 0, err
	}
	level := backends.Native
	for _, s := range plan.Steps {
		level = min(level, s.Level)
	}
	first, err := backends.Run(ctx, session, inputs)
	if err != nil {
		return nil, 0, err
	}
	kept := first.Clone()
	second, err := backends.Run(ctx, session, inputs)
	if err != nil {
		return nil, 0, err
	}
	for i := range kept {
		if !sameBits(kept[i].Tensor, second[i].Tensor) {
			return nil, 0, fmt.Errorf("output %s of a second run differs from the first", kept[i].Name)
		}
	}
	return kept, level, nil
}

func sameBits(a, b *tensor.Tensor) bool {
	x, y := a.Float64s(), b.Float64s()
	for i := range x {
		if !identical(x[i], y[i]) {
			return false
		}
	}
	return len(x) == len(y)
}

// Graph builds the case and its inputs: the operator as node "op", outputs y0, y1 and so on.
func (c Case) Graph() (*graph.Graph, tensor.List, error) {
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
		b.Output(fmt.Sprintf("y%d", i), v)
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
