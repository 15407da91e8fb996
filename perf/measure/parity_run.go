package measure

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
)

// ParityRun is what untimed runs of a cell showed, one with each of its inputs, which have the taps that judging its decisions takes.
type ParityRun struct {
	Cell   perf.Cell   `json:"cell"`
	Parity perf.Parity `json:"parity"`
	Work   *perf.Work  `json:"work,omitempty"`
}

// RunParity runs cells of one backend once with each of their inputs, compares their outputs with the oracle's float64 and reads off what the
// routing selected and spent of the first. Where a cell decided otherwise, and its own scores explain that, it runs once more under the oracle's decisions,
// so that everything that follows from them is compared too. A budget that was overspent fails the parity of the cell. RunParity fails
// when ctx ends, when a workload cannot be made, when the oracle itself fails, and when a process does not go away (Beside).
func RunParity(ctx context.Context, side Side, backend string, cells []perf.Cell, o Options, emit func(ParityRun) error) (err error) {
	p := process{side: side, backend: backend, options: o}
	defer func() { err = cmp.Or(err, p.end()) }()
	for _, c := range cells {
		if p.beside != nil {
			return p.beside
		}
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
func RunParityBoth(ctx context.Context, base, head Side, backend string, cells []perf.Cell, o Options, emit func(base, head ParityRun, change *perf.Parity) error) (err error) {
	bases, heads := process{side: base, backend: backend, options: o}, process{side: head, backend: backend, options: o}
	defer func() { err = cmp.Or(err, bases.end(), heads.end()) }()
	for _, c := range cells {
		if err := cmp.Or(bases.beside, heads.beside); err != nil {
			return err
		}
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

// parityRun runs a cell once with each of its inputs. The runs are nil where they gave nothing.
func (p *process) parityRun(ctx context.Context, c perf.Cell) (r ParityRun, got *answers, err error) {
	r.Cell = c
	workloads := p.side.Workloads
	work, err := workloads.Of(ctx, c)
	if err != nil {
		return r, nil, err
	}
	if got, err = p.both(ctx, c, work); err != nil {
		r.Parity, err = p.without(ctx, err)
		return r, nil, err
	}
	want, err := workloads.expected(ctx, c, work)
	if why := notToBeHad(c, err); why != nil {
		r.Parity = *why
		return r, got, nil
	}
	if err != nil {
		return r, nil, err
	}
	by := comparison{workloads, parity.PairClass(oracle, columnOf(c)), levelOf(c)}
	if r.Parity, err = p.compareBoth(ctx, c, work, by, want, got, workloads.learn); err != nil {
		return r, nil, err
	}
	if c.Scope == perf.Complete && r.count(got[timed].outputs, workloads.complete[shapeOf(c)]) {
		workloads.learn(place{c, timed}, got[timed], r.Parity)
	}
	return r, got, nil
}

// learn keeps the parity of a run, by which outputs of timed sessions are judged that gave the same.
func (w *Workloads) learn(at place, got *recorded, p perf.Parity) {
	w.known[given{at, digestOf(got.outputs)}] = p
	if p.State == evidence.Explained {
		w.settled[at] = settled{got.outputs, p}
	}
}

// changed compares what this side gave with what the base did.
func (p *process) changed(ctx context.Context, c perf.Cell, base, got *answers) (perf.Parity, error) {
	work, err := p.side.Workloads.Of(ctx, c)
	if err != nil {
		return perf.Parity{}, err
	}
	by := comparison{p.side.Workloads, parity.PairClass(columnOf(c), columnOf(c)), parity.EndToEnd}
	return p.compareBoth(ctx, c, work, by, base, got, func(place, *recorded, perf.Parity) {})
}

// compareBoth compares the runs with either feed, tells of each and returns the worse.
func (p *process) compareBoth(ctx context.Context, c perf.Cell, work Workload, by comparison, want, got *answers, tell func(place, *recorded, perf.Parity)) (perf.Parity, error) {
	var all [feeds]perf.Parity
	for i := range all {
		f := feed(i)
		one, err := p.compare(ctx, c, work.Graph, work.Feeds[f], by, want[f], got[f])
		if err != nil {
			return one, err
		}
		all[f] = onFeed(f, one)
		tell(place{c, f}, got[f], all[f])
	}
	return worse(all[timed], all[other]), nil
}

// compare holds a run of this process against another, and where it decided otherwise a second one under the other's decisions: what is
// explained then is verified, and what had to be left out is compared. It fails when ctx ends.
func (p *process) compare(ctx context.Context, c perf.Cell, g *graph.Graph, inputs tensor.List, by comparison, want, got *recorded) (perf.Parity, error) {
	free := by.report(c, want.outputs, got.outputs, false)
	if !free.Diverged() || want.decisions == nil {
		return parityOf(free, free.State, free.Summary()), nil
	}
	again, err := p.replayed(ctx, c, g, inputs, want.decisions)
	if err != nil {
		failed, err := p.without(ctx, err)
		if failed.State == evidence.Unsupported {
			return parityOf(free, free.State, free.Summary()+"; not replayed: "+failed.Detail), err
		}
		failed.Detail = "under the reference's decisions: " + failed.Detail
		return failed, err
	}
	replay := by.report(c, want.outputs, again, true)
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
	p.failed(err)
	o := evidence.Of(ctx, err)
	return perf.Parity{State: o.State, Detail: strings.TrimPrefix(cmp.Or(o.Reason, o.Signal)+": "+o.Detail, ": ")}, nil
}

// count reads off the outputs what the routing did, and fails what spent too much. It tells whether it did.
func (r *ParityRun) count(got tensor.List, m *Complete) (over bool) {
	r.Work = workOf(got, m)
	for _, name := range []string{"b1", "b2", "b3"} {
		if b := r.Work.Budgets[name]; b.Over {
			over = true
			r.Parity.State = evidence.Fail
			r.Parity.Detail = strings.TrimSpace(fmt.Sprintf("budget %s is overspent: %g of %g. %s", name, b.Spent, b.Limit, r.Parity.Detail))
		}
	}
	return over
}

// both runs a cell once with each of its inputs, with the taps that judging it takes, and records what it decides.
func (p *process) both(ctx context.Context, c perf.Cell, work Workload) (*answers, error) {
	record, err := decisionTaps(c, work.Graph)
	if err != nil {
		return nil, err
	}
	how := sessionKind{taps: append(tapsOf(c, work.Graph), record...)}
	out, err := p.outputs(ctx, c, work.Graph, how, work.Feeds[:]...)
	if err != nil {
		return nil, err
	}
	var got answers
	for f := range got {
		got[f] = apart(out[f], record)
	}
	return &got, nil
}

// replayed runs a cell once under decisions.
func (p *process) replayed(ctx context.Context, c perf.Cell, g *graph.Graph, inputs, decisions tensor.List) (tensor.List, error) {
	how := sessionKind{taps: tapsOf(c, g), replay: parity.RankedDecisions(g)}
	inputs, err := backends.ReplayInputs(g, how.replay, inputs, decisions)
	if err != nil {
		return nil, err
	}
	out, err := p.outputs(ctx, c, g, how, inputs)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// outputs runs a session of a cell once with each of the inputs.
func (p *process) outputs(ctx context.Context, c perf.Cell, g *graph.Graph, how sessionKind, inputs ...tensor.List) ([]tensor.List, error) {
	session, err := p.compile(ctx, c, g, how)
	if err != nil {
		return nil, err
	}
	defer p.close(session)
	var all []tensor.List
	for _, in := range inputs {
		out, err := backends.Run(ctx, session, in)
		if err != nil {
			return nil, err
		}
		all = append(all, out.Clone())
	}
	return all, nil
}

// apart sets the taps of those names apart as decisions.
func apart(out tensor.List, record []string) *recorded {
	r := evidence.Run{Outputs: out}
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
