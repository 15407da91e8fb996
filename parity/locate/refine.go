package locate

import (
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/budget"
)

// refine takes the first step beyond its budget apart: with the values between its nodes tapped, and node by node.
func (t *trace) refine() error {
	at, by := t.first()
	if at < 0 {
		return nil
	}
	u := t.units[at]
	t.Finding = &Finding{Step: at, By: by, Inside: []NodeTest{}}
	side := t.spec.Candidate
	if by == "reference" {
		side = t.spec.Reference
	}
	if err := t.keep(u, side); err != nil {
		return err
	}
	if len(u.Nodes) == 1 {
		n := u.Nodes[0]
		t.Finding.Node, t.Finding.Op, t.Finding.How = n.Name, n.Op.OpType(), "the step is this node"
		return nil
	}
	return t.pass("inside the step", func() error { return t.inside(u, side) })
}

// inside makes both experiments.
func (t *trace) inside(u *unitTrace, side Side) error {
	exact, err := t.exactly([]*unitTrace{u})
	if err != nil {
		return err
	}
	values := byName(exact)
	bounds, err := t.bounds(u, values)
	if err != nil {
		return err
	}
	for _, n := range u.Nodes {
		t.Finding.Inside = append(t.Finding.Inside, NodeTest{Node: n.Name, Op: n.Op.OpType()})
	}
	if err := t.tapped(u, side, bounds); err != nil {
		return err
	}
	if err := t.alone(u, side, values); err != nil {
		return err
	}
	t.Finding.conclude(t.Library)
	if t.Finding.Node == "" {
		t.Changed = append(t.Changed, fmt.Sprintf("step %s gives other values when the values in it are tapped", u.Name))
	}
	return nil
}

// tapped executes the unit with all of its values as outputs.
func (t *trace) tapped(u *unitTrace, side Side, bounds map[*graph.Value]budget.Value) error {
	g, inputs, err := t.parts([]*unitTrace{u}, func(u *unitTrace) []*graph.Value { return u.Outputs })
	if err != nil {
		return err
	}
	opts := side.Options
	var inner []*graph.Value
	for _, v := range computed(u) {
		if _, returned := g.Output(v.Name); !returned {
			inner = append(inner, v)
		}
	}
	opts.Taps = taps(inner)
	out, plan, err := executePlanned(t.ctx, side.Backend, g, inputs, opts)
	if err != nil {
		return fmt.Errorf("step %s, tapped: %w", u.Name, err)
	}
	if u.Step != nil && t.Library == "" && !hasStep(plan, u.Step) {
		t.Changed = append(t.Changed, fmt.Sprintf("step %s (%s) is executed otherwise when the values in it are tapped", u.Name, u.Op))
	}
	got, margin := byName(out), t.marginOf(side, u)
	for i, n := range u.Nodes {
		var e Error
		for _, v := range n.Outputs {
			value := got[v.Name]
			if value == nil {
				value = got["tap."+v.Name]
			}
			if err := sameType(value, v); err != nil {
				return fmt.Errorf("step %s, tapped: %w", u.Name, err)
			}
			e.add(v.Name, t.budget.Judge(value, bounds[v], margin))
		}
		t.Finding.Inside[i].Tapped = e.Ratio
	}
	return nil
}

// alone executes every node of the unit by itself, on the exact values of its operands, rounded to float32. What that rounding changes is
// part of the budget.
func (t *trace) alone(u *unitTrace, side Side, values map[string]*tensor.Tensor) error {
	var nodes []*unitTrace
	teacher := t.teacher
	t.teacher = map[*graph.Value]*tensor.Tensor{}
	defer func() { t.teacher = teacher }()
	for _, n := range u.Nodes {
		one := &Unit{Name: n.Name, Op: n.Op.OpType(), Nodes: []*graph.Node{n}, Outputs: n.Outputs}
		for _, v := range n.Inputs {
			switch {
			case v == nil || v.Const != nil || !t.varies(v):
			case values[v.Name] != nil && v.Producer != nil && teacher[v] == nil:
				t.teacher[v] = narrow(values[v.Name])
				one.Inputs = append(one.Inputs, v)
			default:
				t.teacher[v] = teacher[v]
				one.Inputs = append(one.Inputs, v)
			}
		}
		nodes = append(nodes, &unitTrace{Unit: one, step: &Step{}})
	}
	exact, err := t.exactly(nodes)
	if err != nil {
		return err
	}
	g, inputs, err := t.parts(nodes, func(u *unitTrace) []*graph.Value { return u.Outputs })
	if err != nil {
		return err
	}
	out, err := execute(t.ctx, side.Backend, g, inputs, side.Options)
	if err != nil {
		return fmt.Errorf("the nodes of step %s: %w", u.Name, err)
	}
	want, got, margin := byName(exact), byName(out), t.marginOf(side, u)
	for i, one := range nodes {
		bounds, err := t.nodeBounds(one.Nodes[0], want)
		if err != nil {
			return err
		}
		for _, v := range one.Outputs {
			if err := sameType(got[v.Name], v); err != nil {
				return err
			}
			one.step.Local.add(v.Name, t.budget.Judge(got[v.Name], bounds[v], margin))
		}
		t.Finding.Inside[i].Alone = one.step.Local.Ratio
	}
	return nil
}

// varies tells whether a value depends on an input of the graph.
func (t *trace) varies(v *graph.Value) bool {
	for _, u := range t.units {
		for _, n := range u.Nodes {
			if n == v.Producer {
				return true
			}
		}
	}
	return v.Producer == nil
}

// nodeBounds derives the spreads of one node on the teacher's values.
func (t *trace) nodeBounds(n *graph.Node, values map[string]*tensor.Tensor) (map[*graph.Value]budget.Value, error) {
	in := map[*graph.Value]budget.Value{}
	for v, x := range t.teacher {
		in[v] = budget.Exact(x)
	}
	var out []*tensor.Tensor
	for _, v := range n.Outputs {
		out = append(out, values[v.Name])
	}
	bounded, err := t.budget.Node(t.ctx, n, t.operands(n, in), out)
	if err != nil {
		return nil, err
	}
	for i, v := range n.Outputs {
		in[v] = bounded[i]
	}
	return in, nil
}

// conclude names the node: one that is wrong by itself, else the first whose value in the step is.
func (f *Finding) conclude(library string) {
	for _, n := range f.Inside {
		if n.Alone > 1 {
			f.Node, f.Op, f.How = n.Node, n.Op, "the node computes something else by itself too"
			return
		}
	}
	for _, n := range f.Inside {
		if n.Tapped > 1 {
			f.Node, f.Op, f.How = n.Node, n.Op, "every node is right by itself; in the step, this is the first wrong value"
			return
		}
	}
	f.How = "every node is right by itself and when it is tapped: what is wrong is how they are fused"
	if library != "" {
		f.How += " by " + library
	}
}
