package backendtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// plans holds the plans of small complete models, with and without taps and replay, to their graphs: of all modules in the first precision,
// and of one model in the others.
func (s *sessions) plans() {
	all, models := []string{"all"}, moduleConfigs
	if s.precision != s.options.Precisions[0] {
		models = models[:1]
	}
	for _, m := range models {
		g, _ := s.small(m.set)
		for _, opts := range []backends.Options{{}, {Taps: computed(g)}, {Replay: all}, {Replay: all, Taps: all}} {
			opts.Precision = s.precision
			applied, err := opts.Apply(g)
			s.must(err)
			if err := checkPlan(s.compile(g, opts).Plan(), applied); err != nil {
				s.Errorf("%s, %d taps, replay of %q: %v", m.name, len(opts.Taps), opts.Replay, err)
			}
		}
	}
}

// computed names every value that a node of the graph computes.
func computed(g *graph.Graph) []string {
	var names []string
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			names = append(names, v.Name)
		}
	}
	return names
}

// checkPlan holds a plan to the graph that the session computes: Plan.Check, no node that the graph does not have, splits by tapped values
// alone, and steps that read what was written before.
func checkPlan(p backends.Plan, g *graph.Graph) error {
	if err := p.Check(g); err != nil {
		return err
	}
	writes := map[string][]string{}
	known := map[string]bool{}
	for _, v := range slices.Concat(g.Inputs, g.Constants()) {
		known[v.Name] = true
	}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			writes[n.Name] = append(writes[n.Name], v.Name)
		}
	}
	for _, x := range p.Split {
		if writes[x.Node] == nil || !returned(g, x.Value) {
			return fmt.Errorf("%s is split at %s, which nobody taps, or is no node", x.Node, x.Value)
		}
	}
	for _, n := range slices.Concat(p.Folded, p.Views) {
		if writes[n] == nil {
			return fmt.Errorf("the plan covers the node %q, which the graph does not have", n)
		}
		for _, v := range writes[n] {
			known[v] = true
		}
	}
	return inOrder(p, writes, known)
}

// returned tells whether a graph returns a value as a tap, by its own name or by that of a tap.
func returned(g *graph.Graph, value string) bool {
	return slices.ContainsFunc(g.Outputs, func(p graph.Port) bool { return strings.HasPrefix(p.Name, "tap.") && p.Value.Name == value })
}

// inOrder tells whether every step reads what is known, and writes what its own nodes compute, once.
func inOrder(p backends.Plan, writes map[string][]string, known map[string]bool) error {
	for _, step := range p.Steps {
		var own []string
		for _, n := range step.Nodes {
			if writes[n] == nil {
				return fmt.Errorf("the plan covers the node %q, which the graph does not have", n)
			}
			own = append(own, writes[n]...)
		}
		for _, v := range step.Inputs {
			if !known[v] {
				return fmt.Errorf("step %s reads %s, which nobody wrote", step.Name, v)
			}
		}
		for _, v := range step.Outputs {
			if known[v] || !slices.Contains(own, v) {
				return fmt.Errorf("step %s writes %s, which was written before or is of another node", step.Name, v)
			}
			known[v] = true
		}
		for _, v := range step.Aside {
			if !slices.Contains(step.Outputs, v) {
				return fmt.Errorf("step %s stores %s aside and does not write it", step.Name, v)
			}
		}
	}
	return nil
}

// taps taps every value of the graph, alone and all together: it changes no bit of an output, unless the plan says that a step was split,
// or that a library executes the steps as it likes; then it changes no more than rounding does.
func (s *sessions) taps() {
	plain := s.open(backends.Options{})
	if n := len(plain.Plan().Split); n > 0 {
		s.Errorf("%d splits without a tap", n)
	}
	want := s.run(plain, s.inputs)
	every := computed(s.graph)
	all := s.tapped(every, plain.Plan(), want)
	for _, name := range every {
		alone := s.tapped([]string{name}, plain.Plan(), want)
		tap := alone.outputs[len(want):]
		if len(tap) != 1 || tap[0].Name != "tap."+name {
			s.Fatalf("the tap of %s gives %d outputs", name, len(tap))
		}
		s.compare("tap."+name, tap[0].Tensor, all.outputs.Get(tap[0].Name), alone.exact && all.exact)
	}
	g, inputs := s.small(nil)
	model, free := s.compile(g, backends.Options{Taps: computed(g)}), s.compile(g, backends.Options{})
	if plan := model.Plan(); plan.Library == "" && len(plan.Split) == 0 {
		s.same("every value of a model tapped", s.run(model, inputs), s.run(free, inputs))
		s.must(keepsSteps(plan, free.Plan()))
	}
}

// keepsSteps tells whether a plan with taps has every step of the plan without, covering the same nodes.
func keepsSteps(tapped, plain backends.Plan) error {
	for _, want := range plain.Steps {
		if !slices.ContainsFunc(tapped.Steps, func(s backends.Step) bool { return s.Op == want.Op && slices.Equal(s.Nodes, want.Nodes) }) {
			return fmt.Errorf("the step %s of %q is gone, and no split says why", want.Op, want.Nodes)
		}
	}
	return nil
}

// tapped is a run with taps.
type tapped struct {
	outputs tensor.List
	exact   bool // it executed what a run without them executes
}

// tapped runs with taps and compares the outputs and the plan with those of a session without.
func (s *sessions) tapped(names []string, plain backends.Plan, want tensor.List) tapped {
	s.Helper()
	session := s.open(backends.Options{Taps: names})
	plan := session.Plan()
	out := tapped{outputs: s.run(session, s.inputs), exact: plan.Library == "" && len(plan.Split) == 0}
	if err := keepsSteps(plan, plain); err != nil && len(plan.Split) == 0 {
		s.Errorf("taps %q: %v", names, err)
	}
	for i, w := range want {
		s.compare(fmt.Sprintf("%s with the taps %q", w.Name, names), out.outputs[i].Tensor, w.Tensor, out.exact)
	}
	return out
}

// compare holds a tensor to what another session gave: bit for bit, or to rounding.
func (s *sessions) compare(what string, got, want *tensor.Tensor, exact bool) {
	s.Helper()
	if exact && !tensor.Identical(got, want) {
		s.Errorf("%s has other bits", what)
	}
	low := newBound(s.precision, 256)
	if s.precision.Format() != "" { // rounded to another neighbour
		low.store = 1.0 / 64
	}
	if err := low.compare(got, want); err != nil {
		s.Errorf("%s: %v", what, err)
	}
}

// wrongTaps asks for a tap that there is not, and twice for one.
func (s *sessions) wrongTaps() {
	opts := backends.Options{Precision: s.precision, Taps: []string{"sum", "nothing"}}
	if session, err := s.backend.Compile(s.Context(), s.graph, opts); err == nil {
		s.Errorf("a tap of nothing was taken (%v)", session.Close())
	}
	out := s.run(s.open(backends.Options{Taps: []string{"sum", "conv", "sum"}}), s.inputs)
	if len(out) != len(s.graph.Outputs)+2 || out[len(out)-1].Name != "tap.conv" {
		s.Errorf("a tap that is named twice gives %d outputs, the last of them %s", len(out)-len(s.graph.Outputs), out[len(out)-1].Name)
	}
}
