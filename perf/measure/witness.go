package measure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
)

// Testimony is what one untimed run of a cell showed.
type Testimony struct {
	Cell   perf.Cell   `json:"cell"`
	Parity perf.Parity `json:"parity"`
	Work   *perf.Work  `json:"work,omitempty"`
}

// Witness runs cells of one backend once, compares their outputs with the oracle's float64 and reads off what the routing
// selected and spent. A budget that was overspent fails the parity of the cell. Witness fails when ctx ends, when a workload
// cannot be made, and when the oracle itself fails.
func Witness(ctx context.Context, side Side, backend string, cells []perf.Cell, o Options, emit func(Testimony) error) error {
	p := process{side: side, backend: backend, options: o}
	defer p.end()
	for _, c := range cells {
		t, _, err := p.testify(ctx, c)
		if err == nil {
			err = emit(t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// WitnessBoth runs cells of one backend once on either side, as Witness does, and compares what the head computes with what the base
// does: the graph and the oracle of a side are its own, so that a head which leaves work out is right by them. The change is nil
// where one of the sides gave nothing. Both sides are given the same inputs (Workloads.FeedFrom).
func WitnessBoth(ctx context.Context, base, head Side, backend string, cells []perf.Cell, o Options, emit func(base, head Testimony, change *perf.Parity) error) error {
	bases, heads := process{side: base, backend: backend, options: o}, process{side: head, backend: backend, options: o}
	defer bases.end()
	defer heads.end()
	for _, c := range cells {
		b, want, err := bases.testify(ctx, c)
		if err != nil {
			return err
		}
		h, got, err := heads.testify(ctx, c)
		if err != nil {
			return err
		}
		var change *perf.Parity
		if want != nil && got != nil {
			p := base.Workloads.compare(c, common(want, got), common(got, want), parity.PairClass(c.Precision, c.Precision), parity.EndToEnd)
			change = &p
		}
		if err := emit(b, h, change); err != nil {
			return err
		}
	}
	return nil
}

// testify runs a cell once, with taps. The outputs are nil where it gave none; they are the caller's.
func (p *process) testify(ctx context.Context, c perf.Cell) (t Testimony, got tensor.List, err error) {
	t.Cell = c
	workloads := p.side.Workloads
	work, err := workloads.Of(ctx, c)
	if err != nil {
		return t, nil, err
	}
	got, err = p.outputs(ctx, c, work)
	if cause := context.Cause(ctx); cause != nil {
		return t, nil, cause
	}
	if err != nil {
		o := evidence.Of(ctx, err)
		t.Parity = perf.Parity{State: o.State, Detail: strings.TrimPrefix(cmp.Or(o.Reason, o.Signal)+": "+o.Detail, ": ")}
		if errors.As(err, new(*worker.Died)) {
			p.end()
		}
		return t, nil, nil
	}
	if t.Parity, err = workloads.verify(ctx, c, work, got); err != nil {
		return t, nil, err
	}
	if c.Scope == perf.Complete {
		t.count(got, workloads.complete[shapeOf(c)])
	}
	workloads.known[answer{c, digestOf(got)}] = t.Parity
	return t, got, nil
}

// count reads off the outputs what the routing did, and fails what spent too much.
func (t *Testimony) count(got tensor.List, m *Complete) {
	t.Work = workOf(got, m)
	for _, name := range []string{"b1", "b2", "b3"} {
		if b := t.Work.Budgets[name]; b.Over {
			t.Parity.State = evidence.Fail
			t.Parity.Detail = strings.TrimSpace(fmt.Sprintf("budget %s is overspent: %g of %g. %s", name, b.Spent, b.Limit, t.Parity.Detail))
		}
	}
}

// outputs runs a cell once with the taps that judging it takes.
func (p *process) outputs(ctx context.Context, c perf.Cell, work Workload) (out tensor.List, err error) {
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	session, err := p.compile(ctx, c, work, tapsOf(c, work.Graph))
	if err != nil {
		return nil, err
	}
	defer session.Close()
	if out, err = backends.Run(ctx, session, work.Inputs); err != nil {
		return nil, err
	}
	return out.Clone(), nil
}

// tapsOf lists the intermediates that decisions rest on, for the complete model.
func tapsOf(c perf.Cell, g *graph.Graph) []string {
	if c.Scope != perf.Complete {
		return nil
	}
	return parity.DecisionTaps(g)
}
