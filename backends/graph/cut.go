package graph

import (
	"fmt"
	"maps"
	"slices"
)

// Cut returns the part of a graph between values: the outputs, computed from the inputs, which become inputs of the new graph
// under their own names. An output is named after its value. What the outputs need and the inputs do not give is an error.
// Nodes that the cut leaves as they are, and constants, are shared with g.
func (g *Graph) Cut(inputs, outputs []*Value) (*Graph, error) {
	c := cutter{g: g}
	out := &Graph{Name: g.Name, Metadata: map[string]string{}, Calibration: g.Calibration}
	maps.Copy(out.Metadata, g.Metadata)
	for _, v := range inputs {
		if v.Const != nil {
			return nil, fmt.Errorf("cut of graph %s: the input %q is a constant", g.Name, v.Name)
		}
		if c.Replaced(v) {
			return nil, fmt.Errorf("cut of graph %s: the input %q is named twice", g.Name, v.Name)
		}
		in := &Value{Name: v.Name, Type: v.Type}
		c.Replace(v, in)
		out.Inputs = append(out.Inputs, in)
	}
	for i, v := range outputs {
		if slices.Contains(outputs[:i], v) {
			return nil, fmt.Errorf("cut of graph %s: the output %q is named twice", g.Name, v.Name)
		}
		if slices.Contains(inputs, v) || v.Producer == nil {
			return nil, fmt.Errorf("cut of graph %s: the output %q is not computed between the inputs and the outputs", g.Name, v.Name)
		}
		out.Outputs = append(out.Outputs, Port{v.Name, v})
	}
	for _, n := range c.between(out.Outputs) {
		if err := c.move(n); err != nil {
			return nil, err
		}
	}
	return c.Graph(out), nil
}

// A cutter copies nodes of a graph whose inputs it has replaced.
type cutter struct {
	Rewriter
	g *Graph
}

// between lists the nodes that the ports need, in order, as far as the inputs do not replace them.
func (c *cutter) between(ports []Port) []*Node {
	need := map[*Node]bool{}
	want := func(v *Value) {
		if v != nil && v.Producer != nil && !c.Replaced(v) {
			need[v.Producer] = true
		}
	}
	for _, p := range ports {
		want(p.Value)
	}
	for _, n := range slices.Backward(c.g.Nodes) {
		if need[n] {
			for _, v := range n.Inputs {
				want(v)
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(c.g.Nodes), func(n *Node) bool { return !need[n] })
}

// move copies a node, all of whose operands have to be there.
func (c *cutter) move(n *Node) error {
	for _, v := range n.Inputs {
		if v != nil && v.Const == nil && !c.Replaced(v) {
			return fmt.Errorf("cut of graph %s: node %q needs the value %q, which no input gives", c.g.Name, n.Name, v.Name)
		}
	}
	c.Copy(n)
	return nil
}
