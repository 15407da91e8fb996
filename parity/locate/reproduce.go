package locate

import (
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity"
)

// Reproducer is the first step beyond its budget by itself.
type Reproducer struct {
	Step    string
	Side    parity.Column // whose values are beyond the budget
	Graph   *graph.Graph  // the step's nodes; what they read is its input
	Inputs  tensor.List   // the reference's values
	Exact   tensor.List   // what float64 computes of them
	Outputs tensor.List   // what the side computes of them
}

// Reproducer returns the first step beyond its budget, nil where there is none.
func (t *Trace) Reproducer() *Reproducer { return t.reproducer }

// keep executes the unit by itself, on the side whose values are wrong and exactly.
func (t *trace) keep(u *unitTrace, side Side) error {
	outputs := func(u *unitTrace) []*graph.Value { return u.Outputs }
	g, inputs, err := t.parts([]*unitTrace{u}, outputs)
	if err != nil {
		return err
	}
	got, err := execute(t.ctx, side.Backend, g, inputs, side.Options)
	if err != nil {
		return fmt.Errorf("step %s by itself: %w", u.Name, err)
	}
	all, err := t.exactly([]*unitTrace{u})
	if err != nil {
		return err
	}
	r := &Reproducer{Step: u.Name, Side: side.column(), Graph: g, Inputs: inputs, Outputs: got}
	for _, v := range u.Outputs {
		r.Exact = append(r.Exact, tensor.Named{Name: v.Name, Tensor: all.Get(v.Name)})
	}
	t.reproducer = r
	return nil
}
