package budget

import (
	"context"
	"fmt"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// maxValues bounds the elements of all values of a graph of which a whole run is derived: in float32 they take 512 MiB, and with what is
// at work at a time some three times that.
const maxValues = 1 << 27

// Run says which declared roundings a whole run has. The zero value has none, and is a run in float32.
type Run struct {
	Precision backends.Precision // tf32, fp16 or bf16; "" or fp32 for none
	Twin      bool               // it is compared with a run that rounds at the same places, such as the emulated oracle; else with one in float32 or float64
	alone     bool               // there are roundings that the other run has not
}

// Whole derives how far the values of a whole run may be from exact arithmetic: the spreads of the graph's outputs, and of the taps that
// are named, as "tap.NAME". replay names the decisions that are given and not taken: ReplayInputs has put them among the inputs, and
// spreads are then those of what follows from them. A spread is float64, in the shape of its value, infinite where nothing is known;
// integers, booleans and what is exact have zeros.
//
// Spreads are the same whatever the Factor, from 4 to Reach: it only multiplies them. A spread depends on values through slopes and sizes, so values
// of Products, in float32 or in the run's precision, serve as well as exact ones.
func (b *Budget) Whole(ctx context.Context, g *graph.Graph, inputs tensor.List, run Run, replay, taps []string) (tensor.List, error) {
	format := run.Precision.Format()
	run.alone = format != "" && !run.Twin
	given, err := g.WithReplay(replay)
	if err == nil {
		given, err = given.WithTaps(taps)
	}
	if err == nil {
		given, err = graph.Lower(given, format)
	}
	if err != nil {
		return nil, err
	}
	of := *b
	of.Factor, of.whole, of.declared = Reach, true, run
	w := &whole{b: &of, last: map[*graph.Value]*graph.Node{}, known: map[*graph.Value]Value{}}
	if err := w.plan(given); err != nil {
		return nil, err
	}
	opts := b.Options
	opts.Precision, opts.Replay = backends.FP32, replay
	if format != "" {
		opts.Precision = run.Precision
	}
	for _, n := range given.Nodes {
		for _, v := range n.Outputs {
			opts.Taps = append(opts.Taps, v.Name)
		}
	}
	session, err := b.Products.Compile(ctx, g, opts)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	computed, err := backends.Run(ctx, session, inputs)
	if err != nil {
		return nil, fmt.Errorf("values of a whole run: %w", err)
	}
	if err := w.derive(ctx, given, inputs, computed); err != nil {
		return nil, err
	}
	out := make(tensor.List, len(given.Outputs))
	for i, p := range given.Outputs {
		out[i] = tensor.Named{Name: p.Name, Tensor: spreadTensor(w.known[p.Value])}
	}
	return out, nil
}

// whole is a derivation in progress.
type whole struct {
	b     *Budget
	last  map[*graph.Value]*graph.Node // that reads a value; none of what is wanted
	known map[*graph.Value]Value
}

// plan notes who reads a value last, and refuses a graph whose values don't fit.
func (w *whole) plan(g *graph.Graph) error {
	elements := 0
	for _, n := range g.Nodes {
		for _, v := range n.Inputs {
			w.last[v] = n
		}
		for _, v := range n.Outputs {
			elements += v.Len()
		}
	}
	if elements > maxValues {
		return fmt.Errorf("the values of graph %s have %d elements; a whole run is derived of at most %d", g.Name, elements, maxValues)
	}
	for _, p := range g.Outputs {
		delete(w.last, p.Value)
	}
	return nil
}

// derive goes node by node, and drops a value when nobody reads it any more.
func (w *whole) derive(ctx context.Context, g *graph.Graph, inputs, computed tensor.List) error {
	for _, v := range g.Inputs {
		w.known[v] = Exact(inputs.Get(v.Name))
	}
	values := make(map[string]*tensor.Tensor, len(computed))
	for _, n := range computed {
		values[n.Name] = n.Tensor
	}
	for _, n := range g.Nodes {
		in, out := make([]Value, len(n.Inputs)), make([]*tensor.Tensor, len(n.Outputs))
		for i, v := range n.Inputs {
			switch {
			case v == nil:
			case v.Const != nil:
				in[i] = Exact(v.Const)
			default:
				in[i] = w.known[v]
			}
		}
		for i, v := range n.Outputs {
			if out[i] = values["tap."+v.Name]; out[i] == nil {
				return fmt.Errorf("%s returned no value %q", w.b.Products.Name(), v.Name)
			}
		}
		bounded, err := w.b.Node(ctx, n, in, out)
		if err != nil {
			return err
		}
		for i, v := range n.Outputs {
			w.known[v] = bounded[i]
		}
		for _, v := range n.Inputs {
			if w.last[v] == n {
				delete(w.known, v)
			}
		}
	}
	return nil
}

// spreadTensor returns the spreads of a value as a tensor.
func spreadTensor(v Value) *tensor.Tensor {
	if v.Spread == nil {
		return tensor.New(tensor.Float64, v.Shape()...)
	}
	return tensor.Must(tensor.Of(v.Spread, v.Shape()...))
}
