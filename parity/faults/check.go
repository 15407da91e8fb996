package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/parity/locate"
)

// Trial is a fault at a place, and what locating it gave.
type Trial struct {
	Planted
	Effect float64 // largest error that the fault makes in exact arithmetic, over the budget of that element
	Ratio  float64 // largest error of the faulty candidate there, over the budget of that element
	Caught bool    // some step is beyond its budget
	Exact  bool    // the step of the fault is, and no other

	// Refused is the error with which the backend itself refused to compute on, such as of a number that its arithmetic does not hold, where it did;
	// the fault is caught then, and located where the error names the step.
	Refused string
}

// Silent tells whether the fault changes nothing on these inputs, in exact arithmetic.
func (t *Trial) Silent() bool { return t.Effect == 0 }

// Hidden tells whether the fault is below the budget: exact arithmetic with it is as near as honest arithmetic without.
func (t *Trial) Hidden() bool { return t.Effect > 0 && t.Effect <= 1 }

// Visible tells whether it is neither.
func (t *Trial) Visible() bool { return t.Effect > 1 }

// Subject is what faults are planted into: a graph on a bench, and the backends that execute it.
type Subject struct {
	Graph     *graph.Graph
	Bench     *locate.Bench
	Candidate locate.Side
	Oracle    backends.Backend // that has fp64
}

// neighbours is how many steps before and behind that of a fault are executed with it.
const neighbours = 3

// Check plants one fault, executes its step and those beside it, and sees which are beyond their budgets.
func (s *Subject) Check(ctx context.Context, x Planted) (Trial, error) {
	t := Trial{Planted: x}
	at := s.Bench.StepOf(x.Node)
	if at < 0 {
		return t, fmt.Errorf("no step covers the node %q", x.Node)
	}
	low, high := max(at-neighbours, 0), min(at+neighbours+1, len(s.Bench.Steps()))
	oracle := locate.Side{Backend: &Backend{s.Oracle, x}, Options: backends.Options{Precision: backends.FP64, Threads: s.Candidate.Options.Threads}}
	effect, err := s.Bench.ForceSome(ctx, oracle, low, high)
	if err != nil {
		return t, fmt.Errorf("%s, in float64: %w", x, err)
	}
	t.Effect = ratioOf(&effect[at-low])
	candidate := s.Candidate
	candidate.Backend = &Backend{candidate.Backend, x}
	found, err := s.Bench.ForceSome(ctx, candidate, low, high)
	var ran *locate.RunError
	switch o := evidence.Of(ctx, err); {
	case o.State == evidence.Errored && errors.As(err, &ran): // and not a graph that the backend cannot compile
		t.Refused, t.Caught, t.Exact = o.Detail, true, strings.Contains(o.Detail, s.Bench.Steps()[at].Name)
		return t, nil
	case err != nil:
		return t, fmt.Errorf("%s: %w", x, err)
	}
	t.Ratio = ratioOf(&found[at-low])
	beyond := 0
	for i := range found {
		if !found[i].Within() {
			beyond++
		}
	}
	t.Caught, t.Exact = beyond > 0, beyond == 1 && !found[at-low].Within()
	return t, nil
}

// ratioOf is the largest error over its budget. A choice that cannot have been made is beyond any.
func ratioOf(e *locate.Error) float64 {
	if e.Wrong != "" {
		return 2
	}
	return float64(e.Ratio)
}

// places draws up to n places for a fault among the nodes that steps cover.
func (s *Subject) places(f *Fault, n int, seed uint64) []string {
	var names []string
	for _, node := range s.Graph.Nodes {
		if f.fits(node) && s.Bench.StepOf(node.Name) >= 0 {
			names = append(names, node.Name)
		}
	}
	rng := rand.New(rand.NewPCG(seed, 11))
	rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:min(n, len(names))]
}

// Plan lists every fault at up to so many places, in each of its sizes.
func (s *Subject) Plan(places int, seed uint64) []Planted {
	var list []Planted
	catalogue := Catalogue()
	for i := range catalogue {
		f := &catalogue[i]
		if f.rounds && s.Candidate.Options.Precision.Format() != "" {
			continue
		}
		sizes := f.Sizes
		if sizes == nil {
			sizes = []float64{0}
		}
		for j, node := range s.places(f, places, seed+uint64(i)) {
			for _, size := range sizes {
				list = append(list, Planted{Fault: f, Node: node, Size: size, Seed: seed + uint64(j)})
			}
		}
	}
	return list
}
