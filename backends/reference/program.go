package reference

import (
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// A program is a graph that is being compiled: nodes in the order of execution and the values between them, all mutable.
type program struct {
	nodes   []*node
	inputs  []*value
	outputs []port
}

type port struct {
	name  string
	value *value
}

// A node is one application of an operator: a graph.Op, or one of the fused operators of this package. Where an optional
// input is absent, in holds nil.
type node struct {
	name string
	op   operator
	in   []*value
	out  []*value
}

// operator is the part of graph.Op that fused operators have too.
type operator interface{ OpType() string }

// A value is an edge. Its elements are in data: from the start for a constant, for others once memory has been placed.
type value struct {
	name     string
	dtype    tensor.DType // of the session: float32 or float64 for all floating-point values
	shape    []int
	producer *node // nil for inputs and constants
	constant bool
	data     *tensor.Tensor

	base *value // not nil for a value that lies in the memory of another, at element off
	off  int
}

func (v *value) len() int {
	n := 1
	for _, d := range v.shape {
		n *= d
	}
	return n
}

func (v *value) String() string { return fmt.Sprintf("%s %v%v", v.name, v.dtype, v.shape) }

// root returns the value that owns v's memory, and where in it v begins.
func (v *value) root() (owner *value, off int) {
	for v.base != nil {
		off += v.off
		v = v.base
	}
	return v, off
}

// viewOf lays v into the memory of x, from element off on.
func (v *value) viewOf(x *value, off int) { v.base, v.off = x, off }

// elements returns the elements of a value that has memory.
func elements[E tensor.Element](v *value) []E { return tensor.Data[E](v.data) }

// optional returns the elements, or nil for an absent input.
func optional[E tensor.Element](v *value) []E {
	if v == nil {
		return nil
	}
	return elements[E](v)
}

// input returns the i-th input of the node, or nil when it is absent.
func (n *node) input(i int) *value {
	if i >= len(n.in) {
		return nil
	}
	return n.in[i]
}

// importGraph copies the nodes of g and their values. Values declared float32 get the type float, and so do the constants.
func importGraph(g *graph.Graph, float tensor.DType) (*program, error) {
	im := importer{float: float, values: map[*graph.Value]*value{}}
	p := &program{}
	for _, v := range g.Inputs {
		p.inputs = append(p.inputs, im.value(v))
	}
	for _, gn := range g.Nodes {
		n := &node{name: gn.Name, op: gn.Op}
		for _, v := range gn.Inputs {
			if v == nil {
				n.in = append(n.in, nil)
				continue
			}
			n.in = append(n.in, im.value(v))
		}
		for _, v := range gn.Outputs {
			out := im.value(v)
			out.producer = n
			n.out = append(n.out, out)
		}
		p.nodes = append(p.nodes, n)
	}
	for _, o := range g.Outputs {
		p.outputs = append(p.outputs, port{o.Name, im.value(o.Value)})
	}
	return p, im.err
}

type importer struct {
	float  tensor.DType
	values map[*graph.Value]*value
	err    error
}

func (im *importer) value(gv *graph.Value) *value {
	if v, ok := im.values[gv]; ok {
		return v
	}
	v := &value{name: gv.Name, dtype: gv.DType, shape: gv.Shape}
	switch gv.DType {
	case tensor.Float32:
		v.dtype = im.float
	case tensor.Int32, tensor.Int64, tensor.Bool:
	default:
		im.err = fmt.Errorf("value %s is %v: graphs declare floating-point values as float32", gv.Name, gv.Type)
	}
	if gv.Const != nil {
		v.constant, v.data = true, gv.Const
		if gv.Const.DType() == tensor.Float32 && im.float == tensor.Float64 {
			v.data = tensor.Must(tensor.Of(gv.Const.Float64s(), gv.Shape...))
		}
	}
	im.values[gv] = v
	return v
}

// consumers counts how often each value is read by a node; being an output of the program counts as well.
func (p *program) consumers() map[*value]int {
	uses := map[*value]int{}
	for _, n := range p.nodes {
		for _, v := range n.in {
			if v != nil {
				uses[v]++
			}
		}
	}
	for _, o := range p.outputs {
		uses[o.value]++
	}
	return uses
}

// dropDead removes the nodes that no output depends on.
func (p *program) dropDead() {
	need := map[*node]bool{}
	for _, o := range p.outputs {
		need[o.value.producer] = true
	}
	for i := len(p.nodes) - 1; i >= 0; i-- {
		if !need[p.nodes[i]] {
			continue
		}
		for _, v := range p.nodes[i].in {
			if v != nil {
				need[v.producer] = true
			}
		}
	}
	kept := p.nodes[:0]
	for _, n := range p.nodes {
		if need[n] {
			kept = append(kept, n)
		}
	}
	p.nodes = kept
}
