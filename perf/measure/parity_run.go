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

// ParityRun is what one untimed run of a cell showed, which has the taps that judging its decisions takes.
type ParityRun struct {
	Cell   perf.Cell   `json:"cell"`
	Parity perf.Parity `json:"parity"`
	Work   *perf.Work  `json:"work,omitempty"`
}

// RunParity runs cells of one backend once, compares their outputs with the oracle's float64 and reads off what the routing
// selected and spent. Where a cell decided otherwise, and its own scores explain that, it runs once more under the oracle's decisions,
// so that everything that follows from them is compared too. A budget that was overspent fails the parity of the cell. RunParity fails
// when ctx ends, when a workload cannot be made, and when the oracle itself fails.
func RunParity(ctx context.Context, side Side, backend string, cells []perf.Cell, o Options, emit func(ParityRun) error) error {
	p := process{side: side, backend: backend, options: o}
	defer p.end()
	for _, c := range cells {
		r, _, err := p.parityRun(ctx, c)
		if err == nil {
			err = emit(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// RunParityBoth runs cells of one backend once on either side, as RunParity does, and compares what the head computes with what the base
// does: the graph and the oracle of a side are its own, so that a head which leaves work out is right by them. The change is nil
// where one of the sides gave nothing. Both sides are given the same inputs (Workloads.FeedFrom).
func RunParityBoth(ctx context.Context, base, head Side, backend string, cells []perf.Cell, o Options, emit func(base, head ParityRun, change *perf.Parity) error) error {
	bases, heads := process{side: base, backend: backend, options: o}, process{side: head, backend: backend, options: o}
	defer bases.end()
	defer heads.end()
	for _, c := range cells {
		b, want, err := bases.parityRun(ctx, c)
		if err != nil {
			return err
		}
		h, got, err := heads.parityRun(ctx, c)
		if err != nil {
			return err
		}
		var change *perf.Parity
		if want != nil && got != nil {
			p, err := heads.changed(ctx, c, want, got)
			if err != nil {
				return err
			}
			change = &p
		}
		if err := emit(b, h, change); err != nil {
			return err
		}
	}
	return nil
}

// recorded is what a run gave: outputs with the taps that judging takes, and the decisions by which another run can be held to its own.
type recorded struct{ outputs, decisions tensor.List }

// parityRun runs a cell once. The run is nil where it gave nothing.
func (p *process) parityRun(ctx context.Context, c perf.Cell) (r ParityRun, got *recorded, err error) {
	r.Cell = c
	workloads := p.side.Workloads
	work, err := workloads.Of(ctx, c)
	if err != nil {
		return r, nil, err
	}
	if got, err = p.outputs(ctx, c, work, nil); err != nil {
		r.Parity, err = p.without(ctx, err)
		return r, nil, err
	}
	want, err := workloads.expected(ctx, c, work)
	if err != nil {
		return r, nil, err
	}
	r.Parity, err = p.compare(ctx, c, work, comparison{p.side.Workloads, parity.PairClass(backends.FP64, c.Precision), levelOf(c)}, want, got)
	if err != nil {
		return r, nil, err
	}
	if c.Scope == perf.Complete {
		r.count(got.outputs, workloads.complete[shapeOf(c)])
	}
	workloads.known[answer{c, digestOf(got.outputs)}] = r.Parity
	return r, got, nil
}

// changed compares what this side gave with what the base did.
func (p *process) changed(ctx context.Context, c perf.Cell, base, got *recorded) (perf.Parity, error) {
	work, err := p.side.Workloads.Of(ctx, c)
	if err != nil {
		return perf.Parity{}, err
	}
	return p.compare(ctx, c, work, comparison{p.side.Workloads, parity.PairClass(c.Precision, c.Precision), parity.EndToEnd}, base, got)
}

// compare holds a run of this process against another, and where it decided otherwise a second one under the other's decisions: what is
// explained then is verified, and what had to be left out is compared. It fails when ctx ends.
func (p *process) compare(ctx context.Context, c perf.Cell, work Workload, by comparison, want, got *recorded) (perf.Parity, error) {
	free := by.report(c, want.outputs, got.outputs, false)
	if !free.Diverged() || want.decisions == nil {
		return parityOf(free, free.State, free.Summary()), nil
	}
	again, err := p.outputs(ctx, c, work, want.decisions)
	if err != nil {
		failed, err := p.without(ctx, err)
		if failed.State == evidence.Unsupported {
			return parityOf(free, free.State, free.Summary()+"; not replayed: "+failed.Detail), err
		}
		failed.Detail = "under the reference's decisions: " + failed.Detail
		return failed, err
	}
	replay := by.report(c, want.outputs, again.outputs, true)
	state, why := free.Settle(replay)
	settled := parityOf(free, state, why)
	settled.MaxAbs = max(settled.MaxAbs, finite(float64(replay.MaxAbsErr)))
	return settled, nil
}

// without is the parity of a cell whose run ended in an error. It fails when ctx has ended.
func (p *process) without(ctx context.Context, err error) (perf.Parity, error) {
	if cause := context.Cause(ctx); cause != nil {
		return perf.Parity{}, cause
	}
	if errors.As(err, new(*worker.Died)) {
		p.end()
	}
	o := evidence.Of(ctx, err)
	return perf.Parity{State: o.State, Detail: strings.TrimPrefix(cmp.Or(o.Reason, o.Signal)+": "+o.Detail, ": ")}, nil
}

// count reads off the outputs what the routing did, and fails what spent too much.
func (r *ParityRun) count(got tensor.List, m *Complete) {
	r.Work = workOf(got, m)
	for _, name := range []string{"b1", "b2", "b3"} {
		if b := r.Work.Budgets[name]; b.Over {
			r.Parity.State = evidence.Fail
			r.Parity.Detail = strings.TrimSpace(fmt.Sprintf("budget %s is overspent: %g of %g. %s", name, b.Spent, b.Limit, r.Parity.Detail))
		}
	}
}

// outputs runs a cell once with the taps that judging it takes: free, recording what it decides, or under decisions where there are some.
func (p *process) outputs(ctx context.Context, c perf.Cell, work Workload, decisions tensor.List) (*recorded, error) {
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	inputs, how := work.Inputs, sessionKind{taps: tapsOf(c, work.Graph)}
	if decisions != nil {
		how.replay = parity.RankedDecisions(work.Graph)
		var err error
		if inputs, err = backends.ReplayInputs(work.Graph, how.replay, inputs, decisions); err != nil {
			return nil, err
		}
	}
	record, err := decisionTaps(c, work.Graph)
	if err != nil {
		return nil, err
	}
	if decisions == nil {
		how.taps = append(how.taps, record...)
	}
	session, err := p.compile(ctx, c, work, how)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	out, err := backends.Run(ctx, session, inputs)
	if err != nil {
		return nil, err
	}
	return apart(out, record), nil
}

// apart copies outputs and sets the taps of those names apart as decisions.
func apart(out tensor.List, record []string) *recorded {
	r := evidence.Run{Outputs: out.Clone()}
	r.SetApart(record)
	return &recorded{r.Outputs, r.Decisions}
}

// tapsOf lists the intermediates that decisions rest on, for the complete model.
func tapsOf(c perf.Cell, g *graph.Graph) []string {
	if c.Scope != perf.Complete {
		return nil
	}
	return parity.DecisionTaps(g)
}

// decisionTaps lists the taps that record decisions, for the complete model.
func decisionTaps(c perf.Cell, g *graph.Graph) ([]string, error) {
	if c.Scope != perf.Complete {
		return nil, nil
	}
	return backends.RecordTaps(g, parity.RankedDecisions(g))
}
