package graph

// Exchange returns a graph in which every node has the operator that other gives it; nil leaves its own. The operator takes operands of
// the same types and gives results of the same types. All names stay; constants and inputs are shared with g.
func (g *Graph) Exchange(other func(n *Node) Op) *Graph {
	values := map[*Value]*Value{}
	value := func(v *Value) *Value {
		if moved := values[v]; moved != nil {
			return moved
		}
		return v // an input, a constant, or absent
	}
	ports := func(list []Port) (out []Port) {
		for _, p := range list {
			out = append(out, Port{p.Name, value(p.Value)})
		}
		return out
	}
	out := *g
	out.Nodes = make([]*Node, len(g.Nodes))
	for i, n := range g.Nodes {
		moved := &Node{Name: n.Name, Op: n.Op}
		if op := other(n); op != nil {
			moved.Op = op
		}
		for _, v := range n.Inputs {
			moved.Inputs = append(moved.Inputs, value(v))
		}
		for _, v := range n.Outputs {
			values[v] = &Value{Name: v.Name, Type: v.Type, Producer: moved}
			moved.Outputs = append(moved.Outputs, values[v])
		}
		out.Nodes[i] = moved
	}
	out.Outputs, out.Taps, out.Decisions = ports(g.Outputs), ports(g.Taps), mapped(g.Decisions, value)
	return &out
}
