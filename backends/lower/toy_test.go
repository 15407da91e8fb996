package lower_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// The toy is an executor as a device has one: its memory is a list of cells at addresses, values lie channels last and padded to
// eight channels, a fused kernel keeps in registers what it covers, and weights are held in another precision than they came in. It
// knows float32 alone and a handful of operators.
type toy struct {
	memory  []float32 // the arena, four bytes a cell
	program *lower.Program
	steps   []*lower.Step
	packed  map[*lower.Value][]float32

	constants int // bytes of constants that stay
}

const toyAlign = 256

// toyRules: Add and what follows it. The sum is in a register when Relu has it, so it can be stored; what is between Relu and Mul
// cannot.
var toyRules = []lower.Rule{
	{Name: "AddRelu", Pattern: lower.Pattern{Op: "Relu", Role: "relu", In: []lower.Pattern{
		{Op: "Add", Role: "add", Commutes: true, In: []lower.Pattern{{Role: "x"}, {Role: "y"}}},
	}}},
	{Name: "AddReluMul", Unstored: []string{"relu"}, Pattern: lower.Pattern{Op: "Mul", Role: "mul", Commutes: true, In: []lower.Pattern{
		{Op: "AddRelu", Role: "relu"}, {Role: "gain"},
	}}},
}

// stride is the number of cells from one pixel of a value [B,C,H,W] to the next: its channels in groups of eight.
func stride(v *lower.Value) int { return (v.Shape[1] + 7) / 8 * 8 }

// padded is the number of bytes of a value in the toy's layout.
func padded(v *lower.Value) int {
	if len(v.Shape) != 4 {
		return v.Bytes()
	}
	return v.Shape[0] * v.Shape[2] * v.Shape[3] * stride(v) * v.DType.Size()
}

func newToy(t *testing.T, g *graph.Graph, taps ...string) *toy {
	t.Helper()
	p, err := lower.Import(g, tensor.Float32, taps)
	check(t, err)
	e := &toy{program: p, packed: map[*lower.Value][]float32{}}
	check(t, p.Fold(e.evaluate))
	p.Fuse(toyRules)
	for _, n := range p.Nodes {
		s := &lower.Step{Node: n}
		if n.Op.OpType() == "Identity" {
			n.Out[0].ViewOf(n.In[0], 0)
			continue
		}
		for _, v := range n.In {
			if v.Constant {
				e.packed[v] = slices.Clone(tensor.Data[float32](v.Data))
				s.Pack(v)
			}
		}
		s.Allow(n.In[0])
		s.AddScratch(tensor.Float32, 3)
		e.steps = append(e.steps, s)
	}
	e.constants = lower.OwnConstants(p, e.steps)
	e.memory = make([]float32, p.Place(e.steps, lower.Layout{Align: toyAlign, Bytes: padded}).Bytes/4)
	return e
}

// evaluate computes constants on the host.
func (e *toy) evaluate(p *lower.Program) error {
	for _, n := range p.Nodes {
		n.Out[0].Data = tensor.New(tensor.Float32, n.Out[0].Shape...)
		y := tensor.Data[float32](n.Out[0].Data)
		for i := range y {
			v, err := scalar(n.Op, func(j int) float32 {
				x := tensor.Data[float32](n.In[j].Data)
				return x[i%len(x)]
			})
			if err != nil {
				return err
			}
			y[i] = v
		}
	}
	return nil
}

func scalar(op lower.Op, in func(int) float32) (float32, error) {
	switch op.OpType() {
	case "Add":
		return in(0) + in(1), nil
	case "Mul":
		return in(0) * in(1), nil
	case "Relu":
		return max(in(0), 0), nil
	}
	return 0, fmt.Errorf("the toy has no %s", op.OpType())
}

// cell returns where element i of a value [B,C,H,W] lies.
func (e *toy) cell(v *lower.Value, i int) *float32 {
	if v.Data != nil {
		return &tensor.Data[float32](v.Data)[i]
	}
	if weights, ok := e.packed[v]; ok {
		return &weights[i]
	}
	c, hw := v.Shape[1], v.Shape[2]*v.Shape[3]
	b, ch, p := i/(c*hw), i/hw%c, i%hw
	return &e.memory[v.Place()/4+(b*hw+p)*stride(v)+ch]
}

func (e *toy) run(t *testing.T, inputs map[string][]float32) map[string][]float32 {
	t.Helper()
	for _, v := range e.program.Inputs {
		for i, x := range inputs[v.Name] {
			*e.cell(v, i) = x
		}
	}
	for _, s := range e.steps {
		for i := range s.Node.Out[0].Len() {
			check(t, e.element(s.Node, i))
		}
	}
	out := map[string][]float32{}
	for _, p := range e.program.Outputs {
		for i := range p.Value.Len() {
			out[p.Name] = append(out[p.Name], *e.cell(p.Value, i))
		}
	}
	return out
}

// element computes one element of a node and of what it stores aside.
func (e *toy) element(n *lower.Node, i int) error {
	registers := map[*lower.Value]float32{}
	read := func(v *lower.Value) float32 {
		if r, ok := registers[v]; ok {
			return r
		}
		return *e.cell(v, i)
	}
	parts := []*lower.Node{n}
	if n.Part("add") != nil {
		parts = []*lower.Node{n.Part("add"), n.Part("relu")}
		if mul := n.Part("mul"); mul != nil {
			parts = append(parts, mul)
		}
	}
	for _, p := range parts {
		v, err := scalar(p.Op, func(j int) float32 { return read(p.In[j]) })
		if err != nil {
			return err
		}
		registers[p.Out[0]] = v
	}
	for _, v := range n.Out {
		*e.cell(v, i) = registers[v]
	}
	return nil
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func describe(e *toy) string {
	var list []string
	for _, s := range e.steps {
		list = append(list, fmt.Sprintf("%s(%s)", s.Node.Op.OpType(), strings.Join(s.Node.Covers(), " ")))
	}
	return strings.Join(list, " ")
}

// toyGraph computes relu(x + w·2)·gain twice, with a view between, and beside it for nobody but a tap the double of the first sum.
func toyGraph(t *testing.T) *graph.Graph {
	b := graph.NewBuilder("toy")
	shape := []int{2, 3, 2, 2}
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: shape})
	file := tensor.New(tensor.Float32, 1000) // weights are slices of a file
	for i, d := 0, tensor.Data[float32](file); i < len(d); i++ {
		d[i] = float32(i%7) - 3
	}
	weight := tensor.Must(tensor.Of(tensor.Data[float32](file)[10:34], shape...))
	w := b.Add1("w.doubled", graph.Binary{Fn: graph.Add}, b.Const("w", weight), b.Const("w.again", weight))
	first := b.Add1("first.sum", graph.Binary{Fn: graph.Add}, w, x)
	b.Add1("first.double", graph.Binary{Fn: graph.Add}, first, first)
	y := b.Add1("first.relu", graph.Unary{Fn: graph.Relu}, first)
	y = b.Add1("first", graph.Binary{Fn: graph.Mul}, b.Const("gain", weight), y)
	y = b.Add1("view", graph.Unary{Fn: graph.Identity}, y)
	second := b.Add1("second.sum", graph.Binary{Fn: graph.Add}, y, x)
	b.Output("second", b.Add1("second.relu", graph.Unary{Fn: graph.Relu}, second))
	g, err := b.Build()
	check(t, err)
	return g
}

// Another executor than the reference, with rules, an alignment, a layout and weights of its own, runs a graph with this package; its
// taps change nothing but what is stored, and where they must split a chain the program says so.
func TestAnotherExecutor(t *testing.T) {
	g := toyGraph(t)
	inputs := map[string][]float32{"x": make([]float32, 24)}
	for i := range inputs["x"] {
		inputs["x"][i] = float32(i*5%11) - 5
	}
	plain := newToy(t, g)
	if got, want := describe(plain), "AddReluMul(first.sum first.relu first) AddRelu(second.sum second.relu)"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	if !slices.Equal(plain.program.Folded, []string{"w.doubled"}) || plain.program.Split != nil {
		t.Errorf("folded %v, split %v", plain.program.Folded, plain.program.Split)
	}
	if plain.constants != 0 {
		t.Errorf("%d bytes of constants stay, though all are packed", plain.constants)
	}
	want := plain.run(t, inputs)
	if len(want["second"]) != 24 || slices.Max(want["second"]) == 0 {
		t.Fatalf("outputs %v", want)
	}
	for _, c := range []struct {
		taps  []string
		steps string
		split []lower.Split
	}{
		{[]string{"first.sum"}, "AddReluMul(first.sum first.relu first) AddRelu(second.sum second.relu)", nil},
		{[]string{"first", "view", "w.doubled"}, "AddReluMul(first.sum first.relu first) AddRelu(second.sum second.relu)", nil},
		{[]string{"first.double", "second.sum"}, "AddReluMul(first.sum first.relu first) AddRelu(second.sum second.relu) Add(first.double)", nil},
		{[]string{"first.relu"}, "AddRelu(first.sum first.relu) Mul(first) AddRelu(second.sum second.relu)",
			[]lower.Split{{Node: "first", Rule: "AddReluMul", Value: "first.relu"}}},
	} {
		e := newToy(t, g, c.taps...)
		if got := describe(e); got != c.steps || !slices.Equal(e.program.Split, c.split) {
			t.Errorf("taps %v: steps %s, split %v", c.taps, got, e.program.Split)
		}
		got := e.run(t, inputs)
		if !slices.Equal(got["second"], want["second"]) {
			t.Errorf("taps %v change the output", c.taps)
		}
		for i, x := range inputs["x"] {
			sum := x + 2*(float32((i+10)%7)-3)
			relu := max(sum, 0)
			first := relu * (float32((i+10)%7) - 3)
			for name, want := range map[string]float32{"first.sum": sum, "first.double": 2 * sum, "first.relu": relu, "first": first, "view": first, "second.sum": first + x} {
				if v := got["tap."+name]; v != nil && v[i] != want {
					t.Errorf("tap %s: element %d is %v, want %v", name, i, v[i], want)
				}
			}
		}
	}
}

// The toy's layout pads [2,3,2,2] to eight channels, 256 bytes, and begins every value at a multiple of its alignment.
func TestLayoutOfAnotherExecutor(t *testing.T) {
	e := newToy(t, toyGraph(t))
	for _, s := range e.steps {
		if at := s.Node.Out[0].Place(); at%toyAlign != 0 {
			t.Errorf("%v lies at %d", s.Node.Out[0], at)
		}
		if got := s.Workspace(); got != 3*4 {
			t.Errorf("step %s: %d bytes of workspace, want 12", s.Node.Name, got)
		}
	}
	if got, want := len(e.memory)*4, 3*toyAlign; got != want {
		t.Errorf("an arena of %d bytes, want %d: x, what the first step makes, and scratch", got, want)
	}
}
