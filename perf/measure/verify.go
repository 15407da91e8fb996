package measure

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
)

// question names what one float64 session answers: precision and backend do not change what a cell should give.
type question struct {
	shape Shape
	scope perf.Scope
}

// answers are what a session gave of each feed.
type answers [feeds]*recorded

// place names what a cell should give of a feed.
type place struct {
	cell perf.Cell
	feed feed
}

// given names outputs of a cell whose parity is known. Those of one feed are no answer to the other.
type given struct {
	place
	digest string
}

// settled is a run whose parity took a second one under the oracle's decisions.
type settled struct {
	outputs tensor.List
	parity  perf.Parity
}

// expected returns what a cell should give, in float64, with the taps that decisions rest on and the decisions themselves. It is
// computed once for all cells that ask the same.
func (w *Workloads) expected(ctx context.Context, c perf.Cell, work Workload) (*answers, error) {
	key := question{shapeOf(c), c.Scope}
	if out := w.answers[key]; out != nil {
		return out, nil
	}
	record, err := decisionTaps(c, work.Graph)
	if err != nil {
		return nil, err
	}
	session, err := w.oracle.Compile(ctx, work.Graph, backends.Options{Precision: backends.FP64, Taps: append(tapsOf(c, work.Graph), record...)})
	if err != nil {
		return nil, fmt.Errorf("float64 oracle of cell %s: %w", c, err)
	}
	defer session.Close()
	both := &answers{}
	for f, inputs := range work.Feeds {
		out, err := backends.Run(ctx, session, inputs)
		if err != nil {
			return nil, fmt.Errorf("float64 oracle of cell %s: %w", c, err)
		}
		both[f] = apart(out.Clone(), record)
	}
	w.answers[key] = both
	return both, nil
}

// notToBeHad is the parity of a cell of which the oracle cannot tell what it should give, since it lacks an operator of a model that is not
// Apex-X: nobody has verified it. It is nil for any other error, and for none.
func notToBeHad(c perf.Cell, err error) *perf.Parity {
	var lacks *backends.Unavailable
	if c.Scope != perf.AnyModel || !errors.As(err, &lacks) || lacks.Reason != backends.OperatorUnsupported {
		return nil
	}
	return &perf.Parity{State: evidence.Unverified, Detail: "no float64 oracle: " + lacks.Detail}
}

// verify compares outputs of a timed session, which have no taps, with what the cell should give. A discrete difference may be left
// unverified then.
func (w *Workloads) verify(ctx context.Context, c perf.Cell, work Workload, s snapshot) (perf.Parity, error) {
	want, err := w.expected(ctx, c, work)
	if why := notToBeHad(c, err); why != nil {
		return *why, nil
	}
	if err != nil {
		return perf.Parity{}, err
	}
	r := comparison{w, parity.PairClass(oracle, columnOf(c)), levelOf(c)}.report(c, want[s.feed].outputs, s.outputs, false)
	p := parityOf(r, r.State, r.Summary())
	if p.State == evidence.Unverified {
		if like, ok := w.asSettled(c, s, p.MaxAbs); ok {
			return like, nil
		}
	}
	return onFeed(s.feed, p), nil
}

// asSettled is the parity of outputs by those of the run with taps, where that decided otherwise than the oracle and was verified under the
// oracle's decisions: outputs that decide as it did and are within the tolerance of it, though not of equal bits, are right for the same reasons.
func (w *Workloads) asSettled(c perf.Cell, s snapshot, maxAbs float64) (perf.Parity, bool) {
	of, ok := w.settled[place{c, s.feed}]
	if !ok {
		return perf.Parity{}, false
	}
	r := comparison{w, parity.PairClass(columnOf(c), columnOf(c)), levelOf(c)}.report(c, of.outputs, s.outputs, false)
	of.parity.MaxAbs = max(of.parity.MaxAbs, maxAbs)
	return of.parity, r.State == evidence.Pass
}

// onFeed says of which feed a parity is that is not a pass.
func onFeed(f feed, p perf.Parity) perf.Parity {
	if f == other && p.Detail != "" {
		p.Detail = "with other inputs: " + p.Detail
	}
	return p
}

// worse returns the worse of two parities, with the larger error of both.
func worse(a, b perf.Parity) perf.Parity {
	maxAbs := max(a.MaxAbs, b.MaxAbs)
	if b.State.Worse(a.State) {
		a = b
	}
	a.MaxAbs = maxAbs
	return a
}

// levelOf says how far apart right outputs of a scope may be.
func levelOf(c perf.Cell) parity.Level {
	if c.Scope.Operator() {
		return parity.Op
	}
	return parity.EndToEnd
}

// oracle is the column of what cells are held to.
var oracle = parity.Column{Backend: "reference", Precision: backends.FP64}

// columnOf is what a matrix would call a cell's sessions.
func columnOf(c perf.Cell) parity.Column {
	return parity.Column{Backend: c.Backend, Precision: c.Precision}
}

// comparison says by which tolerances outputs of cells are held against each other.
type comparison struct {
	workloads *Workloads
	class     parity.Class
	level     parity.Level
}

// report compares outputs and the taps that both lists have, under the balanced profile.
func (by comparison) report(c perf.Cell, want, got tensor.List, replayed bool) *parity.Report {
	setting := by.workloads.complete[shapeOf(c)].Setting
	policy := parity.Balanced.Policy(by.level)
	if setting.AnyModel {
		policy = parity.Balanced.AnyModel()
	}
	return parity.CompareOutputs(common(want, got), common(got, want), parity.Options{Policy: policy, Class: by.class, Setting: setting, Replayed: replayed})
}

// parityOf sums a report up, in the state that it was settled in.
func parityOf(r *parity.Report, state evidence.State, why string) perf.Parity {
	p := perf.Parity{State: state, MaxAbs: finite(float64(r.MaxAbsErr))}
	if state != evidence.Pass {
		p.Detail = why
	}
	return p
}

// common returns the outputs of a list, and those of its taps that another list has too.
func common(list, other tensor.List) (out tensor.List) {
	plain := withoutTaps(list)
	for _, n := range list {
		if plain.Get(n.Name) != nil || other.Get(n.Name) != nil {
			out = append(out, n)
		}
	}
	return out
}

// finite keeps infinities, which JSON lacks, out of a report; an output that is infinitely wrong says so in the detail.
func finite(x float64) float64 {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return math.MaxFloat64
	}
	return x
}

// snapshot is what a timed session gave in one run. The outputs themselves are kept only where nobody knows their parity.
type snapshot struct {
	feed    feed
	digest  string
	outputs tensor.List
}

func (w *Workloads) snapshot(c perf.Cell, f feed, out tensor.List) snapshot {
	s := snapshot{feed: f, digest: digestOf(out)}
	if _, known := w.known[given{place{c, f}, s.digest}]; !known {
		s.outputs = out.Clone()
	}
	return s
}

// parityOf returns the parity of a snapshot: that of the run with taps which gave the same bits, else that of a comparison of its
// own.
func (w *Workloads) parityOf(ctx context.Context, c perf.Cell, work Workload, s snapshot) (perf.Parity, error) {
	key := given{place{c, s.feed}, s.digest}
	if p, known := w.known[key]; known {
		return p, nil
	}
	p, err := w.verify(ctx, c, work, s)
	if err != nil {
		return p, err
	}
	w.known[key] = p
	return p, nil
}
