package measure

import (
	"context"
	"fmt"
	"math"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
)

// question names what one float64 run answers: precision and backend do not change what a cell should give.
type question struct {
	shape Shape
	scope perf.Scope
}

// answer names outputs of a cell whose parity is known.
type answer struct {
	cell   perf.Cell
	digest string
}

// expected returns what a cell should give, in float64, with the taps that decisions rest on and the decisions themselves. It is
// computed once for all cells that ask the same.
func (w *Workloads) expected(ctx context.Context, c perf.Cell, work Workload) (*recorded, error) {
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
	out, err := backends.Run(ctx, session, work.Inputs)
	if err != nil {
		return nil, fmt.Errorf("float64 oracle of cell %s: %w", c, err)
	}
	w.answers[key] = apart(out, record)
	return w.answers[key], nil
}

// verify compares outputs of a timed session, which have no taps, with what the cell should give. A discrete difference may be left
// unverified then.
func (w *Workloads) verify(ctx context.Context, c perf.Cell, work Workload, got tensor.List) (perf.Parity, error) {
	want, err := w.expected(ctx, c, work)
	if err != nil {
		return perf.Parity{}, err
	}
	r := comparison{w, parity.PairClass(backends.FP64, c.Precision), levelOf(c)}.report(c, want.outputs, got, false)
	return parityOf(r, r.State, r.Summary()), nil
}

// levelOf says how far apart right outputs of a scope may be.
func levelOf(c perf.Cell) parity.Level {
	if c.Scope.Operator() {
		return parity.Op
	}
	return parity.EndToEnd
}

// comparison says by which tolerances outputs of cells are held against each other.
type comparison struct {
	workloads *Workloads
	class     parity.Class
	level     parity.Level
}

// report compares outputs and the taps that both lists have, under the balanced profile.
func (by comparison) report(c perf.Cell, want, got tensor.List, replayed bool) *parity.Report {
	return parity.CompareOutputs(common(want, got), common(got, want), parity.Options{
		Policy: parity.Balanced.Policy(by.level), Class: by.class, Setting: by.workloads.complete[shapeOf(c)].Setting, Replayed: replayed,
	})
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
	digest  string
	outputs tensor.List
}

func (w *Workloads) snapshot(c perf.Cell, out tensor.List) snapshot {
	s := snapshot{digest: digestOf(out)}
	if _, known := w.known[answer{c, s.digest}]; !known {
		s.outputs = out.Clone()
	}
	return s
}

// parityOf returns the parity of a snapshot: that of the run with taps which gave the same bits, else that of a comparison of its
// own.
func (w *Workloads) parityOf(ctx context.Context, c perf.Cell, work Workload, s snapshot) (perf.Parity, error) {
	key := answer{c, s.digest}
	if p, known := w.known[key]; known {
		return p, nil
	}
	p, err := w.verify(ctx, c, work, s.outputs)
	if err != nil {
		return p, err
	}
	w.known[key] = p
	return p, nil
}
