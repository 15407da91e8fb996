package graph

// A Rewriter makes a graph of another one, node by node in its order. What a pass does not change it copies: names and types stay, inputs and constants are
// shared, and nodes and their results are new, so that the graph itself never changes. The zero value is ready.
type Rewriter struct {
	values map[*Value]*Value
	nodes  []*Node
}

// Value returns what stands for a value of the graph: a result of a node that was copied, or what Replace said; else the value itself, such as an input, a
// constant, or nil.
func (r *Rewriter) Value(v *Value) *Value {
	if by := r.values[v]; by != nil {
		return by
	}
	return v
}

// Replace lets a value stand for one of the graph, wherever that is read from now on.
func (r *Rewriter) Replace(v, by *Value) {
	if r.values == nil {
		r.values = map[*Value]*Value{}
	}
	r.values[v] = by
}

// Replaced tells whether something stands for a value.
func (r *Rewriter) Replaced(v *Value) bool { return r.values[v] != nil }

// Operands returns what stands for the operands of a node.
func (r *Rewriter) Operands(n *Node) []*Value {
	in := make([]*Value, len(n.Inputs))
	for i, v := range n.Inputs {
		in[i] = r.Value(v)
	}
	return in
}

// Moved returns a copy of a node with other operands, which Append has to make part of the graph. Its results stand for those of the node; but one that
// something stands for already is computed once more, as NAME.unused, for nobody.
func (r *Rewriter) Moved(n *Node, operands []*Value) *Node {
	moved := &Node{Name: n.Name, Op: n.Op, Inputs: operands}
	for _, v := range n.Outputs {
		out := &Value{Name: v.Name, Type: v.Type, Producer: moved}
		if r.Replaced(v) {
			out.Name += ".unused"
		} else {
			r.Replace(v, out)
		}
		moved.Outputs = append(moved.Outputs, out)
	}
	return moved
}

// Append adds nodes behind those that are there.
func (r *Rewriter) Append(nodes ...*Node) { r.nodes = append(r.nodes, nodes...) }

// Copy appends a copy of a node, and returns it.
func (r *Rewriter) Copy(n *Node) *Node { return r.CopyWith(n, r.Operands(n)) }

// CopyWith is Copy with other operands.
func (r *Rewriter) CopyWith(n *Node, operands []*Value) *Node {
	moved := r.Moved(n, operands)
	r.Append(moved)
	return moved
}

// Add appends a node with one result, which has its name, and returns that.
func (r *Rewriter) Add(name string, op Op, t Type, operands ...*Value) *Value {
	n := &Node{Name: name, Op: op, Inputs: operands}
	v := &Value{Name: name, Type: t, Producer: n}
	n.Outputs = []*Value{v}
	r.Append(n)
	return v
}

// Graph returns the graph with the nodes that were appended. Its outputs, taps and decisions are what stands for those of g.
func (r *Rewriter) Graph(g *Graph) *Graph {
	out := *g
	out.Nodes, out.Outputs, out.Taps, out.Decisions = r.nodes, r.ports(g.Outputs), r.ports(g.Taps), r.decisions(g.Decisions)
	return &out
}

func (r *Rewriter) ports(list []Port) (out []Port) {
	for _, p := range list {
		out = append(out, Port{p.Name, r.Value(p.Value)})
	}
	return out
}

func (r *Rewriter) decisions(list []Decision) (out []Decision) {
	for _, d := range list {
		moved := Decision{Value: r.Value(d.Value), Count: r.Value(d.Count), Limit: d.Limit}
		for _, v := range d.Scores {
			moved.Scores = append(moved.Scores, r.Value(v))
		}
		out = append(out, moved)
	}
	return out
}
