package graph

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// Lower returns the graph that a backend of low precision computes: g with a Round to f at each of Points. An empty f returns g.
// Lowering once more to the same format changes nothing; to another one it is an error. A format with a scale needs g.Calibration: the
// scales become constants of the graph, called NAME.FORMAT.scale, so that all backends compute with the same.
//
// A value that is stored in the format is rounded for all who read it, outputs and taps included, and keeps its name; what was
// computed is then NAME.unrounded. An input, a constant, and in TF32, INT8 and FP8 any operand of a product is rounded for the products
// alone, as the value NAME.FORMAT. A node of one output is named after it. No Round is added to a value that is exact in f already.
// Inputs, constants and their tensors are shared with g.
func Lower(g *Graph, f Format) (*Graph, error) {
	if f == "" {
		return g, nil
	}
	if err := f.Known(); err != nil {
		return nil, fmt.Errorf("lower graph %s: %w", g.Name, err)
	}
	l := &lowering{
		format: f, router: g.Routed(), exact: map[*Value]bool{}, rounded: map[*Value]*Value{},
		stored: map[*Value]bool{}, names: map[string]bool{},
	}
	if c := g.Calibration; c != nil && f.Scaled() {
		if err := c.Validate(); err != nil {
			return nil, fmt.Errorf("lower graph %s to %s: %w", g.Name, f, err)
		}
		l.ranges, l.wide = c.Ranges, c.Wide
	}
	if err := l.plan(g); err != nil {
		return nil, fmt.Errorf("lower graph %s to %s: %w", g.Name, f, err)
	}
	for _, n := range g.Nodes {
		l.add(n)
	}
	if l.err != nil {
		return nil, fmt.Errorf("lower graph %s to %s: %w", g.Name, f, l.err)
	}
	return l.Graph(g), nil
}

// lowering copies the nodes of a graph, and rounds.
type lowering struct {
	Rewriter
	format Format
	router map[*Value]bool // computed from the statistics of tiles
	stored map[*Value]bool // values of the graph that are rounded for all who read them
	names  map[string]bool
	ranges map[string]float32 // of values, for a format with a scale
	wide   []string           // nodes whose operands are not rounded

	exact   map[*Value]bool   // values of the lowered graph whose elements the format has
	rounded map[*Value]*Value // of the lowered graph, for operands that are rounded where they are read
	err     error
}

// plan finds the values that are rounded where they are stored.
func (l *lowering) plan(g *Graph) error {
	for _, v := range append(slices.Clone(g.Inputs), g.Constants()...) {
		l.names[v.Name] = true
	}
	for _, n := range g.Nodes {
		if r, ok := n.Op.(Round); ok && r.To != l.format {
			return fmt.Errorf("node %s rounds to %s: the graph has been lowered", n.Name, r.To)
		}
		l.names[n.Name] = true
		for _, v := range n.Outputs {
			l.names[v.Name] = true
		}
		for i, v := range n.Inputs {
			if !slices.Contains(stored, l.format) || !l.point(n, i) {
				continue
			}
			if v = source(v); v.Producer != nil {
				l.stored[v] = true
			}
		}
	}
	return nil
}

// point reports whether operand i of a node is rounded.
func (l *lowering) point(n *Node, i int) bool {
	v := n.Inputs[i]
	if v == nil || v.DType != tensor.Float32 || l.router[n.Inputs[0]] || slices.Contains(l.wide, n.Name) {
		return false
	}
	return slices.ContainsFunc(Points, func(p Point) bool { return p.at(n, i, l.format) })
}

// source follows a value through nodes that give it another shape, and nothing else.
func source(v *Value) *Value {
	for v.Producer != nil {
		switch op := v.Producer.Op.(type) {
		case Reshape:
		case Unary:
			if op.Fn != Identity {
				return v
			}
		default:
			return v
		}
		v = v.Producer.Inputs[0]
	}
	return v
}

// Routed returns the floating-point values that are computed from a TileAggregate, whose products Lower leaves alone. Selection ends
// it: ids are integers.
func (g *Graph) Routed() map[*Value]bool {
	from := map[*Value]bool{}
	for _, n := range g.Nodes {
		_, is := n.Op.(TileAggregate)
		is = is || slices.ContainsFunc(n.Inputs, func(v *Value) bool { return from[v] })
		for _, v := range n.Outputs {
			if is && v.DType.IsFloat() {
				from[v] = true
			}
		}
	}
	return from
}

// add copies a node, its operands rounded where there is a point, and rounds what it computes where that is stored.
func (l *lowering) add(n *Node) {
	operands := l.Operands(n)
	for i, v := range operands {
		if l.point(n, i) {
			operands[i] = l.operand(n, i, v)
		}
	}
	moved := l.CopyWith(n, operands)
	exact := l.keepsExact(moved)
	for i, v := range n.Outputs {
		out := moved.Outputs[i]
		l.exact[out] = exact
		if l.stored[v] && !exact {
			out.Name = l.claim(v.Name + ".unrounded")
			if n.Name == v.Name {
				moved.Name = out.Name
			}
			l.Replace(v, l.round(out, v.Name))
		}
	}
}

// keepsExact reports whether all that a node computes is exact in the format: it moves or selects elements that are.
func (l *lowering) keepsExact(n *Node) bool {
	switch op := n.Op.(type) {
	case Round:
		return true
	case Reshape, Split, Gather, TilePack:
		return l.exact[n.Inputs[0]]
	case Concat:
		return !slices.ContainsFunc(n.Inputs, func(v *Value) bool { return !l.exact[v] })
	case Unary:
		return (op.Fn == Identity || op.Fn == Relu) && l.exact[n.Inputs[0]]
	}
	return false
}

// operand returns the rounded form of a value for those who read it at a point, as operand i of a node of the graph.
func (l *lowering) operand(n *Node, i int, v *Value) *Value {
	if l.exact[v] {
		return v
	}
	if l.rounded[v] == nil {
		name := l.claim(v.Name + "." + string(l.format))
		if !l.format.Scaled() {
			l.rounded[v] = l.round(v, name)
			return l.rounded[v]
		}
		t, axis := l.scale(n, i, v)
		scale := Constant(l.claim(name+".scale"), t)
		l.rounded[v] = l.roundBy(Round{To: l.format, Axis: axis}, name, v, scale)
	}
	return l.rounded[v]
}

// round adds the rounding of a value under a name.
func (l *lowering) round(v *Value, name string) *Value {
	return l.roundBy(Round{To: l.format}, name, v)
}

func (l *lowering) roundBy(op Round, name string, in ...*Value) *Value {
	out := l.Add(name, op, in[0].Type, in...)
	l.exact[out] = true
	return out
}

// claim takes a name that the graph does not have.
func (l *lowering) claim(name string) string {
	if l.names[name] && l.err == nil {
		l.err = fmt.Errorf("the graph has the name %q already", name)
	}
	l.names[name] = true
	return name
}
