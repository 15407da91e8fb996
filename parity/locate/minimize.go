package locate

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/budget"
)

// Minimal is the smallest set of switches that removes a difference.
type Minimal struct {
	Side     parity.Column `json:"side"`     // whose session has the switches
	Subject  string        `json:"subject"`  // what was executed: "step NAME by itself", or "the whole run"; "" where neither shows the difference
	Switches []string      `json:"switches"` // that there are
	Smallest []string      `json:"smallest"` // without any one of which the difference is there again; none where all of them together leave it
	Trials   []Trial       `json:"trials"`   // what was tried, in order
}

// Trial is one execution of the subject under some switches.
type Trial struct {
	Switches []string      `json:"switches"`
	Gone     bool          `json:"gone"`              // everything is within its budget
	Ratio    parity.Number `json:"ratio"`             // the largest error over its budget; infinite where integers differ
	Problem  string        `json:"problem,omitempty"` // why it could not be executed
}

// switched is what a session is compiled from: switches change it.
type switched struct {
	options  backends.Options
	emulated bool            // the graph is lowered for the session, which computes in float32 between the declared roundings
	exact    map[string]bool // roundings that are left out
}

// A toggle is a switch, and how it changes a session.
type toggle struct {
	name   string
	apply  func(s *switched)
	milder []int // places of toggles that do less of the same, the least first
}

// subject is what is executed for every trial.
type subject struct {
	name   string
	graph  *graph.Graph // as a session takes it
	low    *graph.Graph // lowered
	inputs tensor.List
	replay []string
	times  float64 // of the budget: what else an execution of it may be off
	side   Side

	wanted map[string]*expectation // by the roundings that are left out
}

// expectation is what a subject has to compute.
type expectation struct{ exact, spreads tensor.List }

// minimize looks for the smallest set of switches that removes the difference: of the first step beyond its budget by itself, where it shows
// there, and else of the whole run.
func (t *trace) minimize() error {
	if !t.spec.Minimize || t.Finding == nil && t.Strays == "" {
		return nil
	}
	return t.pass("smallest set of switches", func() error {
		subjects, err := t.subjects()
		if err != nil {
			return err
		}
		t.Minimal = &Minimal{Side: subjects[0].side.column(), Switches: []string{}, Smallest: []string{}, Trials: []Trial{}}
		for i := range subjects {
			s := &subjects[i]
			first, err := t.try(s, nil)
			if err != nil {
				return err
			}
			t.Minimal.Trials = append(t.Minimal.Trials, first)
			if !first.Gone {
				return t.minimizeIn(s)
			}
		}
		return nil
	})
}

// subjects lists what may show the difference, the smaller first.
func (t *trace) subjects() ([]subject, error) {
	side := t.spec.Candidate
	var list []subject
	if f := t.Finding; f != nil {
		if f.By == "reference" {
			side = t.spec.Reference
		}
		u := t.units[f.Step]
		g, inputs, err := t.parts([]*unitTrace{u}, func(u *unitTrace) []*graph.Value { return u.Outputs })
		if err != nil {
			return nil, err
		}
		list = append(list, subject{name: fmt.Sprintf("step %s by itself", u.Name), graph: g, low: g, inputs: inputs, times: t.marginOf(side, u).Times, side: side})
	}
	replay := parity.RankedDecisions(t.spec.Graph)
	inputs, err := backends.ReplayInputs(t.spec.Graph, replay, t.spec.Inputs, t.decided)
	if err != nil {
		return nil, err
	}
	return append(list, subject{name: "the whole run", graph: t.spec.Graph, low: t.low, inputs: inputs, replay: replay, times: budget.Dependent, side: side}), nil
}

// minimizeIn tries the switches on one subject.
func (t *trace) minimizeIn(s *subject) error {
	m := t.Minimal
	m.Subject = s.name
	toggles, err := t.toggles(s)
	if err != nil {
		return err
	}
	for _, x := range toggles {
		m.Switches = append(m.Switches, x.name)
	}
	passes := func(set []int) (bool, error) {
		trial, err := t.try(s, chosen(toggles, set))
		m.Trials = append(m.Trials, trial)
		return trial.Gone, err
	}
	all := make([]int, len(toggles))
	for i := range all {
		all[i] = i
	}
	if gone, err := passes(all); err != nil || !gone {
		return err
	}
	set, err := ddmin(len(toggles), passes)
	if err != nil {
		return err
	}
	if set, err = mildest(toggles, set, passes); err != nil {
		return err
	}
	for _, x := range chosen(toggles, set) {
		m.Smallest = append(m.Smallest, x.name)
	}
	return nil
}

func chosen(toggles []toggle, set []int) []toggle {
	list := make([]toggle, len(set))
	for i, at := range set {
		list[i] = toggles[at]
	}
	return list
}

// mildest exchanges switches of a set for such that do less of the same, where that suffices.
func mildest(toggles []toggle, set []int, passes func([]int) (bool, error)) ([]int, error) {
	for i, at := range set {
		for _, less := range toggles[at].milder {
			other := slices.Clone(set)
			other[i] = less
			gone, err := passes(other)
			if err != nil {
				return nil, err
			}
			if gone {
				set = other
				break
			}
		}
	}
	return set, nil
}

// try executes a subject under switches. What cannot be executed is a trial that did not remove the difference; only an ended context is an
// error.
func (t *trace) try(s *subject, list []toggle) (Trial, error) {
	trial := Trial{Switches: []string{}}
	w := switched{options: s.side.Options, exact: map[string]bool{}}
	w.options.Replay, w.options.Extra = s.replay, map[string]string{}
	for k, v := range s.side.Options.Extra {
		w.options.Extra[k] = v
	}
	for _, x := range list {
		trial.Switches = append(trial.Switches, x.name)
		x.apply(&w)
	}
	want, err := t.expected(s, w.exact)
	if err != nil {
		return trial, err
	}
	g := s.graph
	if w.emulated {
		g, w.options.Precision = unrounded(s.low, w.exact), backends.FP32
	}
	out, err := execute(t.ctx, s.side.Backend, g, s.inputs, w.options)
	switch {
	case t.ctx.Err() != nil:
		return trial, context.Cause(t.ctx)
	case err != nil:
		trial.Problem, trial.Ratio = err.Error(), parity.Number(math.Inf(1))
		return trial, nil
	}
	trial.Ratio = parity.Number(t.farthest(s, want, out))
	trial.Gone = trial.Ratio <= 1
	return trial, nil
}

// farthest is the largest error of an output over its budget.
func (t *trace) farthest(s *subject, want *expectation, got tensor.List) (most float64) {
	for i, o := range want.exact {
		value := got.Get(o.Name)
		if value == nil || !slices.Equal(value.Shape(), o.Shape()) {
			return math.Inf(1)
		}
		v := budget.Exact(o.Tensor)
		if o.DType().IsFloat() {
			v.Spread = tensor.Data[float64](want.spreads[i].Tensor)
		}
		most = max(most, t.budget.Judge(value, v, budget.Margin{Times: s.times}).Ratio)
	}
	return most
}

// expected computes what a subject gives without some roundings: exactly, and how far rounding may carry it.
func (t *trace) expected(s *subject, left map[string]bool) (*expectation, error) {
	key := fmt.Sprint(left) // maps are printed in order
	if known := s.wanted[key]; known != nil {
		return known, nil
	}
	g := unrounded(s.low, left)
	exact, err := execute(t.ctx, t.spec.Oracle, g, s.inputs, backends.Options{Precision: backends.FP64, Replay: s.replay})
	if err != nil {
		return nil, fmt.Errorf("float64 oracle: %w", err)
	}
	spreads, err := t.budget.Whole(t.ctx, g, s.inputs, budget.Run{}, s.replay, nil)
	if err != nil {
		return nil, err
	}
	if s.wanted == nil {
		s.wanted = map[string]*expectation{}
	}
	s.wanted[key] = &expectation{exact, spreads}
	return s.wanted[key], nil
}

// unrounded returns a graph without the roundings of those names.
func unrounded(g *graph.Graph, names map[string]bool) *graph.Graph {
	if len(names) == 0 {
		return g
	}
	return g.Exchange(func(n *graph.Node) graph.Op {
		if names[n.Name] {
			return graph.Unary{Fn: graph.Identity}
		}
		return nil
	})
}

// toggles lists the switches that a side has for a subject.
func (t *trace) toggles(s *subject) ([]toggle, error) {
	opts := s.side.Options
	opts.Replay = s.replay
	session, err := s.side.Backend.Compile(t.ctx, s.graph, opts)
	if err != nil {
		return nil, err
	}
	plan := session.Plan()
	if err := session.Close(); err != nil {
		return nil, err
	}
	var list []toggle
	if opts.Threads != 1 {
		list = append(list, toggle{name: "one thread", apply: func(s *switched) { s.options.Threads = 1 }})
	}
	list = append(list, optionToggles(s.side, len(list))...)
	list = append(list, t.fusionToggles(s, plan)...)
	return append(list, roundingToggles(s, len(list))...), nil
}

// optionToggles are the options of a backend. at is the place of the first.
func optionToggles(side Side, at int) []toggle {
	extra := side.Options.Extra
	set := func(name, key, value string) toggle {
		return toggle{name: name, apply: func(s *switched) { s.options.Extra[key] = value }}
	}
	switch fp32 := side.column().Precision == backends.FP32; {
	case side.Backend.Name() == "reference" && fp32 && extra["winograd"] != "off":
		return []toggle{set("no Winograd", "winograd", "off")}
	case side.Backend.Name() == "cuda" && extra["autotune"] != "":
		return []toggle{{name: "no tuned configurations", apply: func(s *switched) { delete(s.options.Extra, "autotune"); delete(s.options.Extra, "autotune-rounding") }}}
	case side.Backend.Name() != "ort":
		return nil
	}
	var list []toggle
	if p := extra["provider"]; p != "" && p != "cpu" {
		list = append(list, set("provider cpu", "provider", "cpu"))
	}
	levels := []string{"all", "extended", "basic", "none"}
	first := len(list)
	for _, level := range levels[max(slices.Index(levels, extra["opt-level"]), 0)+1:] {
		x := set("optimisation level "+level, "opt-level", level)
		for i := first; i < len(list); i++ {
			x.milder = append(x.milder, at+i)
		}
		list = append(list, x)
	}
	return list
}

// fusionToggles take fused steps apart: the reference by its option, a library by storing a value that it would have fused away.
func (t *trace) fusionToggles(s *subject, plan backends.Plan) []toggle {
	var list []toggle
	if plan.Library != "" {
		for _, u := range t.units {
			for _, v := range computed(u) {
				_, tappable := s.graph.Tap(v.Name)
				if _, returned := s.graph.Output(v.Name); len(u.Nodes) > 1 && tappable && !returned && !slices.Contains(u.Outputs, v) {
					list = append(list, toggle{name: v.Name + " stored", apply: func(s *switched) { s.options.Taps = append(s.options.Taps, v.Name) }})
				}
			}
		}
		return list
	}
	if s.side.Backend.Name() != "reference" {
		return nil
	}
	for _, step := range plan.Steps {
		for i, name := range step.Nodes {
			if i == 0 {
				continue
			}
			list = append(list, toggle{name: name + " not fused to what comes before", apply: func(s *switched) {
				s.options.Extra["unfused"] = strings.Trim(s.options.Extra["unfused"]+","+name, ",")
			}})
		}
	}
	return list
}

// roundingToggles give the roundings to the graph instead of the session, and leave single ones out. at is the place of the first.
func roundingToggles(s *subject, at int) []toggle {
	if s.side.Options.Precision.Format() == "" {
		return nil
	}
	list := []toggle{{name: "roundings emulated in fp32", apply: func(s *switched) { s.emulated = true }}}
	for _, n := range s.low.Nodes {
		if _, is := n.Op.(graph.Round); is {
			list = append(list, toggle{name: n.Name + " not rounded", milder: []int{at}, apply: func(s *switched) { s.emulated, s.exact[n.Name] = true, true }})
		}
	}
	return list
}
