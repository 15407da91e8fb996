package graph

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apex-x/apexx/backends/tensor"
)

// Builder assembles a Graph. The first error sticks: later calls return values without a type, as many as there would have been, and
// Build reports it, so that building code reads as straight as the network it describes. Such code takes sizes from Type.Dim.
//
// A value keeps the name that it is given where it is computed, in every graph that is made of this one, every file, plan and report.
type Builder struct {
	g      Graph
	names  map[string]bool
	consts map[string]*Value
	err    error
}

// NewBuilder starts an empty graph.
func NewBuilder(name string) *Builder {
	return &Builder{g: Graph{Name: name, Metadata: map[string]string{}}, names: map[string]bool{}, consts: map[string]*Value{}}
}

// Fail records an error of the caller, unless one is recorded already.
func (b *Builder) Fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *Builder) claim(name string) {
	if name == "" {
		b.Fail(errors.New("a node or value has an empty name"))
	} else if b.names[name] {
		b.Fail(fmt.Errorf("the name %q is used twice", name))
	}
	b.names[name] = true
}

// Input declares an input of the graph.
func (b *Builder) Input(name string, t Type) *Value {
	b.claim(name)
	v := &Value{Name: name, Type: t}
	b.g.Inputs = append(b.g.Inputs, v)
	return v
}

// Const declares a constant. Asking for the same name again returns the first constant, so that shared weights stay shared.
func (b *Builder) Const(name string, t *tensor.Tensor) *Value {
	if v, ok := b.consts[name]; ok {
		if v.Const != t && !sameTensor(v.Const, t) {
			b.Fail(fmt.Errorf("the constant %q is declared twice with different contents", name))
		}
		return v
	}
	b.claim(name)
	v := Constant(name, t)
	b.consts[name] = v
	return v
}

// sameTensor reports whether two small constants hold equal numbers; large ones are compared by identity alone.
func sameTensor(a, b *tensor.Tensor) bool {
	const small = 4096
	if a.String() != b.String() || a.Len() > small {
		return false
	}
	x, y := a.Float64s(), b.Float64s()
	for i := range x {
		if x[i] != y[i] {
			return false
		}
	}
	return true
}

// Scalar declares a float constant of rank 0, named after its value.
func (b *Builder) Scalar(v float64) *Value {
	return b.Const(fmt.Sprintf("const.%g", v), tensor.Scalar(float32(v)))
}

// Add appends a node and returns its outputs. A node with one output names it after itself; the outputs of others are
// NAME.0, NAME.1 and so on. A nil input is an absent optional input.
func (b *Builder) Add(name string, op Op, inputs ...*Value) []*Value {
	outputs := []string{name}
	if n := arity(op); n > 1 {
		outputs = make([]string, n)
		for i := range outputs {
			outputs[i] = fmt.Sprintf("%s.%d", name, i)
		}
	}
	return b.AddNamed(name, op, outputs, inputs...)
}

// AddNamed is Add with a name for each output of the operator. One of them may be the node's.
func (b *Builder) AddNamed(name string, op Op, outputs []string, inputs ...*Value) []*Value {
	b.claim(name)
	if n := arity(op); len(outputs) != n {
		b.Fail(fmt.Errorf("node %s (%s): got names for %d outputs, it has %d", name, op.OpType(), len(outputs), n))
	}
	for _, out := range outputs {
		if out != name {
			b.claim(out)
		}
	}
	types := make([]Type, len(inputs))
	for i, v := range inputs {
		if v != nil {
			types[i] = v.Type
		}
	}
	outTypes, err := op.Infer(types)
	if err != nil {
		b.Fail(fmt.Errorf("node %s (%s): %w", name, op.OpType(), err))
	}
	n := &Node{Name: name, Op: op, Inputs: inputs}
	for i, out := range outputs {
		v := &Value{Name: out, Producer: n}
		if b.err == nil {
			v.Type = outTypes[i]
		}
		n.Outputs = append(n.Outputs, v)
	}
	b.g.Nodes = append(b.g.Nodes, n)
	return n.Outputs
}

// Add1 is Add for operators with one output.
func (b *Builder) Add1(name string, op Op, inputs ...*Value) *Value {
	return b.Add(name, op, inputs...)[0]
}

// Output makes v an output of the graph. It must come from a node and not be an output already; Identity gives a constant or an
// input a node. A model's outputs are named after their values; an output of another name is a second name for its value.
func (b *Builder) Output(name string, v *Value) {
	if b.err != nil {
		return
	}
	if v.Producer == nil {
		b.Fail(fmt.Errorf("output %q is not computed by a node", name))
		return
	}
	for _, p := range b.g.Outputs {
		if p.Value == v {
			b.Fail(fmt.Errorf("outputs %q and %q are the same value", p.Name, name))
			return
		}
	}
	if name != v.Name {
		b.claim(name)
	}
	b.g.Outputs = append(b.g.Outputs, Port{name, v})
}

// Tap declares an intermediate that sessions can return as "tap.NAME".
func (b *Builder) Tap(name string, v *Value) {
	if b.err != nil {
		return
	}
	if _, dup := find(b.g.Taps, name); dup {
		b.Fail(fmt.Errorf("the tap %q is declared twice", name))
	}
	b.g.Taps = append(b.g.Taps, Port{name, v})
}

// Decide marks a value as a decision, which must come from a node.
func (b *Builder) Decide(d Decision) {
	if b.err != nil {
		return
	}
	if d.Value.Producer == nil {
		b.Fail(fmt.Errorf("decision %q is not computed by a node", d.Name()))
		return
	}
	if err := d.Validate(); err != nil {
		b.Fail(err)
	}
	b.g.Decisions = append(b.g.Decisions, d)
}

// Build returns the graph, or the first error.
func (b *Builder) Build() (*Graph, error) {
	if b.err != nil {
		return nil, fmt.Errorf("graph %s: %w", b.g.Name, b.err)
	}
	if len(b.g.Outputs) == 0 {
		return nil, fmt.Errorf("graph %s has no outputs", b.g.Name)
	}
	g := b.g
	return &g, nil
}

// Dump lists the graph as text, one node a line: name, operator, inputs and outputs with their types; and of an output that has another
// name than its value, both.
func (g *Graph) Dump() string {
	var s strings.Builder
	for _, v := range g.Inputs {
		fmt.Fprintf(&s, "input  %s %v\n", v.Name, v.Type)
	}
	for _, n := range g.Nodes {
		fmt.Fprintf(&s, "node   %s = %s(", n.Name, n.Op.OpType())
		for i, v := range n.Inputs {
			if i > 0 {
				s.WriteString(", ")
			}
			if v != nil {
				s.WriteString(v.Name)
			}
		}
		s.WriteString(") →")
		for _, v := range n.Outputs {
			fmt.Fprintf(&s, " %s %v", v.Name, v.Type)
		}
		s.WriteByte('\n')
	}
	for _, p := range g.Outputs {
		name := p.Name
		if name != p.Value.Name {
			name += " = " + p.Value.Name
		}
		fmt.Fprintf(&s, "output %s %v\n", name, p.Value.Type)
	}
	return s.String()
}
