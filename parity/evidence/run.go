package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Run is the evidence of one compiled session. Where its state is Measured, Outputs are set; they are owned by the Run.
type Run struct {
	Outcome
	Outputs   tensor.List // of the first run: the graph's outputs in its order, then the taps'
	Again     tensor.List // of the last run of the same session, nil where it ran once
	Decisions tensor.List // taps of the first run that record what was decided, where the caller asked for them
	Compile   time.Duration
	Plan      *backends.Plan     // of the session, nil where none was compiled
	Timing    backends.Timing    // of the first run; the times of steps are the Run's own
	Memory    backends.MemoryUse // of the first run, its Peak of all runs
	Wall      time.Duration      // as the caller saw it, compilation and transport included
	Err       error              // behind an outcome other than Measured
}

// SetApart moves the taps of those names from the outputs to Decisions: they are compared as what followed from them, and not as
// numbers.
func (r *Run) SetApart(taps []string) {
	decided := func(o tensor.Named) bool {
		return slices.Contains(taps, strings.TrimPrefix(o.Name, "tap.")) && strings.HasPrefix(o.Name, "tap.")
	}
	for _, o := range r.Outputs {
		if decided(o) {
			r.Decisions = append(r.Decisions, o)
		}
	}
	r.Outputs, r.Again = slices.DeleteFunc(r.Outputs, decided), slices.DeleteFunc(r.Again, decided)
}

// Failed is the evidence of a session that could not be made.
func Failed(ctx context.Context, err error) Run { return Run{Outcome: Of(ctx, err), Err: err} }

// Deterministic tells whether the runs of the session gave the same bits; nil where it ran once, so that nobody knows.
func (r *Run) Deterministic() *bool {
	if r.Again == nil {
		return nil
	}
	same := Identical(r.Outputs, r.Again)
	return &same
}

// Identical reports whether two lists of outputs have the same names in the same order, types, shapes and bits. A NaN is identical
// to a NaN with the same bits, and -0 is not identical to +0.
func Identical(a, b tensor.List) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || !tensor.Identical(a[i].Tensor, b[i].Tensor) {
			return false
		}
	}
	return true
}

// Collect compiles a graph on a backend, runs the session the given number of times, at least once, on the inputs and closes it.
// It does not fail: what went wrong, a panic of the backend included, is the outcome.
func Collect(ctx context.Context, b backends.Backend, g *graph.Graph, inputs tensor.List, opts backends.Options, runs int) (r Run) {
	start := time.Now()
	defer func() { r.Wall = time.Since(start) }()
	r.Err = r.collect(ctx, b, g, inputs, opts, runs)
	if r.Outcome = Of(ctx, r.Err); r.State == Unsupported && r.Compile > 0 { // what was compiled can be had
		r.State, r.Reason, r.Detail = Errored, ReasonError, r.Err.Error()
	}
	if r.State != Measured {
		r.Outputs, r.Again = nil, nil
	}
	return r
}

func (r *Run) collect(ctx context.Context, b backends.Backend, g *graph.Graph, inputs tensor.List, opts backends.Options, runs int) (err error) {
	start := time.Now()
	var session backends.Session
	defer func() {
		if p := recover(); p != nil {
			err = &Panic{Value: p}
		}
		if session != nil { // after a panic too, so that no worker stays
			err = errors.Join(err, session.Close())
		}
	}()
	compiled, err := b.Compile(ctx, g, opts)
	if err != nil {
		return err
	}
	session, r.Compile = compiled, time.Since(start)
	plan := session.Plan()
	r.Plan = &plan
	for i := range max(runs, 1) {
		out, err := backends.Run(ctx, session, inputs)
		if err != nil {
			return err
		}
		if i == 0 {
			r.Outputs, r.Timing, r.Memory = out.Clone(), session.LastTiming(), session.Memory()
			r.Timing.Steps = slices.Clone(r.Timing.Steps)
		} else {
			r.Again = out.Clone()
		}
	}
	r.Memory.Peak = session.Memory().Peak
	return nil
}

// Panic is the error of a run that panicked in this process.
type Panic struct{ Value any }

// Error tells what was panicked with.
func (p *Panic) Error() string { return fmt.Sprint(p.Value) }
