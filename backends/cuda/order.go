package cuda

import (
	"cmp"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/lower"
)

// orderByLevel puts nodes that need nothing of each other side by side: by their distance from the inputs. In the order of the graph branches come
// one after the other, the second one would take the memory that the first one left, and so would have to wait for it. Nodes for taps alone come
// last, in the order that they have, so that a tap changes nothing before them.
func orderByLevel(p *lower.Program) {
	distance, level := distances(p), map[*lower.Node]int{}
	for i, n := range p.Nodes {
		if distance[n] == 0 {
			level[n] = len(p.Nodes) + i
			continue
		}
		for _, v := range n.In {
			if v != nil && v.Producer != nil {
				level[n] = max(level[n], level[v.Producer]+1)
			}
		}
	}
	slices.SortStableFunc(p.Nodes, func(a, b *lower.Node) int { return cmp.Compare(level[a], level[b]) })
}

// distances returns of each node the number of nodes on the longest way from it to an output, itself included. It is 0 for nodes for taps alone.
func distances(p *lower.Program) map[*lower.Node]int {
	distance := map[*lower.Node]int{}
	for _, o := range p.Outputs {
		if n := o.Value.Producer; n != nil && !strings.HasPrefix(o.Name, "tap.") {
			distance[n] = max(distance[n], 1)
		}
	}
	for _, n := range slices.Backward(p.Nodes) {
		if distance[n] == 0 {
			continue
		}
		for _, v := range n.In {
			if v != nil && v.Producer != nil {
				distance[v.Producer] = max(distance[v.Producer], distance[n]+1)
			}
		}
	}
	return distance
}
