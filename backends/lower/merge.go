package lower

import "slices"

// Merge returns a node that stands for several, none of which needs what another computes: it covers, reads and writes what all of them do,
// and is named after the last. The caller puts it in their place (SetNodes).
func Merge(op Op, nodes ...*Node) *Node {
	m := &Node{Name: nodes[len(nodes)-1].Name, Op: op}
	for _, n := range nodes {
		if n.parts == nil {
			m.parts = append(m.parts, part{Node: n})
		}
		m.parts = append(m.parts, n.parts...)
		for _, v := range n.In {
			if v != nil && !slices.Contains(m.In, v) {
				m.In = append(m.In, v)
			}
		}
		for _, v := range n.Out {
			v.Producer = m
			m.Out = append(m.Out, v)
		}
	}
	return m
}
