package reference

import (
	"context"
	"errors"
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
	graph   *graph.Graph // what its inputs are checked against
	pool    *kernel.Pool
	inputs  []*tensor.Tensor // in the graph's order
	steps   []boundStep
	outputs tensor.List // views into the arena, or constants
	replays bool        // some inputs are decisions
	plan    backends.Plan
	timing  backends.Timing
	memory  backends.MemoryUse
	closed  bool
}

func newSession(g *graph.Graph, p *lower.Program, c *compiler, steps []boundStep) *session {
	s := &session{graph: asked(g), pool: c.pool, steps: steps, plan: newPlan(p, c), replays: len(g.Replayed()) > 0}
	for _, v := range p.Inputs {
		s.inputs = append(s.inputs, v.Data)
	}
	s.memory.Host = int64(c.arena + c.held)
	for _, o := range p.Outputs {
		s.outputs = append(s.outputs, tensor.Named{Name: o.Name, Tensor: o.Value.Data})
	}
	return s
}

// asked returns what of a graph says which inputs a run takes: the inputs, and the decisions that some of them replay. The weights
// need not stay for that.
func asked(g *graph.Graph) *graph.Graph {
	bare := func(v *graph.Value) *graph.Value {
		if v == nil {
			return nil
		}
		return &graph.Value{Name: v.Name, Type: v.Type}
	}
	out := &graph.Graph{Name: g.Name, Inputs: g.Inputs}
	for _, d := range g.Replayed() {
		out.Decisions = append(out.Decisions, graph.Decision{Value: bare(d.Value), Count: bare(d.Count), Limit: d.Limit})
	}
	return out
}

var errClosed = errors.New("the session is closed")

// Run implements backends.Session. It allocates nothing when it succeeds, but for the check of decisions under replay.
func (s *session) Run(ctx context.Context, inputs tensor.List) (tensor.List, error) {
	if s.closed {
		return nil, errClosed
	}
	if !s.accepts(inputs) {
		return nil, backends.CheckInputs(s.graph, inputs)
	}
	start := time.Now()
	for i, v := range s.inputs {
		load(v, inputs.Get(s.graph.Inputs[i].Name))
	}
	for _, st := range s.steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := st.run(); err != nil {
			return nil, wrap(st.node, st.op, err)
		}
	}
	s.timing = backends.Timing{Execute: time.Since(start)}
	return s.outputs, nil
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
	switch src.DType() {
	case tensor.Float32:
		from := tensor.Data[float32](src)
		if dst.DType() == tensor.Float32 {
			copy(tensor.Data[float32](dst), from)
			return
		}
		to := tensor.Data[float64](dst)
		for i, v := range from {
			to[i] = float64(v)
		}
	case tensor.Int32:
		copy(tensor.Data[int32](dst), tensor.Data[int32](src))
	case tensor.Int64:
		copy(tensor.Data[int64](dst), tensor.Data[int64](src))
	case tensor.Bool:
		copy(tensor.Data[bool](dst), tensor.Data[bool](src))
	}
}

// Plan returns the steps of the session. They are its own: do not change them.
func (s *session) Plan() backends.Plan { return s.plan }

// LastTiming implements backends.Session. Everything is Execute: the host needs no transfers.
func (s *session) LastTiming() backends.Timing { return s.timing }

// Memory implements backends.Session: the arena, packed weights, folded constants and tables.
func (s *session) Memory() backends.MemoryUse { return s.memory }

// Close implements backends.Session. A second call does nothing.
func (s *session) Close() error {
	if !s.closed {
		s.closed = true
		s.pool.Close()
		s.steps, s.outputs, s.inputs = nil, nil, nil
	}
	return nil
}
