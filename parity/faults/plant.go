package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// A Fault is a defect that an implementation of an operator may have.
type Fault struct {
	Name string
	Kind Kind

	// Sizes are the strengths in which it comes, weakest first; nil where it has one. What a size means is the fault's own: a relative
	// error, a share of the elements.
	Sizes []float64

	rounds bool // it adds a rounding, which no graph of another format takes
	fits   func(n *graph.Node) bool
	plant  func(p *planting, n *graph.Node)
}

// Kind groups faults by what they change.
type Kind string

// The kinds.
const (
	Parameter Kind = "parameter" // of an operator
	Weight    Kind = "weight"    // constants that it reads
	Function  Kind = "function"  // another operator in its place
	Result    Kind = "result"    // what it computed, on its way to memory
	Choice    Kind = "choice"    // selections, orders, kept detections
)

// Fits tells whether a node can have the fault.
func (f *Fault) Fits(n *graph.Node) bool { return f.fits(n) }

// Planted is a fault at a place.
type Planted struct {
	Fault *Fault
	Node  string  // its name
	Size  float64 // one of the fault's; 0 where it has none
	Seed  uint64  // of what is drawn, such as an element
}

// String names the fault, its size and its place.
func (x Planted) String() string {
	size := ""
	if x.Size != 0 {
		size = fmt.Sprintf(" (%g)", x.Size)
	}
	return fmt.Sprintf("%s%s at %s", x.Fault.Name, size, x.Node)
}

// In returns the graph with the fault. A graph without the node is returned as it is: a cut has no part of the fault then. In a graph of low
// precision a node is also found under the name that it has before its rounding.
func (x Planted) In(g *graph.Graph) *graph.Graph {
	at := slices.IndexFunc(g.Nodes, func(n *graph.Node) bool { return n.Name == x.Node || n.Name == x.Node+".unrounded" })
	if at < 0 || !x.Fault.fits(g.Nodes[at]) {
		return g
	}
	p := &planting{Planted: x, rng: rand.New(rand.NewPCG(x.Seed, 7))}
	for i, n := range g.Nodes {
		if i != at {
			p.Copy(n)
			continue
		}
		p.sound, p.node = n, p.Moved(n, p.Operands(n))
		p.added = []*graph.Node{p.node}
		x.Fault.plant(p, p.node)
		p.publish()
		p.Append(p.added...)
	}
	return p.Graph(g)
}

// planting is a fault that is being planted: into node, a copy of a sound one of the graph, before and behind which nodes may be added.
type planting struct {
	Planted
	graph.Rewriter
	rng   *rand.Rand
	sound *graph.Node
	node  *graph.Node
	added []*graph.Node // node and what belongs to the fault, in the order of execution
	fresh int
}

const mark = ".fault."

// publish gives what the fault made of an output of the node the name of that output. What the node itself computed goes by another name then.
func (p *planting) publish() {
	for i, v := range p.sound.Outputs {
		if last := p.Value(v); last != p.node.Outputs[i] {
			p.node.Outputs[i].Name += mark + "sound"
			last.Name = v.Name
		}
	}
}

// add appends an operator and returns its output.
func (p *planting) add(op graph.Op, in ...*graph.Value) *graph.Value {
	n := p.operator(op, in...)
	p.added = append(p.added, n)
	return n.Outputs[0]
}

// before puts an operator in front of the node.
func (p *planting) before(op graph.Op, in ...*graph.Value) *graph.Value {
	n := p.operator(op, in...)
	p.added = slices.Insert(p.added, len(p.added)-1, n)
	return n.Outputs[0]
}

func (p *planting) operator(op graph.Op, in ...*graph.Value) *graph.Node {
	types := make([]graph.Type, len(in))
	for i, v := range in {
		types[i] = v.Type
	}
	out, err := op.Infer(types)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", p.Planted, err)) // the fault does not fit where it says that it does
	}
	n := &graph.Node{Name: p.name(), Op: op, Inputs: in}
	for i, t := range out {
		n.Outputs = append(n.Outputs, &graph.Value{Name: fmt.Sprintf("%s.%d", n.Name, i), Type: t, Producer: n})
	}
	return n
}

// name is one that the graph does not have.
func (p *planting) name() string {
	p.fresh++
	return fmt.Sprintf("%s%s%d", p.node.Name, mark, p.fresh)
}

// constant makes a constant of a tensor.
func (p *planting) constant(t *tensor.Tensor) *graph.Value {
	return graph.Constant(p.name(), t)
}

// result lets output i be what do makes of it.
func (p *planting) result(i int, do func(y *graph.Value) *graph.Value) {
	p.Replace(p.sound.Outputs[i], do(p.node.Outputs[i]))
}

// Backend executes every graph with a fault. Its plans are those of what it executes, without the nodes that the fault added.
type Backend struct {
	backends.Backend
	Planted
}

// String names the fault.
func (b *Backend) String() string { return b.Planted.String() }

// Compile implements backends.Backend.
func (b *Backend) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	s, err := b.Backend.Compile(ctx, b.In(g), opts)
	if err != nil {
		return nil, err
	}
	return &session{s}, nil
}

type session struct{ backends.Session }

// Plan implements backends.Session.
func (s *session) Plan() backends.Plan {
	plan := s.Session.Plan()
	kept := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.Contains(n, mark) })
	}
	plan.Folded, plan.Views = kept(plan.Folded), kept(plan.Views)
	var steps []backends.Step
	for _, step := range plan.Steps {
		if step.Nodes = kept(step.Nodes); len(step.Nodes) > 0 {
			step.Name = step.Nodes[len(step.Nodes)-1]
			steps = append(steps, step)
		}
	}
	plan.Steps = steps
	return plan
}
