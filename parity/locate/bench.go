package locate

import (
	"context"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/budget"
)

// A Bench is a graph taken into steps, with the reference's values, exact results and budgets of every step. Any number of backends can be
// held to them, at the price of one forced pass each.
type Bench struct {
	t      *trace
	bounds map[*unitTrace]map[*graph.Value]budget.Value
}

// Prepare runs the reference and the oracle. The candidate's plan gives the steps.
func Prepare(ctx context.Context, spec Spec) (*Bench, error) {
	t, err := newTrace(ctx, spec)
	if err != nil {
		return nil, err
	}
	for _, stage := range []func() error{t.plan, t.constants, t.teach} {
		if err := stage(); err != nil {
			return nil, err
		}
	}
	b := &Bench{t: t, bounds: map[*unitTrace]map[*graph.Value]budget.Value{}}
	t.spreads = map[*graph.Value][]float32{}
	exact, err := t.exactly(t.units)
	if err != nil {
		return nil, err
	}
	values := byName(exact)
	for _, u := range t.units {
		if b.bounds[u], err = t.bounds(u, values); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Steps returns the steps, without errors.
func (b *Bench) Steps() []Step { return b.t.Steps }

// StepOf returns the place of the step that covers a node, -1 where none does.
func (b *Bench) StepOf(node string) int {
	for i, u := range b.t.units {
		for _, n := range u.Nodes {
			if n.Name == node || n.Name == node+".unrounded" {
				return i
			}
		}
	}
	return -1
}

// Force feeds every step to a backend and returns the error of each.
func (b *Bench) Force(ctx context.Context, side Side) ([]Error, error) {
	return b.force(ctx, side, b.t.units)
}

// ForceSome feeds the steps [low, high) alone, which is faster where a backend takes long to compile.
func (b *Bench) ForceSome(ctx context.Context, side Side, low, high int) ([]Error, error) {
	return b.force(ctx, side, b.t.units[low:high])
}

func (b *Bench) force(ctx context.Context, side Side, units []*unitTrace) ([]Error, error) {
	g, inputs, err := b.t.parts(units, func(u *unitTrace) []*graph.Value { return u.Outputs })
	if err != nil {
		return nil, err
	}
	out, err := execute(ctx, side.Backend, g, inputs, side.Options)
	if err != nil {
		return nil, err
	}
	return b.judge(units, byName(out))
}

func (b *Bench) judge(units []*unitTrace, got map[string]*tensor.Tensor) ([]Error, error) {
	errors := make([]Error, len(units))
	for i, u := range units {
		for _, v := range u.Outputs {
			if err := sameType(got[v.Name], v); err != nil {
				return nil, err
			}
			b.t.hold(&errors[i], u, v, got, b.bounds[u][v], b.t.margin(u))
		}
	}
	return errors, nil
}
