package cuda

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/kernels"
)

// mergeLaunches makes one node of those that one launch computes: convolutions of one geometry and normalisations, whatever their maps, that need
// nothing of each other. To merge nodes is to say that they run at the same time, so it must not make anything late. Every node gets the levels
// at which it may run: not before the longest way from the inputs has led to it, not after the longest way to the outputs has to begin. The
// node whose last level is the earliest fixes a level, and takes along all of its kind that must run then, and of those that may run then as
// many as find room beside them on the device; and so on with those that are left.
func (c *compiler) mergeLaunches(p *lower.Program) {
	l := newLevels(p)
	var open []*lower.Node
	for _, n := range p.Nodes {
		if c.launchKind(n) != "" && l.needed(n) {
			open = append(open, n)
		}
	}
	merged := map[*lower.Node]*lower.Node{} // by its last member; nil for the others
	for len(open) > 0 {
		members := c.takeLaunch(open, l)
		open = slices.DeleteFunc(open, func(n *lower.Node) bool { return slices.Contains(members, n) })
		if len(members) == 1 {
			continue
		}
		for _, n := range members {
			merged[n] = nil
		}
		last := members[len(members)-1]
		merged[last] = c.merge(members)
		l.first[merged[last]] = l.first[last]
	}
	var nodes []*lower.Node
	for _, n := range p.Nodes {
		if whole, ok := merged[n]; !ok {
			nodes = append(nodes, n)
		} else if whole != nil {
			nodes = append(nodes, whole)
		}
	}
	slices.SortStableFunc(nodes, func(a, b *lower.Node) int { return l.first[a] - l.first[b] })
	p.SetNodes(nodes)
}

// takeLaunch fixes the level of the open node whose last level is the earliest, and of those that share its launch, and returns them in the order of
// the program.
func (c *compiler) takeLaunch(open []*lower.Node, l *levels) []*lower.Node {
	first := slices.MinFunc(open, func(a, b *lower.Node) int { return l.last[a] - l.last[b] })
	kind, level, room := c.launchKind(first), l.last[first], 1.0
	taken := map[*lower.Node]bool{}
	take := func(n *lower.Node) {
		taken[n] = true
		room -= c.share(n)
		l.fix(n, level)
	}
	for _, n := range open {
		if c.launchKind(n) == kind && l.first[n] <= level && l.last[n] == level {
			take(n)
		}
	}
	for _, n := range open {
		if !taken[n] && c.launchKind(n) == kind && l.first[n] <= level && c.share(n) <= room {
			take(n)
		}
	}
	return slices.DeleteFunc(slices.Clone(open), func(n *lower.Node) bool { return !taken[n] })
}

// share returns how much of the device the blocks of a node occupy at once, for one image.
func (c *compiler) share(n *lower.Node) float64 {
	if m := c.norms[n]; m != nil {
		return float64(cells(m.y)) / float64(kernels.ApplyCells*applyBlocks*c.properties.Multiprocessors)
	}
	w := c.workOf(c.convs[n])
	k, _ := kernels.Choose(c.properties, w)
	return float64(w.Tiles*kernels.Tasks(k, w.Out)) / float64(c.properties.Multiprocessors*k.Blocks*k.Teams)
}

// applyBlocks is how many blocks of norm_apply a multiprocessor holds, at least.
const applyBlocks = 4

// launchKind tells which nodes can share a launch with n: those of the same kind, in one part of a graph that was taken apart; "" means none.
func (c *compiler) launchKind(n *lower.Node) string {
	part := c.partOf[n.Covers()[0]]
	if c.norms[n] != nil {
		return fmt.Sprint("norm", c.norms[n].y.Shape[0], " ", part)
	}
	v := c.convs[n]
	if v == nil {
		return ""
	}
	// Maps go on to the next launch of the network, planes leave it: they are not wanted at the same time.
	kind := fmt.Sprint(v.Geometry, v.y.Shape[0], v.store.as != nil, " ", part)
	if k, ok := kernels.Choose(c.properties, c.workOf(v)); ok && k.Resident { // which is for these channels alone
		kind += k.Name
	}
	return kind
}

func (c *compiler) merge(members []*lower.Node) *lower.Node {
	op := members[0].Op
	if c.convs[members[0]] != nil {
		op = c.convOp()
	}
	n := lower.Merge(op, members...)
	c.groups[n] = members
	return n
}

// members returns what a node stands for.
func (c *compiler) members(n *lower.Node) []*lower.Node {
	if members := c.groups[n]; members != nil {
		return members
	}
	return []*lower.Node{n}
}

// levels are the places of nodes in time, if each takes as long as any other.
type levels struct {
	nodes       []*lower.Node
	before      map[*lower.Node][]*lower.Node
	fixed       map[*lower.Node]int
	first, last map[*lower.Node]int // at which a node may run
	distance    map[*lower.Node]int
}

func newLevels(p *lower.Program) *levels {
	l := &levels{
		nodes: p.Nodes, before: map[*lower.Node][]*lower.Node{}, fixed: map[*lower.Node]int{},
		first: map[*lower.Node]int{}, last: map[*lower.Node]int{}, distance: distances(p),
	}
	for _, n := range p.Nodes {
		for _, v := range n.In {
			if v != nil && v.Producer != nil {
				l.before[n] = append(l.before[n], v.Producer)
			}
		}
	}
	l.update()
	return l
}

// needed tells whether an output needs a node: nodes for taps alone take no part.
func (l *levels) needed(n *lower.Node) bool { return l.distance[n] > 0 }

// fix lets a node run at one level alone.
func (l *levels) fix(n *lower.Node, level int) {
	l.fixed[n] = level
	l.update()
}

// update finds the levels from the order of the nodes and those that are fixed.
func (l *levels) update() {
	end := 0
	for _, n := range l.nodes {
		level := 0
		for _, b := range l.before[n] {
			level = max(level, l.first[b]+1)
		}
		if at, ok := l.fixed[n]; ok {
			level = max(level, at)
		}
		l.first[n] = level
		if l.needed(n) {
			end = max(end, level)
		}
	}
	for _, n := range l.nodes {
		l.last[n] = end
	}
	for _, n := range slices.Backward(l.nodes) {
		if at, ok := l.fixed[n]; ok {
			l.last[n] = min(l.last[n], at)
		}
		for _, b := range l.before[n] {
			if l.needed(n) {
				l.last[b] = min(l.last[b], l.last[n]-1)
			}
		}
	}
}
