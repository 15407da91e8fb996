package measure

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/stat"
)

// How the steps of a cell are timed. To time every step makes a session slower, so that steps have a session of their own, which is compiled when the
// timed one has given its samples. A device's clock tells apart what lies half a microsecond apart (CUDA), a tenth of many a step: short executions
// are averaged over a few calls, whose ends fall anywhere between two ticks.
const (
	stepCalls  = 8                    // executions that a sample averages over, at most
	stepSample = 4 * time.Millisecond // and no longer than this
	stepWarmUp = 3                    // executions before the first sample, after the first run
)

// steps takes the times of the steps of one cell in one process: open once, then run.
type steps struct {
	timing  *timing
	plan    []backends.Step
	calls   int
	samples [][]float64 // of each step
	host    []float64   // of the executions
}

// stepping returns what times the steps of a cell; nil where nobody asked, or where the cell has no samples.
func (t *timing) stepping(slot int) *steps {
	asked := t.process.options.Steps
	if t.err != nil || t.m.State != evidence.Measured || asked == nil || !asked(slot, t.m.Cell) {
		return nil
	}
	return &steps{timing: t}
}

// lack records why there are no times of steps. The cell's own samples stand.
func (s *steps) lack(why error) {
	t := s.timing
	t.m.Steps, t.m.StepsLack, t.stepped = nil, strings.Join(strings.Fields(why.Error()), " "), nil
	t.process.failed(why)
	s.timing = nil
}

// open compiles the session that tells the times of its steps, in place of the timed one, and runs it once.
func (s *steps) open(ctx context.Context) {
	if err := s.opened(ctx); err != nil {
		s.lack(err)
	}
}

var (
	errNoSteps   = errors.New("the backend tells no times of steps")
	errOtherPlan = errors.New("the session that tells the times of steps has another plan than the one that was timed")
)

func (s *steps) opened(ctx context.Context) error {
	t, p := s.timing, s.timing.process
	s.plan = p.session.Plan().Steps
	p.close(p.session)
	p.session = nil
	session, err := p.compile(ctx, t.m.Cell, t.work.Graph, sessionKind{steps: true})
	if err != nil {
		return err
	}
	p.session = session
	if _, err := backends.Run(ctx, session, t.work.Feeds[timed]); err != nil {
		return err
	}
	switch told := session.LastTiming().Steps; {
	case len(told) == 0:
		return errNoSteps
	case len(told) > worker.MaxStepTimes || !slices.EqualFunc(s.plan, session.Plan().Steps, sameStep):
		return errOtherPlan
	}
	s.samples = make([][]float64, len(s.plan))
	return nil
}

// warmUp finds out how many calls a sample averages over, when no other process compiles.
func (s *steps) warmUp(ctx context.Context) error {
	p := s.timing.process
	g, err := p.session.Measure(ctx, worker.GroupOptions{Span: worker.ExecuteAlone, Samples: stepWarmUp, Calls: 1, Bound: max(p.options.Filled().Bound, 1)})
	if err != nil {
		return err
	}
	s.calls = int(min(max(float64(stepSample)/slices.Min(g.Host), 1), stepCalls))
	return nil
}

func sameStep(a, b backends.Step) bool { return a.Name == b.Name && slices.Equal(a.Nodes, b.Nodes) }

// run takes the samples. Where it is given, yield is called between slices.
func (s *steps) run(ctx context.Context, yield func()) {
	if s.timing == nil {
		return
	}
	if err := s.sample(ctx, s.timing.pauses(yield)); err != nil {
		s.lack(err)
	}
}

func (s *steps) sample(ctx context.Context, p pauses) error {
	if err := s.warmUp(ctx); err != nil {
		return err
	}
	t, o := s.timing, s.timing.process.options.Filled()
	most := max(1, min(o.Iterations, worker.MaxStepTimes/len(s.plan)))
	for left := o.StepBound; len(s.host) < most && left > 0; {
		group := worker.GroupOptions{Span: worker.ExecuteAlone, Samples: most - len(s.host), Calls: s.calls, Bound: max(left, 1)}
		if p.between != nil {
			p.between()
			group.Bound, group.WarmupRuns = min(group.Bound, p.every), 1
		}
		g, err := t.process.session.Measure(ctx, group)
		if err != nil {
			return err
		}
		if g.Steps == nil {
			return errNoSteps
		}
		s.add(g)
		left -= total(g.Host, s.calls)
	}
	if p.between != nil {
		p.between()
	}
	out, err := t.process.session.Download(ctx)
	if err != nil {
		return err
	}
	gave := t.process.side.Workloads.snapshot(t.m.Cell, timed, out)
	t.stepped = &gave
	t.m.Steps = s.summed()
	return nil
}

func (s *steps) add(g *worker.Group) {
	s.host = append(s.host, g.Host...)
	for _, sample := range g.Steps {
		for i, ns := range sample {
			s.samples[i] = append(s.samples[i], ns)
		}
	}
}

// summed gives each step the median of its samples.
func (s *steps) summed() *perf.Steps {
	out := &perf.Steps{Samples: len(s.host), Calls: s.calls, MeanNS: float64(total(s.host, 1)) / float64(len(s.host))}
	for i, step := range s.plan {
		out.List = append(out.List, perf.Step{Name: step.Name, Nodes: nodesOf(step), NS: stat.Median(s.samples[i])})
	}
	return out
}

// nodesOf identifies the nodes that a step covers: the first 32 bits of the SHA-256 of their names.
func nodesOf(s backends.Step) string {
	sum := sha256.Sum256([]byte(strings.Join(s.Nodes, "\n")))
	return hex.EncodeToString(sum[:4])
}
