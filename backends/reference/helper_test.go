package reference

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// arg is an operand of a test graph: an input, a constant, or absent when nil.
type arg struct {
	*tensor.Tensor
	constant bool
}

func in(t *tensor.Tensor) arg       { return arg{Tensor: t} }
func constant(t *tensor.Tensor) arg { return arg{t, true} }

func f32s(shape []int, v ...float32) *tensor.Tensor { return tensor.Must(tensor.Of(v, shape...)) }
func i64s(shape []int, v ...int64) *tensor.Tensor   { return tensor.Must(tensor.Of(v, shape...)) }

// wave is a deterministic tensor with values of both signs around zero, without repetition.
func wave(seed float64, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i, d := 0, tensor.Data[float32](t); i < len(d); i++ {
		d[i] = float32(math.Sin(0.37*float64(i)+seed) + 0.5*math.Cos(0.71*float64(i)*(seed+1)))
	}
	return t
}

// single builds a graph of one node. Inputs and outputs are named x0, x1, … and y0, y1, …
func single(t testing.TB, op graph.Op, args ...arg) (*graph.Graph, tensor.List) {
	t.Helper()
	b := graph.NewBuilder("single")
	values, list := operandsOf(b, args)
	for i, v := range b.Add("node", op, values...) {
		b.Output("y"+string(rune('0'+i)), v)
	}
	return built(t, b), list
}

func operandsOf(b *graph.Builder, args []arg) ([]*graph.Value, tensor.List) {
	var values []*graph.Value
	var list tensor.List
	for i, a := range args {
		name := "x" + string(rune('0'+i))
		switch {
		case a.Tensor == nil:
			values = append(values, nil)
		case a.constant:
			values = append(values, b.Const(name, a.Tensor))
		default:
			values = append(values, b.Input(name, graph.Type{DType: a.DType(), Shape: a.Shape()}))
			list = append(list, tensor.Named{Name: name, Tensor: a.Tensor})
		}
	}
	return values, list
}

func built(t testing.TB, b *graph.Builder) *graph.Graph {
	t.Helper()
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// chosen is the instruction set that the environment asks for.
func chosen() kernel.ISA {
	isa, err := kernel.Chosen()
	if err != nil {
		panic(err)
	}
	return isa
}

func fp32() settings {
	return settings{float: tensor.Float32, threads: 2, isa: chosen(), winograd: true}
}
func fp64() settings { return settings{float: tensor.Float64, threads: 2, isa: chosen()} }

// open compiles a graph and closes the session with the test.
func open(t testing.TB, g *graph.Graph, set settings) *session {
	t.Helper()
	s, err := compile(context.Background(), g, set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// outputs compiles a graph, runs it and returns what came out. Inputs may hold NaN and infinities, which Run refuses.
func outputs(t testing.TB, g *graph.Graph, inputs tensor.List, set settings) tensor.List {
	t.Helper()
	s := open(t, g, set)
	for i, v := range s.inputs {
		load(v, inputs.Get(g.Inputs[i].Name))
	}
	for _, st := range s.steps {
		if err := st.run(); err != nil {
			t.Fatal(wrap(st.node, st.op, err))
		}
	}
	return s.outputs
}

// near reports whether two numbers agree: NaN with NaN, infinities and zeros by value, others within tol·max(1, |want|).
func near(got, want, tol float64) bool {
	if math.IsNaN(want) || math.IsInf(want, 0) {
		return got == want || math.IsNaN(got) && math.IsNaN(want)
	}
	return math.Abs(got-want) <= tol*max(1, math.Abs(want))
}

func requireNear(t testing.TB, name string, got *tensor.Tensor, want []float64, tol float64) {
	t.Helper()
	g := got.Float64s()
	if len(g) != len(want) {
		t.Fatalf("%s: %v has %d elements, want %d", name, got, len(g), len(want))
	}
	for i := range g {
		if !near(g[i], want[i], tol) {
			t.Fatalf("%s: element %d of %v is %v, want %v", name, i, got, g[i], want[i])
		}
	}
}

// requireSame compares bit for bit, but for the sign and payload of NaN.
func requireSame(t testing.TB, name string, got, want tensor.List) {
	t.Helper()
	for i := range want {
		a, b := got[i].Float64s(), want[i].Float64s()
		if !slices.EqualFunc(a, b, func(x, y float64) bool {
			return math.Float64bits(x) == math.Float64bits(y) || math.IsNaN(x) && math.IsNaN(y)
		}) {
			t.Fatalf("%s: output %s differs", name, want[i].Name)
		}
	}
}
