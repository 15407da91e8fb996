package tensorrt

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
)

// A planner lays the nodes of a graph over the layers of its engine.
type planner struct {
	graph    *graph.Graph
	nodes    map[string]*graph.Node
	layerOf  map[*graph.Node]int // see place
	returned map[*graph.Value]bool
	readers  map[*graph.Value][]*graph.Node
}

func newPlanner(g *graph.Graph, layers []Layer) *planner {
	p := &planner{graph: g, nodes: map[string]*graph.Node{}, layerOf: map[*graph.Node]int{}, returned: map[*graph.Value]bool{}, readers: map[*graph.Value][]*graph.Node{}}
	for _, n := range g.Nodes {
		p.nodes[n.Name] = n
		for _, v := range n.Inputs {
			p.readers[v] = append(p.readers[v], n)
		}
	}
	for _, out := range g.Outputs {
		p.returned[out.Value] = true
	}
	p.place(layers)
	return p
}

// place chooses the layer of every node: the last that it is part of, as one may be computed in several, unless that comes after a reader. The library
// computes a node twice where that is cheaper than to keep its result, such as for an output that comes last; what its readers read came before them.
func (p *planner) place(layers []Layer) {
	parts := map[*graph.Node][]int{}
	for i, l := range layers {
		for _, name := range l.Nodes {
			if n := p.node(name); n != nil {
				parts[n] = append(parts[n], i)
			}
		}
	}
	first := map[*graph.Node]int{} // the first layer that reads a node, through views of it too
	for _, n := range slices.Backward(p.graph.Nodes) {
		first[n] = len(layers)
		for _, v := range n.Outputs {
			for _, r := range p.readers[v] {
				at, executed := p.layerOf[r]
				if !executed {
					at = first[r]
				}
				first[n] = min(first[n], at)
			}
		}
		if len(parts[n]) == 0 {
			continue
		}
		p.layerOf[n] = parts[n][0]
		for _, at := range parts[n] {
			if at <= first[n] {
				p.layerOf[n] = at
			}
		}
	}
}

// node finds the node of the graph that one of the ONNX file stands for: it has its name, or is part of its body (onnx.Inlined).
func (p *planner) node(name string) *graph.Node {
	for name != "" {
		if n := p.nodes[name]; n != nil {
			return n
		}
		name = name[:max(strings.LastIndexByte(name, '/'), 0)]
	}
	return nil
}

// planOf describes an engine of a graph: a step is a layer, with those before it that are part of no node, such as conversions between
// formats. stepOf tells the step of every layer by its name. Nodes of no layer were folded, or are only another view of their operand, as a Round is that was
// left out; untold are those that compute something, of which the engine does not tell where.
func planOf(g *graph.Graph, layers []Layer, precision backends.Precision) (plan backends.Plan, stepOf map[string]int, untold []string) {
	p := newPlanner(g, layers)
	covered := make([][]*graph.Node, len(layers))
	constant := map[*graph.Value]bool{}
	for _, n := range g.Nodes {
		folded := !slices.ContainsFunc(n.Inputs, func(v *graph.Value) bool { return v != nil && v.Const == nil && !constant[v] })
		for _, v := range n.Outputs {
			constant[v] = folded
		}
		at, executed := p.layerOf[n]
		switch {
		case executed:
			covered[at] = append(covered[at], n)
		case folded:
			plan.Folded = append(plan.Folded, n.Name)
		default:
			plan.Views = append(plan.Views, n.Name)
			if !isView(n) {
				untold = append(untold, n.Name)
			}
		}
	}
	stepOf = map[string]int{}
	for i, l := range layers {
		stepOf[l.Name] = len(plan.Steps)
		if len(covered[i]) > 0 {
			plan.Steps = append(plan.Steps, p.step(l, covered[i], precision))
		}
	}
	for name, at := range stepOf { // what follows the last step is part of it
		if at == len(plan.Steps) {
			if stepOf[name]--; at == 0 {
				delete(stepOf, name)
			}
		}
	}
	return plan, stepOf, untold
}

// isView tells nodes that give a value another shape, type or name, for which an engine needs no layer.
func isView(n *graph.Node) bool {
	switch op := n.Op.(type) {
	case graph.Reshape, graph.Cast, graph.Round:
		return true
	case graph.Unary:
		return op.Fn == graph.Identity
	}
	return !slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return v.Len() > 0 })
}

func (p *planner) step(l Layer, nodes []*graph.Node, precision backends.Precision) backends.Step {
	s := backends.Step{Name: nodes[len(nodes)-1].Name, Op: opOf(l, nodes), Level: backends.Native, Precision: precisionOf(l, precision)}
	add := func(list *[]string, name string) {
		if !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
	for _, n := range nodes {
		s.Nodes = append(s.Nodes, n.Name)
		for _, v := range n.Inputs {
			if v != nil && !slices.Contains(nodes, v.Producer) {
				add(&s.Inputs, v.Name)
			}
		}
		for _, v := range n.Outputs {
			outside := slices.ContainsFunc(p.readers[v], func(r *graph.Node) bool { return !slices.Contains(nodes, r) })
			if outside || p.returned[v] {
				add(&s.Outputs, v.Name)
			}
			if n != nodes[len(nodes)-1] && p.returned[v] {
				add(&s.Aside, v.Name)
			}
		}
	}
	return s
}

// opOf names what a layer computes: its operators, and the library's kind of layer for more than three.
func opOf(l Layer, nodes []*graph.Node) string {
	var ops []string
	for _, n := range nodes {
		ops = append(ops, n.Op.OpType())
	}
	if len(ops) > 3 {
		return fmt.Sprintf("%s of %d nodes", l.Type, len(ops))
	}
	return strings.Join(ops, "+")
}

// precisionOf is that of a layer: float32 unless something that it reads or writes is narrower.
func precisionOf(l Layer, precision backends.Precision) backends.Precision {
	if precision == backends.TF32 {
		return precision
	}
	found := backends.FP32
	for _, t := range slices.Concat(l.Inputs, l.Outputs) {
		if p := narrowFormat(t.Format); p != "" && (found == backends.FP32 || p == precision) {
			found = p
		}
	}
	return found
}

// addTimes adds the times of layers to those of their steps.
func addTimes(steps []time.Duration, layers []LayerTime, stepOf map[string]int) {
	clear(steps)
	for _, l := range layers {
		if at, known := stepOf[l.Layer]; known {
			steps[at] += l.Time
		}
	}
}
