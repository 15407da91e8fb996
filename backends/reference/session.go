package reference

import (
	"context"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// session implements backends.Session.
type session struct {
	progress backends.Progress
	graph    *graph.Graph // what its inputs are checked against
	pool     *kernel.Pool
	inputs   []*tensor.Tensor // in the graph's order
	steps    []boundStep
	outputs  tensor.List // views into the arena, or constants
	replays  bool        // some inputs are decisions
	plan     backends.Plan
	timing   backends.Timing
	memory   backends.MemoryUse
}

func newSession(g *graph.Graph, p *lower.Program, c *compiler, steps []boundStep) *session {
	s := &session{graph: backends.InputsOf(g), pool: c.pool, steps: steps, plan: newPlan(p, c), replays: len(g.Replayed()) > 0}
	for _, v := range p.Inputs {
		s.inputs = append(s.inputs, v.Data)
	}
	s.memory.Host = int64(c.arena + c.held)
	if c.stepTimes {
		s.timing.Steps = make([]time.Duration, len(steps))
	}
	for _, o := range p.Outputs {
		s.outputs = append(s.outputs, tensor.Named{Name: o.Name, Tensor: o.Value.Data})
	}
	return s
}

// Upload implements backends.Session. It allocates nothing when it succeeds, but for the check of decisions under replay.
func (s *session) Upload(_ context.Context, inputs tensor.List) error {
	start := time.Now()
	if err := s.progress.Uploading(); err != nil {
		return err
	}
	if !s.accepts(inputs) {
		return backends.CheckInputs(s.graph, inputs)
	}
	for i, v := range s.inputs {
		load(v, inputs.Get(s.graph.Inputs[i].Name))
	}
	s.progress.Uploaded()
	s.timing.Upload = time.Since(start)
	return nil
}

// Execute implements backends.Session. It allocates nothing when it succeeds. A context that ends stops it between two steps.
func (s *session) Execute(ctx context.Context) error {
	start := time.Now()
	if err := s.progress.Executing(); err != nil {
		return err
	}
	for i := range s.steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.step(i); err != nil {
			return wrap(s.steps[i].node, s.steps[i].op, err)
		}
	}
	s.progress.Executed()
	s.timing.Execute = time.Since(start)
	return nil
}

// step executes one step, and times it if it was asked to.
func (s *session) step(i int) error {
	if s.timing.Steps == nil {
		return s.steps[i].run()
	}
	start := time.Now()
	err := s.steps[i].run()
	s.timing.Steps[i] = time.Since(start)
	return err
}

// Download implements backends.Session. The outputs lie in the arena: nothing is copied.
func (s *session) Download(_ context.Context, names ...string) (tensor.List, error) {
	return s.progress.Download(s.outputs, names, &s.timing, nil)
}

// accepts tells what backends.CheckInputs tells, without allocating unless decisions are replayed.
func (s *session) accepts(inputs tensor.List) bool {
	if s.replays {
		return backends.CheckInputs(s.graph, inputs) == nil
	}
	if len(inputs) != len(s.graph.Inputs) {
		return false
	}
	for _, want := range s.graph.Inputs {
		got := inputs.Get(want.Name)
		if got == nil || got.DType() != want.DType || !slices.Equal(got.Shape(), want.Shape) || got.NonFinite() >= 0 {
			return false
		}
	}
	return true
}

// load copies an input into the arena, widening float32 where the session computes in float64.
func load(dst, src *tensor.Tensor) {
	if dst.DType() == src.DType() {
		copy(tensor.Bytes(dst), tensor.Bytes(src))
		return
	}
	to := tensor.Data[float64](dst)
	for i, v := range tensor.Data[float32](src) {
		to[i] = float64(v)
	}
}

// Plan implements backends.Session.
func (s *session) Plan() backends.Plan { return s.plan }

// LastTiming implements backends.Session.
func (s *session) LastTiming() backends.Timing { return s.timing }

// Memory implements backends.Session: the arena, packed weights, folded constants and tables.
func (s *session) Memory() backends.MemoryUse { return s.memory }

// Close implements backends.Session. A second call does nothing.
func (s *session) Close() error {
	if s.progress.Close() {
		s.pool.Close()
		s.steps, s.outputs, s.inputs = nil, nil, nil
	}
	return nil
}
