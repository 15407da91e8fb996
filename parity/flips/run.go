package flips

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity"
)

// Execution is one way of executing the router.
type Execution struct {
	Column  parity.Column
	Backend backends.Backend
	Options backends.Options // without Precision, which is the column's
}

// Spec says what Run asks. All but OnImage is required.
type Spec struct {
	Graph      func(batch int) (*graph.Graph, error) // the complete model for images of the size of Images
	Images     []*tensor.Tensor                      // [1,3,H,W]
	PerImage   int                                   // router inputs made of the statistics of each
	Executions []Execution
	Setting    parity.Setting // of the model and the size of the images
	Seed       uint64
	OnImage    func(done, of int) // nil for none
}

// Run routes Images·PerImage inputs in every execution and compares each pair of them. It fails where something cannot be executed.
func Run(ctx context.Context, spec Spec) (_ *Result, err error) {
	r, err := newRun(ctx, spec)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for i, image := range spec.Images {
		if err := r.image(ctx, image, spec.Seed+uint64(i)); err != nil {
			return nil, err
		}
		if spec.OnImage != nil {
			spec.OnImage(i+1, len(spec.Images))
		}
	}
	return r.result, nil
}

type run struct {
	spec       Spec
	executions []*execution
	result     *Result
}

// execution holds the sessions of one column, and what they gave of the picture at hand.
type execution struct {
	Execution
	parts                     parts
	statistics, routing, held backends.Session // held is nil until it is needed
	given, outputs            tensor.List
}

func newRun(ctx context.Context, spec Spec) (*run, error) {
	single, err := spec.Graph(1)
	if err != nil {
		return nil, err
	}
	batch, err := spec.Graph(spec.PerImage)
	if err != nil {
		return nil, err
	}
	p, err := cut(single, batch)
	if err != nil {
		return nil, err
	}
	r := &run{spec: spec, result: &Result{Images: len(spec.Images), Inputs: len(spec.Images) * spec.PerImage}}
	var columns []parity.Column
	for _, e := range spec.Executions {
		x := &execution{Execution: e, parts: p}
		x.Options.Precision = e.Column.Precision
		r.executions = append(r.executions, x)
		columns = append(columns, e.Column)
		for _, session := range []struct {
			of    *backends.Session
			graph *graph.Graph
		}{{&x.statistics, p.statistics}, {&x.routing, p.routing}} {
			if *session.of, err = e.Backend.Compile(ctx, session.graph, x.Options); err != nil {
				return nil, errors.Join(fmt.Errorf("%s: %w", e.Column, err), r.close())
			}
		}
	}
	for _, pair := range parity.DefaultPairs(columns, false) {
		r.result.Pairs = append(r.result.Pairs, Tally{Pair: pair})
	}
	for _, p := range plants {
		r.result.Planted = append(r.result.Planted, Plant{Name: p.name})
	}
	return r, nil
}

func (r *run) close() (err error) {
	for _, e := range r.executions {
		err = errors.Join(err, e.close())
	}
	return err
}

func (e *execution) close() (err error) {
	for _, s := range []backends.Session{e.statistics, e.routing, e.held} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

// image routes the inputs that are made of one picture, and compares.
func (r *run) image(ctx context.Context, image *tensor.Tensor, seed uint64) error {
	for _, e := range r.executions {
		if err := e.route(ctx, image, r.spec.PerImage, seed); err != nil {
			return fmt.Errorf("%s: %w", e.Column, err)
		}
	}
	for i := range r.result.Pairs {
		t := &r.result.Pairs[i]
		if err := r.compare(ctx, t, r.of(t.Pair.Reference), r.of(t.Pair.Candidate)); err != nil {
			return fmt.Errorf("%s: %w", t.Pair, err)
		}
	}
	for _, e := range r.executions[1:] {
		r.plant(r.executions[0], e)
	}
	return nil
}

func (r *run) of(col parity.Column) *execution {
	return r.executions[slices.IndexFunc(r.executions, func(e *execution) bool { return e.Column == col })]
}

// route computes the statistics of a picture, varies them and chooses the tiles of each.
func (e *execution) route(ctx context.Context, image *tensor.Tensor, n int, seed uint64) error {
	got, err := backends.Run(ctx, e.statistics, tensor.List{{Name: e.parts.statistics.Inputs[0].Name, Tensor: image}})
	if err != nil {
		return err
	}
	e.given = tensor.List{{Name: e.parts.routing.Inputs[0].Name, Tensor: vary(got[0].Tensor, n, seed)}}
	out, err := backends.Run(ctx, e.routing, e.given)
	e.outputs = out.Clone()
	return err
}

// compare judges a pair on all inputs of a picture, and verifies what is explained.
func (r *run) compare(ctx context.Context, t *Tally, ref, cand *execution) error {
	report := r.report(ref.results(), cand.results(), t.Pair)
	verdicts, rerouted := worst(report.Decisions, r.spec.PerImage)
	t.tell(report.Decisions)
	if slices.Contains(rerouted, true) {
		again, err := cand.hold(ctx, ref.chosen())
		if err != nil {
			return err
		}
		held := r.report(withoutUtilities(ref.results()), withoutUtilities(again), t.Pair)
		t.tell(held.Decisions)
		after, _ := worst(held.Decisions, r.spec.PerImage)
		for i := range rerouted {
			switch {
			case !rerouted[i]:
			case after[i] == parity.Bug || after[i] == parity.Unproven:
				t.Rerouted++
				verdicts[i] = parity.Bug
			default:
				t.Rerouted++
				t.Verified++
			}
		}
	}
	t.count(verdicts)
	return nil
}

func (r *run) report(ref, cand tensor.List, pair parity.Pair) *parity.Report {
	return parity.CompareOutputs(ref, cand, parity.Options{Class: parity.PairClass(pair.Reference, pair.Candidate), Setting: r.spec.Setting})
}

// hold routes the same inputs with given tiles of level 0.
func (e *execution) hold(ctx context.Context, chosen tensor.Named) (_ tensor.List, err error) {
	if e.held == nil {
		if e.held, err = e.Backend.Compile(ctx, e.parts.held, e.Options); err != nil {
			return nil, err
		}
	}
	out, err := backends.Run(ctx, e.held, append(slices.Clone(e.given), chosen))
	return out.Clone(), err
}

// chosen are the tiles of level 0 as the router's graph has them, and results everything else.
func (e *execution) chosen() tensor.Named { return e.outputs[0] }
func (e *execution) results() tensor.List { return e.outputs[1:] }

// withoutUtilities leaves out what the tiles of level 0 were chosen by, which those that are given to an execution need not obey.
func withoutUtilities(list tensor.List) tensor.List {
	return slices.DeleteFunc(slices.Clone(list), func(n tensor.Named) bool { return n.Name == "utilities" })
}

// plant compares an execution that chose wrong with the first one.
func (r *run) plant(ref, cand *execution) {
	for i, p := range plants {
		outputs, has := p.into(cand.results())
		report := r.report(ref.results(), outputs, parity.Pair{Reference: ref.Column, Candidate: cand.Column})
		verdicts, _ := worst(report.Decisions, len(has))
		for input := range has {
			if !has[input] {
				continue
			}
			r.result.Planted[i].Planted++
			if verdicts[input] == parity.Bug {
				r.result.Planted[i].Called++
			}
		}
	}
}
