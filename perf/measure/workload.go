package measure

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/perf"
)

// Shape is what the complete model is built for.
type Shape struct {
	Profile              string
	Batch, Height, Width int
}

func shapeOf(c perf.Cell) Shape { return Shape{c.Profile, c.Batch, c.Height, c.Width} }

// feed tells the inputs of a workload apart.
type feed int

const (
	timed feed = iota // what the samples are taken with
	other             // what tells whether a session computes anew what it is given (fresh.go)
	feeds             // how many there are
)

// Feeds are two inputs of equal names, types and shapes, and of different content, so that what a session computed of the one is wrong for
// the other. Samples are taken with the first.
type Feeds [feeds]tensor.List

// Complete is the complete model for a shape, with the images [B,3,H,W] that it is fed; or a model that is not Apex-X, whose setting says so
// and which has inputs of its own.
type Complete struct {
	Graph   *graph.Graph
	Feeds   Feeds
	Setting parity.Setting
	Costs   Costs
	Digests Digests
}

// Digests identify the content of a model by SHA-256 in hexadecimal; "" where it is not known.
type Digests struct {
	Config  string `json:"config_sha256"`
	Weights string `json:"weights_sha256"`
}

// Costs are what the routing of a model may spend, for each sample of a batch.
type Costs struct {
	L0, Split  float64 // of an L0 tile, and of one split
	B1, B2, B3 float64 // budgets of L0 tiles, of splits of L0 tiles and of splits of L1 tiles
	Dense      bool    // B1 is ignored
}

// ModelSource makes the complete model of a shape.
type ModelSource interface {
	Complete(ctx context.Context, s Shape) (*Complete, error)
}

// Workload is what a cell executes.
type Workload struct {
	Graph *graph.Graph
	Feeds Feeds
}

// Workloads makes the workloads of cells out of complete models. It is not safe for concurrent use.
type Workloads struct {
	models   ModelSource
	oracle   backends.Backend
	donor    *Workloads // whose inputs operators are fed with; nil for their own
	complete map[Shape]*Complete
	reached  map[Shape]Feeds // values at the borders of operators, by name
	answers  map[question]*answers
	known    map[given]perf.Parity
	settled  map[place]settled
}

// NewWorkloads returns workloads of the models. The oracle computes what reaches an operator in the complete model, and in float64
// what every cell should give.
func NewWorkloads(models ModelSource, oracle backends.Backend) *Workloads {
	return &Workloads{models: models, oracle: oracle, complete: map[Shape]*Complete{}, reached: map[Shape]Feeds{},
		answers: map[question]*answers{}, known: map[given]perf.Parity{}, settled: map[place]settled{}}
}

// FeedFrom has operators fed with what reaches them in another build's models, where these have the operator with inputs of the same
// names, types and shapes. Two builds that are compared have to be given the same: what the one computes before an operator is no
// excuse for what that operator then computes, or takes.
func (w *Workloads) FeedFrom(donor *Workloads) { w.donor = donor }

// Digests identify the models that were made, by profile.
func (w *Workloads) Digests() map[string]Digests {
	out := map[string]Digests{}
	for shape, m := range w.complete {
		out[shape.Profile] = m.Digests
	}
	return out
}

// Of returns the workload of a cell. Its graph's metadata name the cell, for injected faults. Cells with one Cell.Workload have
// equal workloads.
func (w *Workloads) Of(ctx context.Context, c perf.Cell) (Workload, error) {
	m, err := w.model(ctx, shapeOf(c))
	if err != nil {
		return Workload{}, err
	}
	g, err := Cut(m.Graph, c.Scope)
	if err != nil {
		return Workload{}, fmt.Errorf("cell %s: %w", c, err)
	}
	inputs := m.Feeds
	if c.Scope.Operator() {
		if inputs, err = w.feed(ctx, c, g.Inputs); err != nil {
			return Workload{}, fmt.Errorf("inputs of cell %s: %w", c, err)
		}
	}
	return Workload{named(g, c), inputs}, nil
}

// feed returns the inputs of an operator: the donor's where there is one and they fit, else what reaches it in its own model.
func (w *Workloads) feed(ctx context.Context, c perf.Cell, values []*graph.Value) (Feeds, error) {
	if w.donor != nil {
		if theirs, err := w.donor.Of(ctx, c); err == nil && fits(theirs.Feeds[timed], values) {
			return theirs.Feeds, nil
		}
	}
	return w.reach(ctx, c, values)
}

// fits tells whether tensors can be the values of a graph.
func fits(inputs tensor.List, values []*graph.Value) bool {
	return slices.EqualFunc(inputs, values, func(t tensor.Named, v *graph.Value) bool {
		return t.Name == v.Name && t.DType() == v.DType && slices.Equal(t.Shape(), v.Shape)
	})
}

func named(g *graph.Graph, c perf.Cell) *graph.Graph {
	g.Metadata = maps.Clone(g.Metadata)
	g.Metadata[worker.CellKey] = c.String()
	return g
}

func (w *Workloads) model(ctx context.Context, s Shape) (*Complete, error) {
	if w.complete[s] == nil {
		m, err := w.models.Complete(ctx, s)
		if err != nil {
			return nil, err
		}
		w.complete[s] = m
	}
	return w.complete[s], nil
}

// reach returns the values at the border of an operator. The first call for a shape computes those of every operator.
func (w *Workloads) reach(ctx context.Context, c perf.Cell, values []*graph.Value) (out Feeds, err error) {
	s := shapeOf(c)
	if _, known := w.reached[s]; !known {
		if err := w.compute(ctx, s); err != nil {
			return out, err
		}
	}
	for f, computed := range w.reached[s] {
		for _, v := range values {
			t := computed.Get(v.Name)
			if t == nil {
				return out, fmt.Errorf("the value %q was not computed", v.Name)
			}
			out[f] = append(out[f], tensor.Named{Name: v.Name, Tensor: t})
		}
	}
	return out, nil
}

// compute runs the complete model once with each of its inputs, for the inputs of all operators.
func (w *Workloads) compute(ctx context.Context, s Shape) error {
	m := w.complete[s]
	var names []string
	for _, scope := range perf.Scopes {
		if !scope.Operator() {
			continue
		}
		b, err := borderOf(m.Graph, scope)
		if err != nil {
			continue // the cell of this scope says so when it comes
		}
		for _, v := range b.inputs {
			if v.Producer != nil && !slices.Contains(names, v.Name) {
				names = append(names, v.Name)
			}
		}
	}
	session, err := w.oracle.Compile(ctx, m.Graph, backends.Options{Precision: backends.FP32, Taps: names})
	if err != nil {
		return err
	}
	defer session.Close()
	var reached Feeds
	for f, inputs := range m.Feeds {
		outputs, err := backends.Run(ctx, session, inputs)
		if err != nil {
			return err
		}
		reached[f] = slices.Clone(inputs)
		for _, name := range names {
			reached[f] = append(reached[f], tensor.Named{Name: name, Tensor: outputs.Get("tap." + name).Clone()})
		}
	}
	w.reached[s] = reached
	return nil
}
