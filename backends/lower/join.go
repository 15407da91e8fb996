package lower

import (
	"cmp"
	"maps"
	"slices"
)

// Join makes one node of several, under the roles that they shall have in it, and puts it where the last of them was. Its outputs are those of the
// last one, and then all that nodes outside, outputs and taps read of the others. Unlike a Rule it may have many results; the caller sees to it that
// no node outside needs what one of them computes for what another one reads, and that none of them is there for taps alone.
func (p *Program) Join(op Op, members map[string]*Node) *Node {
	var parts []part
	for role, n := range members {
		if n.parts != nil {
			parts = append(parts, n.parts...)
			continue
		}
		parts = append(parts, part{role, n})
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.index, b.index) })
	all := slices.Collect(maps.Values(members))
	last := slices.MaxFunc(all, func(a, b *Node) int { return cmp.Compare(a.index, b.index) })
	joined := &Node{Name: last.Name, Op: op, In: outside(parts), Out: slices.Clone(last.Out), parts: parts, index: last.index}
	read := p.readOutside(all)
	for _, x := range parts {
		for _, v := range x.Out {
			if read[v] && !slices.Contains(joined.Out, v) {
				joined.Out = append(joined.Out, v)
			}
		}
	}
	for _, v := range joined.Out {
		v.Producer = joined
	}
	nodes := slices.DeleteFunc(slices.Clone(p.Nodes), func(n *Node) bool { return n != last && slices.Contains(all, n) })
	nodes[slices.Index(nodes, last)] = joined
	p.SetNodes(executable(nodes))
	return joined
}

// readOutside tells which values nodes other than the given ones, outputs and taps read.
func (p *Program) readOutside(nodes []*Node) map[*Value]bool {
	read := map[*Value]bool{}
	for _, n := range p.Nodes {
		if slices.Contains(nodes, n) {
			continue
		}
		for _, v := range n.In {
			read[v] = true
		}
	}
	for _, o := range p.Outputs {
		read[o.Value] = true
	}
	return read
}

// executable puts nodes into an order of execution, which is the given one but for those that have to wait.
func executable(nodes []*Node) []*Node {
	var ordered []*Node
	done := map[*Node]bool{}
	var visit func(n *Node)
	visit = func(n *Node) {
		if n == nil || done[n] {
			return
		}
		done[n] = true
		for _, v := range n.In {
			if v != nil {
				visit(v.Producer)
			}
		}
		ordered = append(ordered, n)
	}
	for _, n := range nodes {
		visit(n)
	}
	return ordered
}
