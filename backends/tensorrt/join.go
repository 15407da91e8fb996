package tensorrt

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
)

// mapsField is the attribute of a plugin that says of how many independent maps a node is: n times its first operand, n times its second one, and so on.
const mapsField = "maps"

// mostJoined is the most maps of a node (kMostNormMaps and kMostLogits in kernels/tensorrt).
const mostJoined = 32

// A group is nodes of a plugin that one node computes.
type group []*graph.Node

// join makes one node of those of a plugin with the field that need nothing of each other: the small maps of a pyramid take launches more than arithmetic. Of
// fusions those of nodes that are joined become one; it has the name of the node's first output. Nodes with a result in low, that of the narrow type, and
// others stay apart.
func join(g *graph.Graph, fusions []fusion, f Facts, low map[*graph.Value]bool) (*graph.Graph, []fusion) {
	joins := map[string]bool{}
	for _, p := range f.Plugins {
		joins[p.Name] = slices.Contains(p.Fields, mapsField)
	}
	j := newJoiner(g)
	j.low = low
	for _, n := range g.Nodes {
		if joins[n.Op.OpType()] {
			j.add(n)
		}
	}
	if len(j.groups) == 0 {
		return g, fusions
	}
	out := *g
	out.Nodes = j.ordered()
	var joined []fusion
	for _, group := range j.groups {
		made := fusion{name: group[0].Name}
		for _, n := range group {
			made.nodes = append(made.nodes, coveredBy(n, fusions)...)
		}
		joined = append(joined, made)
	}
	return &out, joined
}

func coveredBy(n *graph.Node, fusions []fusion) []string {
	for _, f := range fusions {
		if f.name == n.Name {
			return f.nodes
		}
	}
	return []string{n.Name}
}

// A joiner finds groups such that no node of a group needs another one of it, be it by way of other groups.
type joiner struct {
	nodes    []*graph.Node
	producer map[*graph.Value]*graph.Node
	low      map[*graph.Value]bool
	groups   []group
	of       map[*graph.Node]int // the group of a node
}

func newJoiner(g *graph.Graph) *joiner {
	j := &joiner{nodes: g.Nodes, producer: map[*graph.Value]*graph.Node{}, of: map[*graph.Node]int{}}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			j.producer[v] = n
		}
	}
	return j
}

// add puts a node into the first group that it fits, or into one of its own.
func (j *joiner) add(n *graph.Node) {
	for i, group := range j.groups {
		if len(group) < mostJoined && j.alike(group[0], n) && !j.needs([]*graph.Node{n}, group) && !j.needs(group, []*graph.Node{n}) {
			j.groups[i] = append(group, n)
			j.of[n] = i
			return
		}
	}
	j.of[n] = len(j.groups)
	j.groups = append(j.groups, group{n})
}

// alike tells whether two nodes differ in nothing that a joined node has once: attributes, batch, type.
func (j *joiner) alike(a, b *graph.Node) bool {
	x, y := a.Op.(graph.Opaque), b.Op.(graph.Opaque)
	return x.Type == y.Type && slices.EqualFunc(x.Attributes, y.Attributes, slices.Equal) && a.Inputs[0].Shape[0] == b.Inputs[0].Shape[0] && j.low[a.Outputs[0]] == j.low[b.Outputs[0]] &&
		len(a.Inputs) == len(b.Inputs)
}

// needs tells whether one of some nodes needs another one, itself not counted: a group is needed as a whole.
func (j *joiner) needs(nodes, others []*graph.Node) bool {
	seen := map[*graph.Node]bool{}
	var walk func(*graph.Node) bool
	walk = func(n *graph.Node) bool {
		for _, before := range j.before(n) {
			if seen[before] {
				continue
			}
			seen[before] = true
			if slices.Contains(others, before) || walk(before) {
				return true
			}
		}
		return false
	}
	return slices.ContainsFunc(nodes, walk)
}

// before lists the nodes that a node reads, and with one of a group all of it.
func (j *joiner) before(n *graph.Node) []*graph.Node {
	var list []*graph.Node
	for _, v := range n.Inputs {
		p := j.producer[v]
		if p == nil {
			continue
		}
		if i, ok := j.of[p]; ok {
			list = append(list, j.groups[i]...)
			continue
		}
		list = append(list, p)
	}
	return list
}

// ordered returns the nodes with joined ones in the place of groups, each behind what it reads, else as they were.
func (j *joiner) ordered() []*graph.Node {
	var list []*graph.Node
	done := map[*graph.Node]bool{}
	var put func(*graph.Node)
	put = func(n *graph.Node) {
		if done[n] {
			return
		}
		members := group{n}
		if i, ok := j.of[n]; ok {
			members = j.groups[i]
		}
		for _, m := range members {
			done[m] = true
		}
		for _, m := range members {
			for _, before := range j.before(m) {
				put(before)
			}
		}
		list = append(list, members.node())
	}
	for _, n := range j.nodes {
		put(n)
	}
	return list
}

// node returns the node that computes a group.
func (g group) node() *graph.Node {
	if len(g) == 1 {
		return g[0]
	}
	made := &graph.Node{Name: g[0].Name}
	for operand := range g[0].Inputs {
		for _, n := range g {
			made.Inputs = append(made.Inputs, n.Inputs[operand])
		}
	}
	var types []graph.Type
	for _, n := range g {
		made.Outputs = append(made.Outputs, n.Outputs[0])
		types = append(types, n.Outputs[0].Type)
	}
	joined := onnx.Plugin(g[0].Op.OpType(), []onnx.Attribute{{Name: mapsField, Value: int64(len(g))}}, types...)
	own := g[0].Op.(graph.Opaque).Attributes
	joined.Attributes = append(joined.Attributes[:1:1], own...) // these have the plugin's namespace and version
	made.Op = joined
	return made
}
