package graph

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apex-x/apexx/backends/tensor"
)

// Builder assembles a Graph. The first error sticks: later calls return placeholder values, and Build reports it, so that
// building code reads as straight as the network it describes.
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

// Err returns the first error.
func (b *Builder) Err() error { return b.err }

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
	v := &Value{Name: name, Type: Type{t.DType(), t.Shape()}, Const: t}
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
	b.claim(name)
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
	if b.err != nil {
		return placeholders(op)
	}
	n := &Node{Name: name, Op: op, Inputs: inputs}
	for i, t := range outTypes {
		out := name
		if len(outTypes) > 1 {
			out = fmt.Sprintf("%s.%d", name, i)
			b.claim(out)
		}
		n.Outputs = append(n.Outputs, &Value{Name: out, Type: t, Producer: n})
	}
	b.g.Nodes = append(b.g.Nodes, n)
	return n.Outputs
}

// placeholders stand for the outputs of a node that could not be added: enough of them for every operator here.
func placeholders(op Op) []*Value {
	n := 4
	if s, ok := op.(Split); ok {
		n = max(n, len(s.Sizes))
	}
	out := make([]*Value, n)
	for i := range out {
		out[i] = &Value{Name: "invalid"}
	}
	return out
}

// Add1 is Add for operators with one output.
func (b *Builder) Add1(name string, op Op, inputs ...*Value) *Value {
	return b.Add(name, op, inputs...)[0]
}

// Output makes v an output of the graph. The value takes the output's name, so v must come from a node and not be an
// output already; Identity gives a constant or an input a node.
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
	b.rename(v, name)
	b.g.Outputs = append(b.g.Outputs, Port{name, v})
}

// rename gives the output of a node another name.
func (b *Builder) rename(v *Value, name string) {
	if v.Name == name {
		return
	}
	if v.Producer.Name != name {
		b.claim(name)
	}
	v.Name = name
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

// Decide marks a value as a decision. The value takes the decision's name, so it must come from a node.
func (b *Builder) Decide(name string, d Decision) {
	if b.err != nil {
		return
	}
	if d.Value.Producer == nil {
		b.Fail(fmt.Errorf("decision %q is not computed by a node", name))
		return
	}
	for _, p := range b.g.Outputs {
		if p.Value == d.Value && p.Name != name {
			b.Fail(fmt.Errorf("decision %q is the output %q: they are one value and need one name", name, p.Name))
			return
		}
	}
	b.rename(d.Value, name)
	if err := d.Validate(); err != nil {
		b.Fail(err)
	}
	b.g.Decisions = append(b.g.Decisions, d)
}

// Meta sets an entry of the graph's metadata.
func (b *Builder) Meta(key, value string) { b.g.Metadata[key] = value }

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

// Dump lists the graph as text, one node a line: name, operator, inputs and outputs with their types.
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
		fmt.Fprintf(&s, "output %s %v\n", p.Name, p.Value.Type)
	}
	return s.String()
}
