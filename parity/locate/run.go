package locate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/budget"
)

// Side is a backend that executes the graph, and the options of its sessions.
type Side struct {
	Backend backends.Backend
	Options backends.Options // precision, threads, options of the backend
}

// column names the side.
func (s Side) column() parity.Column {
	p := s.Options.Precision
	if p == "" {
		p = backends.FP32
	}
	return parity.Column{Backend: s.Backend.Name(), Precision: p}
}

// Spec says what to compare. Both sides compute in one precision, which is not fp64.
type Spec struct {
	Graph     *graph.Graph
	Inputs    tensor.List
	Reference Side
	Candidate Side
	Oracle    backends.Backend // that has fp64 and fp32, without options: the reference backend
	Profile   string           // key of budget.Factors

	// Minimize looks for the smallest set of switches that removes what was found: options of the backend, fusions, roundings.
	Minimize bool

	// OnPass, where it is set, is told of every pass as it ends.
	OnPass func(Pass)
	// OnFirst, where it is set, is told of the first step beyond its budget as soon as it is known.
	OnFirst func(step *Step, by string)
}

// Run makes a Trace. Its errors are those of the backends: what cannot be compiled or executed is not located.
func Run(ctx context.Context, spec Spec) (*Trace, error) {
	t, err := newTrace(ctx, spec)
	if err != nil {
		return nil, err
	}
	for _, stage := range []func() error{t.plan, t.constants, t.teach, t.feed, t.screen, t.force, t.answer, t.free, t.refine, t.minimize} {
		if err := stage(); err != nil {
			return nil, err
		}
	}
	return t.Trace, nil
}

// answer tells the first step beyond its budget, or that there is none, and when that was known for the first time.
func (t *trace) answer() error {
	at, by := t.first()
	if t.First.Time > 0 && t.First.Step == at {
		return nil // since it was screened
	}
	t.First = Answer{Step: at, Time: time.Since(t.start)}
	if at >= 0 && t.spec.OnFirst != nil {
		t.spec.OnFirst(&t.Steps[at], by)
	}
	return nil
}

func newTrace(ctx context.Context, spec Spec) (*trace, error) {
	t := &trace{spec: spec, ctx: ctx, start: time.Now()}
	factor, known := budget.Factors[spec.Profile]
	if !known {
		return nil, fmt.Errorf("unknown profile %q of tolerances", spec.Profile)
	}
	t.Trace = &Trace{Reference: spec.Reference.column(), Candidate: spec.Candidate.column(), Profile: spec.Profile, Factor: factor, Changed: []string{}}
	t.budget = budget.New(spec.Oracle, factor, spec.Candidate.Options.Threads)
	return t, nil
}

// trace is a Trace in progress.
type trace struct {
	*Trace
	spec   Spec
	ctx    context.Context
	start  time.Time
	budget *budget.Budget

	low     *graph.Graph // the graph as both sides compute it
	units   []*unitTrace
	fixed   map[*graph.Value]*tensor.Tensor // in float64, what depends on constants alone
	teacher map[*graph.Value]*tensor.Tensor // what the reference computed freely, of every value between units
	decided tensor.List                     // taps of the reference's decisions

	got            map[string]*tensor.Tensor  // what the candidate computed of every unit, fed the teacher's values, until it is judged
	referenceSteps map[string]*backends.Step  // that execute a node
	spreads        map[*graph.Value][]float32 // of a free run, by value between units; none for an exact one
}

// unitTrace is a unit with what the forced pass gave, as far as it is kept.
type unitTrace struct {
	*Unit
	step *Step
}

// pass times one run.
func (t *trace) pass(name string, run func() error) error {
	start := time.Now()
	if err := run(); err != nil {
		return err
	}
	t.ended(Pass{name, time.Since(start)})
	return nil
}

// ended notes a pass.
func (t *trace) ended(p Pass) {
	t.Passes = append(t.Passes, p)
	if t.spec.OnPass != nil {
		t.spec.OnPass(p)
	}
}

// plan compiles the candidate as it is and divides the graph by its plan.
func (t *trace) plan() (err error) {
	if t.low, err = graph.Lower(t.spec.Graph, t.spec.Candidate.Options.Precision.Format()); err != nil {
		return err
	}
	if t.low, err = t.low.WithTaps(nil); err != nil { // what no output needs is in no plan
		return err
	}
	return t.pass("plan", func() error {
		s, err := t.spec.Candidate.Backend.Compile(t.ctx, t.spec.Graph, t.spec.Candidate.Options)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Candidate, err)
		}
		plan := s.Plan()
		t.Library = plan.Library
		for _, u := range unitsOf(t.low, plan) {
			t.units = append(t.units, &unitTrace{Unit: u})
			t.Steps = append(t.Steps, Step{Name: u.Name, Op: u.Op, Nodes: u.covered()})
		}
		for i := range t.units {
			t.units[i].step = &t.Steps[i]
		}
		return s.Close()
	})
}

// constants computes what depends on constants alone.
func (t *trace) constants() error {
	t.fixed = map[*graph.Value]*tensor.Tensor{}
	part := graph.Part{Nodes: t.low.Fixed()}
	for _, n := range part.Nodes {
		part.Outputs = append(part.Outputs, n.Outputs...)
	}
	if len(part.Nodes) == 0 {
		return nil
	}
	g, err := t.low.Apart([]graph.Part{part})
	if err != nil {
		return err
	}
	out, err := execute(t.ctx, t.spec.Oracle, g, nil, backends.Options{Precision: backends.FP64})
	if err != nil {
		return fmt.Errorf("float64 oracle: %w", err)
	}
	for i, v := range part.Outputs {
		t.fixed[v] = out[i].Tensor
	}
	return nil
}

// between lists the values between units, once each, in order: a pass has a tap on each.
func (t *trace) between() []*graph.Value {
	var list []*graph.Value
	for _, u := range t.units {
		list = append(list, u.Outputs...)
	}
	return list
}

// taps names values as taps.
func taps(values []*graph.Value) []string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = v.Name
	}
	return names
}

// teach runs the reference freely.
func (t *trace) teach() error {
	return t.pass("reference", func() error {
		opts := t.spec.Reference.Options
		values := t.between()
		opts.Taps = taps(values)
		record, err := backends.RecordTaps(t.spec.Graph, parity.RankedDecisions(t.spec.Graph))
		if err != nil {
			return err
		}
		for _, name := range record {
			if !slices.Contains(opts.Taps, name) {
				opts.Taps = append(opts.Taps, name)
			}
		}
		out, plan, err := executePlanned(t.ctx, t.spec.Reference.Backend, t.spec.Graph, t.spec.Inputs, opts)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Reference, err)
		}
		t.referenceSteps = map[string]*backends.Step{}
		for i := range plan.Steps {
			for _, name := range plan.Steps[i].Nodes {
				t.referenceSteps[name] = &plan.Steps[i]
			}
		}
		t.teacher, t.decided = map[*graph.Value]*tensor.Tensor{}, out
		for _, v := range t.low.Inputs {
			t.teacher[v] = t.spec.Inputs.Get(v.Name)
		}
		for _, v := range values {
			if t.teacher[v] = out.Get("tap." + v.Name); t.teacher[v] == nil {
				return fmt.Errorf("%s returned no value %q", t.Reference, v.Name)
			}
		}
		return nil
	})
}

// execute compiles a graph, runs it once, and returns a copy of what it computed.
func execute(ctx context.Context, b backends.Backend, g *graph.Graph, inputs tensor.List, opts backends.Options) (tensor.List, error) {
	out, _, err := executePlanned(ctx, b, g, inputs, opts)
	return out, err
}

// RunError is the error of a session that was compiled: of what it was given or computed.
type RunError struct{ Err error }

// Error returns the text of the cause.
func (e *RunError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *RunError) Unwrap() error { return e.Err }

// executePlanned returns the plan of the session too.
func executePlanned(ctx context.Context, b backends.Backend, g *graph.Graph, inputs tensor.List, opts backends.Options) (out tensor.List, plan backends.Plan, err error) {
	s, err := b.Compile(ctx, g, opts)
	if err != nil {
		return nil, plan, err
	}
	defer func() {
		if closed := s.Close(); err == nil {
			err = closed
		}
	}()
	if out, err = backends.Run(ctx, s, inputs); err != nil {
		return nil, plan, &RunError{err}
	}
	return out.Clone(), s.Plan(), nil
}
