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

// expected returns what a cell should give, in float64, with the taps that decisions rest on. It is computed once for all cells
// that ask the same.
func (w *Workloads) expected(ctx context.Context, c perf.Cell, work Workload) (tensor.List, error) {
	key := question{shapeOf(c), c.Scope}
	if out := w.answers[key]; out != nil {
		return out, nil
	}
	session, err := w.oracle.Compile(ctx, work.Graph, backends.Options{Precision: backends.FP64, Taps: tapsOf(c, work.Graph)})
	if err != nil {
		return nil, fmt.Errorf("float64 oracle of cell %s: %w", c, err)
	}
	defer session.Close()
	out, err := backends.Run(ctx, session, work.Inputs)
	if err != nil {
		return nil, fmt.Errorf("float64 oracle of cell %s: %w", c, err)
	}
	w.answers[key] = out.Clone()
	return w.answers[key], nil
}

// verify compares outputs of a cell with what it should give. Outputs without taps are compared without: a discrete difference may
// then be left unverified.
func (w *Workloads) verify(ctx context.Context, c perf.Cell, work Workload, got tensor.List) (perf.Parity, error) {
	want, err := w.expected(ctx, c, work)
	if err != nil {
		return perf.Parity{}, err
	}
	return w.compare(c, common(want, got), got, parity.PairClass(backends.FP64, c.Precision), levelOf(c)), nil
}

// levelOf says how far apart right outputs of a scope may be.
func levelOf(c perf.Cell) parity.Level {
	if c.Scope.Operator() {
		return parity.Op
	}
	return parity.EndToEnd
}

// compare holds outputs against others under the balanced profile.
func (w *Workloads) compare(c perf.Cell, want, got tensor.List, class parity.Class, level parity.Level) perf.Parity {
	r := parity.CompareOutputs(want, got, parity.Options{Policy: parity.Balanced.Policy(level), Class: class, Setting: w.complete[shapeOf(c)].Setting})
	p := perf.Parity{State: r.State, MaxAbs: finite(float64(r.MaxAbsErr))}
	if r.State != evidence.Pass {
		p.Detail = r.Summary()
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
