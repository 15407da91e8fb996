package lower

import (
	"cmp"
	"slices"
)

// A part is a node of the graph that a fused node covers, under the role that its rule gives it.
type part struct {
	role string
	*Node
}

// Split says that a chain was not fused because of a tap.
type Split struct {
	Node, Rule string // the chain's last node and the rule that fits it
	Value      string // the tapped value that the fused step could not have stored
}

// Fuse rewrites chains of nodes into single ones. A chain is fused only when no node outside reads what is between its nodes. Where
// an output, a tap, or a node for the sake of a tap reads such a value, the fused node stores it aside. Whether a chain is fused does
// therefore not depend on the taps, unless a rule says that it cannot store the value.
//
// The last node of a chain becomes the fused one: it reads the inputs of the whole chain, all of which come earlier, and the rest is
// dead. What reads a value aside comes later, because the nodes for taps alone come last.
func (p *Program) Fuse(rules []Rule) {
	for i := range rules {
		p.apply(&rules[i])
		p.dropDead()
	}
}

func (p *Program) apply(r *Rule) {
	readers, kept := p.readers()
	for _, n := range p.Nodes {
		if n.forTap {
			continue
		}
		m, ok := r.Pattern.match(n, func(m Match) bool { return (r.Where == nil || r.Where(m)) && closed(m, readers) })
		if !ok {
			continue
		}
		if v := unstored(r, m, kept); v != nil {
			p.Split = append(p.Split, Split{Node: n.Name, Rule: r.Name, Value: v.Name})
			continue
		}
		n.fuse(r.Name, m, kept)
	}
}

// readers lists who reads each value, and which values are kept besides for outputs, taps and the nodes for taps alone.
func (p *Program) readers() (nodes map[*Value][]*Node, kept map[*Value]bool) {
	nodes, kept = map[*Value][]*Node{}, map[*Value]bool{}
	for _, n := range p.Nodes {
		for _, v := range n.In {
			if n.forTap {
				kept[v] = true
			} else {
				nodes[v] = append(nodes[v], n)
			}
		}
	}
	for _, o := range p.Outputs {
		kept[o.Value] = true
	}
	return nodes, kept
}

// closed tells whether nothing but the nodes of the match reads what all of them but the last compute, and whether the values that
// the pattern leaves open come from outside.
func closed(m Match, readers map[*Value][]*Node) bool {
	for _, n := range m.all[1:] {
		for _, v := range n.results() { // what it stores aside is read by its own parts, and for taps
			for _, r := range readers[v] {
				if !slices.Contains(m.all, r) {
					return false
				}
			}
		}
	}
	for _, v := range m.values {
		if slices.Contains(m.all, v.Producer) {
			return false
		}
	}
	return true
}

// unstored returns a value that is kept and that the rule cannot store, or nil.
func unstored(r *Rule, m Match, kept map[*Value]bool) *Value {
	for _, role := range r.Unstored {
		n := m.nodes[role]
		if n == nil {
			continue
		}
		for _, v := range n.results() {
			if kept[v] {
				return v
			}
		}
	}
	return nil
}

// fuse makes n, the last node of a match, cover all of its nodes.
func (n *Node) fuse(name string, m Match, kept map[*Value]bool) {
	var parts []part
	for role, node := range m.nodes {
		switch {
		case node.parts != nil:
			parts = append(parts, node.parts...)
		case node == n:
			last := *n
			parts = append(parts, part{role, &last})
		default:
			parts = append(parts, part{role, node})
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.index, b.index) })
	n.Op, n.parts = Fused(name), parts
	n.In, n.Out = outside(parts), slices.Clone(parts[len(parts)-1].Out)
	for _, p := range parts[:len(parts)-1] {
		for _, v := range p.Out {
			if kept[v] {
				v.Producer = n
				n.Out = append(n.Out, v)
			}
		}
	}
}

// outside lists, each once, what the parts read and none of them computes.
func outside(parts []part) []*Value {
	var in []*Value
	seen := map[*Value]bool{nil: true}
	for _, p := range parts {
		for _, v := range p.Out {
			seen[v] = true
		}
	}
	for _, p := range parts {
		for _, v := range p.In {
			if !seen[v] {
				seen[v] = true
				in = append(in, v)
			}
		}
	}
	return in
}

// Part returns the node of the graph that a fused node covers in a role, or nil.
func (n *Node) Part(role string) *Node {
	for _, p := range n.parts {
		if p.role == role {
			return p.Node
		}
	}
	return nil
}

// Parts lists the nodes of the graph that n stands for, in the order of execution: n itself where it is not a fused one.
func (n *Node) Parts() []*Node {
	if n.parts == nil {
		return []*Node{n}
	}
	var nodes []*Node
	for _, p := range n.parts {
		nodes = append(nodes, p.Node)
	}
	return nodes
}

// Covers lists the names of the graph's nodes that n stands for, in order.
func (n *Node) Covers() []string {
	var names []string
	for _, p := range n.Parts() {
		names = append(names, p.Name)
	}
	return names
}

// ForTaps tells whether no output of the graph needs the node.
func (n *Node) ForTaps() bool { return n.forTap }

// results lists the outputs that are not stored aside.
func (n *Node) results() []*Value {
	if n.parts == nil {
		return n.Out
	}
	return n.Out[:len(n.parts[len(n.parts)-1].Out)]
}

// Aside lists the values that a fused node stores besides its results, because they are tapped.
func (n *Node) Aside() []*Value { return n.Out[len(n.results()):] }

// Stores tells whether v is one of the node's outputs.
func (n *Node) Stores(v *Value) bool { return slices.Contains(n.Out, v) }

// PartsAside lists, in order, the parts that an executor may compute one by one to store the values aside, beginning from the values
// in have, which its step has anyway. between are the values that they read or write and the node does not store.
func (n *Node) PartsAside(have ...*Value) (nodes []*Node, between []*Value) {
	if n.parts == nil {
		return nil, nil
	}
	wanted := map[*Value]bool{}
	for _, v := range n.Aside() {
		wanted[v] = true
	}
	for _, p := range slices.Backward(n.parts[:len(n.parts)-1]) {
		if !slices.ContainsFunc(p.Out, func(v *Value) bool { return wanted[v] && !slices.Contains(have, v) }) {
			continue
		}
		nodes = append(nodes, p.Node)
		for _, v := range append(slices.Clone(p.In), p.Out...) {
			wanted[v] = true
		}
	}
	slices.Reverse(nodes)
	for _, p := range n.parts {
		for _, v := range p.Out {
			if wanted[v] && !n.Stores(v) {
				between = append(between, v)
			}
		}
	}
	return nodes, between
}
