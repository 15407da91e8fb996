package graph

import (
	"fmt"
	"maps"
	"slices"
)

// A Part is a group of a graph's nodes that is computed by itself, and what of its values is wanted.
type Part struct {
	Nodes   []*Node
	Outputs []*Value // of these nodes
}

// GivenInput names the input that stands for a value of the graph in Apart.
func GivenInput(name string) string { return "given." + name }

// Apart returns a graph that computes parts of g each by itself: what a part reads of another one, or of g's inputs, is an input
// GivenInput(NAME), in the order of first use. Wanted values are outputs under their own names, part by part. What follows from
// constants alone is computed once, for all who read it. Nodes and values keep their names, and Parts lists them. Constants are shared with
// g; there are no taps and no decisions.
//
// It fails where a node is in two parts, or a wanted value is not computed in its part.
func (g *Graph) Apart(parts []Part) (*Graph, error) {
	a := &apart{fixed: fixed(g), of: map[*Node]int{}, given: map[*Value]*Value{}, out: &Graph{Name: g.Name, Metadata: maps.Clone(g.Metadata)}}
	for i, p := range parts {
		names := make([]string, len(p.Nodes))
		for j, n := range p.Nodes {
			if _, twice := a.of[n]; twice {
				return nil, fmt.Errorf("graph %s apart: node %q is in two parts", g.Name, n.Name)
			}
			a.of[n], names[j] = i, n.Name
		}
		a.out.Parts = append(a.out.Parts, names)
	}
	for _, n := range g.Nodes { // in g's order, which is one of execution
		if _, in := a.of[n]; in {
			a.move(n)
		}
	}
	for i, p := range parts {
		for _, v := range p.Outputs {
			if at, in := a.of[v.Producer]; !in || at != i {
				return nil, fmt.Errorf("graph %s apart: the value %q is not computed in its part", g.Name, v.Name)
			}
			a.out.Outputs = append(a.out.Outputs, Port{v.Name, v})
		}
	}
	return a.Graph(a.out), nil
}

// Fixed returns the nodes of g that depend on constants alone: no input changes what they compute.
func (g *Graph) Fixed() []*Node {
	values := fixed(g)
	return slices.DeleteFunc(slices.Clone(g.Nodes), func(n *Node) bool { return !values[n.Outputs[0]] })
}

// fixed returns the values that nodes compute from constants alone.
func fixed(g *Graph) map[*Value]bool {
	values := map[*Value]bool{}
	for _, n := range g.Nodes {
		if slices.ContainsFunc(n.Inputs, func(v *Value) bool { return v != nil && v.Const == nil && !values[v] }) {
			continue
		}
		for _, v := range n.Outputs {
			values[v] = true
		}
	}
	return values
}

// apart maps the values of a graph to those of its parts.
type apart struct {
	Rewriter
	fixed map[*Value]bool
	of    map[*Node]int // the part of a node
	given map[*Value]*Value
	out   *Graph
}

// move copies a node, and first what it reads of constants.
func (a *apart) move(n *Node) {
	if a.Replaced(n.Outputs[0]) {
		return // computed from constants, and read before
	}
	var operands []*Value
	for _, v := range n.Inputs {
		operands = append(operands, a.operand(n, v))
	}
	a.CopyWith(n, operands)
}

// operand returns what a node reads in the place of v.
func (a *apart) operand(n *Node, v *Value) *Value {
	switch {
	case v == nil || v.Const != nil:
		return v
	case a.fixed[v]:
		a.move(v.Producer)
		return a.Value(v)
	case v.Producer != nil && a.together(v.Producer, n):
		return a.Value(v)
	case a.given[v] == nil:
		a.given[v] = &Value{Name: GivenInput(v.Name), Type: v.Type}
		a.out.Inputs = append(a.out.Inputs, a.given[v])
	}
	return a.given[v]
}

// together tells whether two nodes are in one part.
func (a *apart) together(x, y *Node) bool {
	i, in := a.of[x]
	j, also := a.of[y]
	return in && also && i == j
}
