package measure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/stat"
)

// Options say how long each cell is measured. The zero value takes 200 samples or 0.4 s of each.
type Options struct {
	Iterations  int                              // samples at most; 0 means 200
	Bound       time.Duration                    // of the samples; 0 means 0.4 s
	WarmupRuns  int                              // at most, the first run included; 0 means 10
	WarmupBound time.Duration                    // after the first run; 0 means an eighth of Bound
	Long        map[perf.Cell]bool               // of which one run is known to take longer than Bound: that is their sample, right after the first run
	Threads     int                              // 0 leaves the worker its own choice, GOMAXPROCS
	Extra       map[string]map[string]string     // options by backend
	Samplers    map[string]Sampler               // by backend: what watches the devices that it computes on
	Devices     map[string]int                   // by backend: the GPU that it computes on, by NVML's index; none for the host's processors
	Steps       func(slot int, c perf.Cell) bool // whether a slot of a Block times the steps of a cell too; nil for never
	StepBound   time.Duration                    // of the samples of steps; 0 means half of Bound
	DataSet     DataSet                          // what complete cells are evaluated on; nil for nothing
}

// The defaults of Options.
const (
	DefaultIterations = 200
	DefaultBound      = 400 * time.Millisecond
	defaultWarmupRuns = 10
)

// Sampler reads the state of devices. It is called between the timed regions.
type Sampler interface {
	Sample() []perf.DeviceSample
}

// sampleEvery is the longest time between two readings of a sampler, as far as single runs allow it.
const sampleEvery = 90 * time.Millisecond

// Filled returns the options with the defaults in the place of zeros.
func (o Options) Filled() Options {
	o.Iterations = cmp.Or(o.Iterations, DefaultIterations)
	o.Bound = cmp.Or(o.Bound, DefaultBound)
	o.WarmupRuns = cmp.Or(o.WarmupRuns, defaultWarmupRuns)
	o.WarmupBound = cmp.Or(o.WarmupBound, o.Bound/8)
	o.StepBound = cmp.Or(o.StepBound, o.Bound/2)
	return o
}

// Side is a build of apexx with its workers.
type Side struct {
	Arm       perf.Arm
	Spec      func(backend string) worker.Spec // how to start its worker; called from several goroutines
	Workloads *Workloads
	// Variables returns what is recorded of the variables in which a backend's workers differ from this program (worker.Worker.Variables). One that tells
	// others measures nothing. nil where nothing is recorded.
	Variables func(backend string) []backends.Fact
}

// Order returns the cells in a seeded random order.
func Order(cells []perf.Cell, seed, stream uint64) []perf.Cell {
	out := append([]perf.Cell(nil), cells...)
	r := rand.New(rand.NewPCG(seed, stream))
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// Replicate measures cells of one backend in their order in a fresh worker process and hands each measurement to emit, whose
// error ends it. The outputs of a cell's first run, of its last timed one and of one with other inputs are compared with the oracle's. Whatever goes wrong
// with a cell is the state of its measurement; after the death of the process the remaining cells get a new one. Replicate fails when
// ctx ends, when a workload cannot be made, when the oracle fails, and when a process does not go away (Beside). When it returns anything else, no
// process of it is left.
func Replicate(ctx context.Context, side Side, backend string, cells []perf.Cell, o Options, emit func(perf.Measurement) error) (err error) {
	p := process{side: side, backend: backend, options: o}
	defer func() { err = cmp.Or(err, p.end()) }()
	for i, c := range cells {
		if p.beside != nil {
			return p.beside
		}
		work, err := side.Workloads.Of(ctx, c)
		if err != nil {
			return err
		}
		t := p.prepare(ctx, c, work)
		t.firstRun(ctx)
		t.run(ctx, nil)
		if err := context.Cause(ctx); err != nil {
			return err
		}
		m, err := t.verified(ctx)
		if err != nil {
			return err
		}
		m.Order = i
		if err := emit(m); err != nil {
			return err
		}
	}
	return nil
}

// process is the worker of a replicate.
type process struct {
	side    Side
	backend string
	options Options
	worker  *worker.Worker  // nil before the first cell and after a death
	session *worker.Session // of the cell at hand or the one before; nil if there is none
	beside  error           // a process of this one that does not go away
}

// Beside returns an error for a process that is still there with its memory and its device (*worker.Stuck), nil for any other error and for none. Nothing
// can be timed beside it.
func Beside(err error) error {
	var stuck *worker.Stuck
	if !errors.As(err, &stuck) {
		return nil
	}
	return exit.With(exit.Internal, fmt.Errorf("%w; nothing can be timed beside it", stuck))
}

// closeWorker ends a process. A test has one that does not go away.
var closeWorker = (*worker.Worker).Close

// end ends the worker, and then the session, which costs no request any more but holds the memory that both ends share. It returns when the process
// is gone, or with the error of one that does not go away.
func (p *process) end() error {
	if p.worker != nil {
		p.beside = cmp.Or(p.beside, Beside(closeWorker(p.worker)))
	}
	if p.session != nil {
		p.session.Close()
	}
	p.worker, p.session = nil, nil
	return p.beside
}

// close closes a session. What the process cannot let go of would be beside the next session, which gets another one.
func (p *process) close(s *worker.Session) {
	if err := s.Close(); err != nil {
		p.end()
	}
}

// failed ends a process that died of an error.
func (p *process) failed(err error) {
	if errors.As(err, new(*worker.Died)) {
		p.end()
	}
}

// pause stops the worker until resume; both do nothing where there is none.
func (p *process) pause() {
	if p.worker != nil {
		p.worker.Pause()
	}
}

func (p *process) resume() {
	if p.worker != nil {
		p.worker.Resume()
	}
}

// prepare makes a cell ready to run: it closes the session before, starts the worker if there is none, and compiles.
func (p *process) prepare(ctx context.Context, c perf.Cell, work Workload) *timing {
	t := &timing{process: p, work: work, m: perf.Measurement{Cell: c, Arm: p.side.Arm, State: evidence.Measured, Started: time.Now().UTC()}}
	if index, there := p.options.Devices[p.backend]; there {
		t.m.Device = &index
	}
	if p.session != nil {
		p.close(p.session)
		p.session = nil
	}
	if t.err = p.start(ctx); t.err != nil {
		return t
	}
	begin := time.Now()
	session, err := p.compile(ctx, c, work.Graph, sessionKind{})
	if err != nil {
		t.err = err
		return t
	}
	p.session, t.m.CompileNS = session, time.Since(begin).Nanoseconds()
	return t
}

// sessionKind tells the sessions of a cell apart. The zero value is the one that is timed.
type sessionKind struct {
	taps, replay []string
	steps        bool // it tells the times of its steps
}

// start makes sure that there is a worker, which runs under the variables that are recorded.
func (p *process) start(ctx context.Context) error {
	if p.worker != nil {
		return nil
	}
	w, err := worker.Start(ctx, p.side.Spec(p.backend))
	if err != nil {
		p.beside = cmp.Or(p.beside, Beside(err))
		return err
	}
	p.worker = w
	if err := p.side.recorded(p.backend, w.Variables()); err != nil {
		p.end()
		return err
	}
	return nil
}

// recorded is an error for a worker that tells other variables than the record of its side has.
func (s Side) recorded(backend string, told []backends.Fact) error {
	if s.Variables == nil || slices.Equal(told, s.Variables(backend)) {
		return nil
	}
	return fmt.Errorf("a worker of backend %s has other variables of the environment than the first: %s, before %s; what starts it has to set the same every time",
		backend, settings(told), settings(s.Variables(backend)))
}

func settings(variables []backends.Fact) string {
	if len(variables) == 0 {
		return "none"
	}
	var list []string
	for _, v := range variables {
		list = append(list, v.Key+"="+v.Value)
	}
	return strings.Join(list, " ")
}

// compile compiles in the worker, which it starts if there is none.
func (p *process) compile(ctx context.Context, c perf.Cell, g *graph.Graph, how sessionKind) (*worker.Session, error) {
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	return p.worker.Open(ctx, g, backends.Options{
		Precision: c.Precision, Threads: p.options.Threads, Taps: how.taps, Replay: how.replay, Extra: p.options.Extra[p.backend], StepTimes: how.steps,
	})
}

// timing is one cell in one process, from its preparation on.
type timing struct {
	process *process
	work    Workload
	m       perf.Measurement
	gave    []snapshot // of the first run, the last timed one and, where there was one, that with other inputs
	stepped *snapshot  // of the last run that was timed step by step; nil where there is none
	err     error      // of the preparation
}

// firstRun runs the cell once, from end to end by the backend's clock: a cold run need not wait for the turn of its process.
func (t *timing) firstRun(ctx context.Context) {
	if t.err != nil {
		return
	}
	out, err := backends.Run(ctx, t.process.session, t.work.Feeds[timed])
	if err != nil {
		t.err = err
		return
	}
	t.m.FirstRunNS = max(t.process.session.LastTiming().Total(), 1).Nanoseconds()
	t.keep(timed, out)
}

// keep remembers what the session gave, to be compared when nothing is being timed.
func (t *timing) keep(f feed, out tensor.List) {
	t.gave = append(t.gave, t.process.side.Workloads.snapshot(t.m.Cell, f, out))
}

// run times the cell. Where it is given, yield is called between slices of samples.
func (t *timing) run(ctx context.Context, yield func()) {
	err := t.err
	if err == nil {
		err = t.sample(ctx, yield)
	}
	if err != nil {
		t.m.End(evidence.Of(ctx, err))
		t.process.failed(err)
	}
}

// verified compares what the timed sessions gave and returns what is recorded of the cell. It is called when nothing is being timed. It fails
// when the oracle does.
func (t *timing) verified(ctx context.Context) (perf.Measurement, error) {
	if t.m.State != evidence.Measured {
		return t.m, nil
	}
	o := perf.Outputs{FirstSHA256: t.gave[0].digest, LastSHA256: t.gave[len(t.gave)-1].digest}
	runs := t.gave
	if t.stepped != nil {
		o.StepsSHA256 = t.stepped.digest
		runs = append(runs[:len(runs):len(runs)], *t.stepped)
	}
	for i, s := range runs {
		p, err := t.process.side.Workloads.parityOf(ctx, t.m.Cell, t.work, s)
		if err != nil {
			return t.m, err
		}
		if i > 0 {
			p = worse(o.Parity, p)
		}
		o.Parity = p
	}
	t.m.Outputs = &o
	return t.m, nil
}

// sample times the session and then holds what it took against runs on inputs that are new to it (fresh.go). The one sample of a run that
// takes long is such a run itself.
func (t *timing) sample(ctx context.Context, yield func()) error {
	p, m := t.process, &t.m
	s := sampler{ctx: ctx, session: p.session, options: p.options.Filled(), long: p.options.Long[m.Cell], got: m}
	f := newFreshness(p.session, t.work)
	if s.long {
		if err := f.give(ctx); err != nil {
			return err
		}
	}
	if err := s.warmUp(); err != nil {
		return err
	}
	if err := s.run(t.pauses(yield)); err != nil {
		return err
	}
	fresh := m.Samples[0]
	if !s.long {
		out, err := p.session.Download(ctx)
		if err != nil {
			return err
		}
		t.keep(timed, out)
		if err := f.give(ctx); err != nil {
			return err
		}
		if fresh, err = f.run(ctx); err != nil {
			return err
		}
	}
	f.executed(fresh, stat.Median(m.Samples))
	out, err := f.take(ctx)
	if err != nil {
		return err
	}
	t.keep(other, out)
	return f.judge(ctx, stat.Median(m.Samples))
}

// pauses reads the devices and lets other processes have their turns.
func (t *timing) pauses(yield func()) pauses {
	s := t.process.options.Samplers[t.process.backend]
	if s == nil && yield == nil {
		return pauses{}
	}
	p := pauses{every: sampleEvery}
	if yield != nil {
		p.every, p.elsewhere, p.samples = slice, true, max(1, t.process.options.Filled().Iterations/leastTurns)
	}
	p.between = func() {
		if yield != nil {
			yield()
		}
		if s != nil {
			t.m.Devices = append(t.m.Devices, s.Sample()...)
		}
	}
	return p
}
