package lower

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// A Program is a graph that is being compiled: nodes in the order of execution and the values between them, all mutable.
type Program struct {
	Inputs  []*Value // in the graph's order
	Nodes   []*Node
	Outputs []Port   // the graph's, and then the taps
	Folded  []string // names of the nodes that Fold computed
	Split   []Split  // chains that Fuse had to leave in pieces
}

// A Port gives a value a public name.
type Port struct {
	Name  string
	Value *Value
}

// Op is the part of graph.Op that fused operators have too.
type Op interface{ OpType() string }

// A Node is one application of an operator, a graph.Op or a Fused one.
type Node struct {
	Name string
	Op   Op
	In   []*Value // of a fused node all that its parts read from outside; else as in the graph: nil where an optional input is absent
	Out  []*Value // of a fused node the outputs of its last part, and then those that it stores aside

	parts  []part // what a fused node covers, in the order of execution
	index  int    // position in the order of execution
	forTap bool   // no output of the graph needs it
}

// A Value is an edge: an input, a constant or the output of a node.
type Value struct {
	Name     string
	DType    tensor.DType // of the session: float32 or float64 for all floating-point values
	Shape    []int
	Producer *Node // nil for inputs and constants
	Constant bool

	// Data are the elements of a constant. An executor on the host puts those of other values here, too, once they have a place.
	Data *tensor.Tensor

	owned bool   // no one else refers to Data
	base  *Value // not nil for a value that lies in the memory of another, at element off
	off   int
	place int // of a value that owns its memory: where it begins in the arena, in bytes
}

// Len returns the number of elements.
func (v *Value) Len() int {
	n := 1
	for _, d := range v.Shape {
		n *= d
	}
	return n
}

// Bytes returns the size of the elements, row-major and without gaps.
func (v *Value) Bytes() int { return v.Len() * v.DType.Size() }

// String describes the value, such as "stem float32[1 64 128 128]".
func (v *Value) String() string { return fmt.Sprintf("%s %v%v", v.Name, v.DType, v.Shape) }

// ViewOf lays v into the memory of x, from element off of x on.
func (v *Value) ViewOf(x *Value, off int) { v.base, v.off = x, off }

// Root returns the value that owns v's memory, v itself if v does, and the element of it at which v begins.
func (v *Value) Root() (owner *Value, off int) {
	for v.base != nil {
		off += v.off
		v = v.base
	}
	return v, off
}

// Place returns where v begins in the arena, in bytes, once Program.Place has run. Constants have no place there, and neither have
// views of them.
func (v *Value) Place() int {
	owner, off := v.Root()
	return owner.place + off*v.DType.Size()
}

// Input returns the i-th input of the node, or nil when it is absent.
func (n *Node) Input(i int) *Value {
	if i >= len(n.In) {
		return nil
	}
	return n.In[i]
}

// Import copies what the outputs of g and the named taps need ("all" stands for every declared tap). Values declared float32, and
// constants among them, get the type float: Float32 or Float64. The nodes that taps alone need come last.
func Import(g *graph.Graph, float tensor.DType, taps []string) (*Program, error) {
	tapped, err := g.WithTaps(taps)
	if err != nil {
		return nil, err
	}
	im := importer{float: float, values: map[*graph.Value]*Value{}}
	p := &Program{}
	for _, v := range g.Inputs {
		p.Inputs = append(p.Inputs, im.value(v))
	}
	for i, n := range tapped.Nodes {
		p.Nodes = append(p.Nodes, im.node(n, i))
	}
	for _, o := range tapped.Outputs {
		p.Outputs = append(p.Outputs, Port{o.Name, im.value(o.Value)})
	}
	need := p.neededBy(p.Outputs[:len(g.Outputs)])
	for _, n := range p.Nodes {
		if !need[n] {
			n.forTap = true
			n.index += len(p.Nodes)
		}
	}
	slices.SortFunc(p.Nodes, func(a, b *Node) int { return cmp.Compare(a.index, b.index) })
	return p, im.err
}

type importer struct {
	float  tensor.DType
	values map[*graph.Value]*Value
	err    error
}

func (im *importer) node(gn *graph.Node, index int) *Node {
	n := &Node{Name: gn.Name, Op: gn.Op, index: index}
	for _, v := range gn.Inputs {
		if v == nil {
			n.In = append(n.In, nil)
			continue
		}
		n.In = append(n.In, im.value(v))
	}
	for _, v := range gn.Outputs {
		out := im.value(v)
		out.Producer = n
		n.Out = append(n.Out, out)
	}
	return n
}

func (im *importer) value(gv *graph.Value) *Value {
	if v, ok := im.values[gv]; ok {
		return v
	}
	v := &Value{Name: gv.Name, DType: gv.DType, Shape: gv.Shape}
	switch gv.DType {
	case tensor.Float32:
		v.DType = im.float
	case tensor.Int32, tensor.Int64, tensor.Bool:
	default:
		im.err = fmt.Errorf("value %s is %v: graphs declare floating-point values as float32", gv.Name, gv.Type)
	}
	if gv.Const != nil {
		v.Constant, v.Data = true, gv.Const
		if gv.Const.DType() == tensor.Float32 && im.float == tensor.Float64 {
			v.Data, v.owned = tensor.Must(tensor.Of(gv.Const.Float64s(), gv.Shape...)), true
		}
	}
	im.values[gv] = v
	return v
}

// neededBy returns the nodes that the ports depend on.
func (p *Program) neededBy(ports []Port) map[*Node]bool {
	need := map[*Node]bool{}
	for _, o := range ports {
		need[o.Value.Producer] = true
	}
	for _, n := range slices.Backward(p.Nodes) {
		if !need[n] {
			continue
		}
		for _, v := range n.In {
			if v != nil {
				need[v.Producer] = true
			}
		}
	}
	return need
}

// dropDead removes the nodes that no output depends on.
func (p *Program) dropDead() {
	need := p.neededBy(p.Outputs)
	p.Nodes = slices.DeleteFunc(p.Nodes, func(n *Node) bool { return !need[n] })
}

// SetNodes replaces the nodes, among them perhaps new ones of the executor. They must be in an order of execution.
func (p *Program) SetNodes(nodes []*Node) {
	p.Nodes = nodes
	next := 0
	for _, n := range nodes {
		for i := range n.parts {
			n.parts[i].index = next
			next++
		}
		n.index = next
		next++
	}
}

// Discard takes the nodes and values apart once the program is compiled, so that a value which an executor still holds does not hold
// all others.
func (p *Program) Discard() {
	for _, n := range p.Nodes {
		n.In, n.Out, n.parts = nil, nil, nil
	}
	p.Inputs, p.Nodes, p.Outputs = nil, nil, nil
}
