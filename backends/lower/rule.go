package lower

import (
	"maps"
	"slices"
)

// A Rule says which chains of nodes an executor computes in one step. The rules of an executor are applied in order, each to all
// nodes, and later ones may match what earlier ones made: the parts of a fused node keep their roles when it is fused again.
type Rule struct {
	Name    string           // operator type of the fused node
	Pattern Pattern          // of the last node of the chain and of what leads to it
	Where   func(Match) bool // a further condition, such as on shapes; nil for none

	// Unstored lists the roles of nodes whose results the executor's step never has in a form that it could store. A chain in which
	// one of these is tapped is not fused, and the program says so in Split.
	Unstored []string
}

// A Pattern describes a value by the node that computes it and by that node's operands.
type Pattern struct {
	Op       string           // operator type of the node; "" is any value, also one that no node computes
	Or       []string         // more operator types that the node may have
	Role     string           // name for the node, or for the value where Op is "": one role is one node or one value
	Output   int              // which output of the node the value is
	In       []Pattern        // the first operands; what follows them may be anything
	Commutes bool             // the two operands may come in either order; In may describe one of them alone
	Where    func(*Node) bool // a further condition, such as on parameters; nil for none
}

// Fused is the operator of a node that covers several nodes of the graph: the name of its rule.
type Fused string

// OpType implements Op.
func (f Fused) OpType() string { return string(f) }

// A Match is one place where a pattern fits.
type Match struct {
	nodes  map[string]*Node
	values map[string]*Value
	all    []*Node // the last one first; a node in two places stands here once
}

// Node returns the node of that role, or nil.
func (m Match) Node(role string) *Node { return m.nodes[role] }

// Value returns the value of that role, or nil.
func (m Match) Value(role string) *Value { return m.values[role] }

// Joints names the nodes of the graph at which the chain is joined: those that read what another node of the match computes. Of nodes that
// are fused already it is the first.
func (m Match) Joints() []string {
	var names []string
	for _, n := range m.all {
		if !slices.ContainsFunc(n.In, func(v *Value) bool { return v != nil && slices.Contains(m.all, v.Producer) }) {
			continue
		}
		if len(n.parts) > 0 {
			n = n.parts[0].Node
		}
		names = append(names, n.Name)
	}
	return names
}

// match looks for a way in which the pattern fits, with n as the last node, that accept agrees to; operands that commute are tried
// in the given order first.
func (p *Pattern) match(n *Node, accept func(Match) bool) (found Match, ok bool) {
	ok = p.fitNode(n, Match{}, func(m Match) bool {
		found = m
		return accept(m)
	})
	return found, ok
}

// fitNode tells whether n is a node of the pattern and the rest fits, too: then is asked with n and its operands added to m.
func (p *Pattern) fitNode(n *Node, m Match, then func(Match) bool) bool {
	if op := n.Op.OpType(); op != p.Op && !slices.Contains(p.Or, op) || len(n.In) < len(p.In) || p.Where != nil && !p.Where(n) {
		return false
	}
	if known := m.nodes[p.Role]; known != nil {
		return known == n && then(m)
	}
	m.nodes = with(m.nodes, p.Role, n)
	m.all = append(slices.Clip(m.all), n)
	return p.fitOperands(n.In, m, then) || p.Commutes && len(n.In) > 1 && p.fitOperands([]*Value{n.In[1], n.In[0]}, m, then)
}

func (p *Pattern) fitOperands(in []*Value, m Match, then func(Match) bool) bool {
	for i := len(p.In) - 1; i >= 0; i-- {
		next := then
		then = func(m Match) bool { return p.In[i].fitValue(in[i], m, next) }
	}
	return then(m)
}

func (p *Pattern) fitValue(v *Value, m Match, then func(Match) bool) bool {
	switch {
	case v == nil:
		return false
	case p.Op != "":
		from := v.Producer
		return from != nil && p.Output < len(from.Out) && from.Out[p.Output] == v && p.fitNode(from, m, then)
	case m.values[p.Role] != nil:
		return m.values[p.Role] == v && then(m)
	}
	m.values = with(m.values, p.Role, v)
	return then(m)
}

// with returns a copy of a map with one more entry: another way to fit goes on from the map as it was.
func with[V any](m map[string]V, key string, v V) map[string]V {
	out := map[string]V{key: v}
	maps.Copy(out, m)
	return out
}
