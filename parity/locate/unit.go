package locate

import (
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
)

// Unit is what is compared as a whole: a step of the candidate's plan with the nodes that it covers, or a node that no step covers,
// such as a view. Of a library that does not tell what it fuses, it is a product with what follows it alone, which such libraries fuse.
type Unit struct {
	Name    string
	Op      string
	Nodes   []*graph.Node  // in the graph's order
	Inputs  []*graph.Value // that other units, or the graph's inputs, give
	Outputs []*graph.Value // that others read, or that the graph returns
	Step    *backends.Step // nil where no step of the plan is this unit
}

// covered returns the names of the nodes.
func (u *Unit) covered() []string {
	names := make([]string, len(u.Nodes))
	for i, n := range u.Nodes {
		names[i] = n.Name
	}
	return names
}

// unitsOf divides the nodes of a graph that depend on its inputs into units, in an order of execution.
func unitsOf(g *graph.Graph, plan backends.Plan) []*Unit {
	d := &division{g: g, of: map[*graph.Node]*Unit{}, fixed: map[*graph.Node]bool{}}
	for _, n := range g.Fixed() {
		d.fixed[n] = true
	}
	if plan.Library != "" {
		d.chains()
	} else {
		d.steps(plan)
	}
	d.router()
	d.rest()
	return d.sorted()
}

// division assigns nodes to units.
type division struct {
	g     *graph.Graph
	fixed map[*graph.Node]bool
	of    map[*graph.Node]*Unit
}

// steps makes a unit of every step.
func (d *division) steps(plan backends.Plan) {
	nodes := map[string]*graph.Node{}
	for _, n := range d.g.Nodes {
		nodes[n.Name] = n
	}
	for i := range plan.Steps {
		s := &plan.Steps[i]
		u := &Unit{Name: s.Name, Op: s.Op, Step: s}
		for _, name := range s.Nodes {
			if n := nodes[name]; n != nil && !d.fixed[n] {
				d.of[n] = u
			}
		}
	}
}

// chains makes units of a product, or another node, and of what alone reads what they compute, up to the next product.
func (d *division) chains() {
	for _, n := range d.g.Nodes {
		if !d.fixed[n] {
			d.of[n] = &Unit{Name: n.Name, Op: n.Op.OpType()}
		}
	}
	readers := d.readers()
	for again := true; again; {
		again = false
		for _, n := range d.g.Nodes {
			if u := d.of[n]; u != nil && !isProduct(n) && d.joins(n, u, readers) {
				again = true
			}
		}
	}
	for _, n := range d.g.Nodes {
		if u := d.of[n]; u != nil {
			u.Name = n.Name // of the last node, as in a plan
		}
	}
}

// joins lets the unit of n's first operand take n's over, if nothing outside of both reads what it computes and at most one of them has
// a product.
func (d *division) joins(n *graph.Node, u *Unit, readers map[*graph.Value][]*graph.Node) bool {
	for _, v := range n.Inputs {
		if v == nil || v.Producer == nil || d.of[v.Producer] == nil || d.of[v.Producer] == u {
			continue
		}
		into := d.of[v.Producer]
		if d.hasProduct(u) || d.isPublic(into) || !d.readsAlone(into, u, readers) {
			continue
		}
		for _, m := range d.g.Nodes {
			if d.of[m] == u {
				d.of[m] = into
			}
		}
		return true
	}
	return false
}

func (d *division) hasProduct(u *Unit) bool {
	return slices.ContainsFunc(d.g.Nodes, func(n *graph.Node) bool { return d.of[n] == u && isProduct(n) })
}

// isPublic tells whether the graph returns a value of the unit, or marks it as a decision: a choice stays a unit of its own.
func (d *division) isPublic(u *Unit) bool {
	return slices.ContainsFunc(d.g.Outputs, func(p graph.Port) bool { return d.of[p.Value.Producer] == u }) ||
		slices.ContainsFunc(d.g.Decisions, func(x graph.Decision) bool { return d.of[x.Value.Producer] == u })
}

// readsAlone tells whether only nodes of either unit read what into computes.
func (d *division) readsAlone(into, u *Unit, readers map[*graph.Value][]*graph.Node) bool {
	for _, n := range d.g.Nodes {
		if d.of[n] != into {
			continue
		}
		for _, v := range n.Outputs {
			for _, r := range readers[v] {
				if d.of[r] != into && d.of[r] != u {
					return false
				}
			}
		}
	}
	return true
}

func (d *division) readers() map[*graph.Value][]*graph.Node {
	readers := map[*graph.Value][]*graph.Node{}
	for _, n := range d.g.Nodes {
		for _, v := range n.Inputs {
			if v != nil {
				readers[v] = append(readers[v], n)
			}
		}
	}
	return readers
}

func isProduct(n *graph.Node) bool {
	switch n.Op.(type) {
	case graph.Conv, graph.Gemm, graph.MatMul:
		return true
	}
	return false
}

// router joins what is computed from the statistics of the tiles of a level in a graph of low precision: apart from them, a session could not tell
// that these products are not rounded (graph.RouterReason).
func (d *division) router() {
	if !slices.ContainsFunc(d.g.Nodes, func(n *graph.Node) bool { _, is := n.Op.(graph.Round); return is }) {
		return
	}
	routed := d.g.Routed()
	of := map[*graph.Value]*Unit{}
	for _, n := range d.g.Nodes {
		if d.fixed[n] || !routed[n.Outputs[0]] {
			continue
		}
		u := &Unit{Op: "Router"}
		for _, v := range n.Inputs {
			if of[v] != nil {
				u = of[v]
				break
			}
		}
		d.of[n], u.Name = u, n.Name
		for _, v := range n.Outputs {
			of[v] = u
		}
	}
}

// rest makes a unit of every node that no step covers. A rounding that the backend has in its step belongs to what it rounds.
func (d *division) rest() {
	for _, n := range d.g.Nodes {
		if d.fixed[n] || d.of[n] != nil {
			continue
		}
		if _, is := n.Op.(graph.Round); is {
			if from := n.Inputs[0].Producer; from != nil && d.of[from] != nil {
				d.of[n] = d.of[from]
				continue
			}
		}
		d.of[n] = &Unit{Name: n.Name, Op: n.Op.OpType()}
	}
}

// sorted fills the units and returns them in an order of execution.
func (d *division) sorted() []*Unit {
	readers := d.readers()
	for _, n := range d.g.Nodes {
		if u := d.of[n]; u != nil {
			d.fill(u, n, readers)
		}
	}
	var units []*Unit
	done := map[*Unit]bool{}
	var visit func(u *Unit)
	visit = func(u *Unit) {
		if done[u] {
			return
		}
		done[u] = true
		for _, v := range u.Inputs {
			if v.Producer != nil {
				visit(d.of[v.Producer])
			}
		}
		units = append(units, u)
	}
	for _, n := range d.g.Nodes {
		if u := d.of[n]; u != nil {
			visit(u)
		}
	}
	return units
}

// fill adds a node to its unit, with what it reads from outside and what it gives there.
func (d *division) fill(u *Unit, n *graph.Node, readers map[*graph.Value][]*graph.Node) {
	u.Nodes = append(u.Nodes, n)
	for _, v := range n.Inputs {
		outside := v != nil && v.Const == nil && (v.Producer == nil || d.of[v.Producer] != u && !d.fixed[v.Producer])
		if outside && !slices.Contains(u.Inputs, v) {
			u.Inputs = append(u.Inputs, v)
		}
	}
	for _, v := range n.Outputs {
		public := slices.ContainsFunc(d.g.Outputs, func(p graph.Port) bool { return p.Value == v })
		if public || len(readers[v]) == 0 || slices.ContainsFunc(readers[v], func(r *graph.Node) bool { return d.of[r] != u }) {
			u.Outputs = append(u.Outputs, v)
		}
	}
}
