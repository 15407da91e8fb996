package graph

import (
	"fmt"
	"slices"
)

// Cut returns the part of a graph between values: the outputs, computed from the inputs, which become inputs of the new graph
// under their own names. An output is named after its value. What the outputs need and the inputs do not give is an error.
// Nodes that the cut leaves as they are, and constants, are shared with g.
func (g *Graph) Cut(inputs, outputs []*Value) (*Graph, error) {
	c := cutter{g: g, values: map[*Value]*Value{}}
	out := &Graph{Name: g.Name, Metadata: map[string]string{}, Calibration: g.Calibration}
	for k, v := range g.Metadata {
		out.Metadata[k] = v
	}
	for _, v := range inputs {
		if v.Const != nil {
			return nil, fmt.Errorf("cut of graph %s: the input %q is a constant", g.Name, v.Name)
		}
		if c.values[v] != nil {
			return nil, fmt.Errorf("cut of graph %s: the input %q is named twice", g.Name, v.Name)
		}
		in := &Value{Name: v.Name, Type: v.Type}
		c.values[v] = in
		out.Inputs = append(out.Inputs, in)
	}
	var ports []Port
	for i, v := range outputs {
		if slices.Contains(outputs[:i], v) {
			return nil, fmt.Errorf("cut of graph %s: the output %q is named twice", g.Name, v.Name)
		}
		if slices.Contains(inputs, v) || v.Producer == nil {
			return nil, fmt.Errorf("cut of graph %s: the output %q is not computed between the inputs and the outputs", g.Name, v.Name)
		}
		ports = append(ports, Port{v.Name, v})
	}
	for _, n := range c.between(ports) {
		moved, err := c.move(n)
		if err != nil {
			return nil, err
		}
		out.Nodes = append(out.Nodes, moved)
	}
	for _, p := range ports {
		out.Outputs = append(out.Outputs, Port{p.Name, c.values[p.Value]})
	}
	return out, nil
}

// cutter maps the values of a graph to those of its cut.
type cutter struct {
	g      *Graph
	values map[*Value]*Value
}

// value returns what stands for v after the cut: a constant stands for itself.
func (c *cutter) value(v *Value) *Value {
	if v == nil || v.Const != nil {
		return v
	}
	return c.values[v]
}

func (c *cutter) ports(list []Port) []Port {
	var out []Port
	for _, p := range list {
		out = append(out, Port{p.Name, c.value(p.Value)})
	}
	return out
}

// between lists the nodes that the ports need, in order, as far as the inputs do not replace them.
func (c *cutter) between(ports []Port) []*Node {
	need := map[*Node]bool{}
	want := func(v *Value) {
		if v != nil && v.Producer != nil && c.values[v] == nil {
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

// move copies a node with its operands replaced.
func (c *cutter) move(n *Node) (*Node, error) {
	moved := &Node{Name: n.Name, Op: n.Op}
	for _, v := range n.Inputs {
		switch {
		case v == nil || v.Const != nil:
			moved.Inputs = append(moved.Inputs, v)
		case c.values[v] != nil:
			moved.Inputs = append(moved.Inputs, c.values[v])
		default:
			return nil, fmt.Errorf("cut of graph %s: node %q needs the value %q, which no input gives", c.g.Name, n.Name, v.Name)
		}
	}
	for _, v := range n.Outputs {
		out := &Value{Name: v.Name, Type: v.Type, Producer: moved}
		if c.values[v] == nil { // a value that is an input already is computed once more, for nobody
			c.values[v] = out
		} else {
			out.Name += ".unused"
		}
		moved.Outputs = append(moved.Outputs, out)
	}
	return moved, nil
}
