package video

import (
	"context"
	"errors"
	"fmt"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
)

// selectionDecision is the graph's choice of level-0 tiles.
const selectionDecision = "ff.select_l0"

// ErrNothingToHold says that the graph chooses no tiles: it runs all of them, or none.
var ErrNothingToHold = errors.New("hysteresis has nothing to hold: the configuration leaves no choice of level-0 tiles (see routing.budget_b1, model.force_dense_routing)")

// selector chooses the level-0 tiles of each frame by hysteresis on the host.
type selector struct {
	router     *execute.Sequence // of the graph up to the utilities
	thresholds routing.Thresholds
	previous   []int // by tile: 1 if it was chosen in the frame before
	count      int   // tiles that the graph takes
}

// newSelector compiles the part of a graph that gives the utilities, for a batch of one.
func newSelector(ctx context.Context, b backends.Backend, g *graph.Graph, o backends.Options, t routing.Thresholds) (*selector, error) {
	var decision *graph.Decision
	for i, d := range g.Decisions {
		if d.Name() == selectionDecision && d.Value.Shape[1] < d.Limit {
			decision = &g.Decisions[i]
		}
	}
	if decision == nil {
		return nil, exit.With(exit.Usage, ErrNothingToHold)
	}
	head, err := g.Cut(g.Inputs, decision.Scores)
	if err != nil {
		return nil, err
	}
	o.Taps = nil
	router, err := execute.OpenSequence(ctx, b, head, o)
	if err != nil {
		return nil, err
	}
	return &selector{router: router, thresholds: t, previous: make([]int, decision.Limit), count: decision.Value.Shape[1]}, nil
}

// choose returns the inputs of a frame with the decision that the graph shall replay.
func (s *selector) choose(ctx context.Context, inputs tensor.List) (tensor.List, error) {
	out, _, err := s.router.Run(ctx, inputs)
	if err != nil {
		return nil, err
	}
	ids, err := routing.HeldSelection(float64s(out[0].Tensor), s.previous, s.thresholds, s.count)
	if err != nil {
		return nil, fmt.Errorf("choose tiles: %w", err)
	}
	s.previous = maskOf(ids, len(s.previous))
	decision := tensor.New(tensor.Int64, 1, s.count)
	for i, id := range ids {
		tensor.Data[int64](decision)[i] = int64(id)
	}
	return append(inputs[:len(inputs):len(inputs)], tensor.Named{Name: graph.ReplayInput(selectionDecision), Tensor: decision}), nil
}

// maskOf returns 1 for each of the ids in [0,n), else 0.
func maskOf[T int | int64](ids []T, n int) []int {
	mask := make([]int, n)
	for _, id := range ids {
		mask[id] = 1
	}
	return mask
}

func float64s(t *tensor.Tensor) []float64 {
	if t.DType() == tensor.Float64 {
		return tensor.Data[float64](t)
	}
	out := make([]float64, t.Len())
	for i, v := range tensor.Data[float32](t) {
		out[i] = float64(v)
	}
	return out
}
