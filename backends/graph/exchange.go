package graph

// Exchange returns a graph in which every node has the operator that other gives it; nil leaves its own. The operator takes operands of
// the same types and gives results of the same types. All names stay; constants and inputs are shared with g.
func (g *Graph) Exchange(other func(n *Node) Op) *Graph {
	var r Rewriter
	for _, n := range g.Nodes {
		moved := r.Copy(n)
		if op := other(n); op != nil {
			moved.Op = op
		}
	}
	return r.Graph(g)
}
