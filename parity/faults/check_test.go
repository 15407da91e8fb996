package faults_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/faults"
	"github.com/apex-x/apexx/parity/locate"
)

// narrow is a backend that ends an execution at a number that it cannot hold, with the name of a node, or refuses to compile more nodes than a graph has.
type narrow struct {
	backends.Backend
	names string // in its error
	nodes int    // most of a graph that it compiles; 0 means any
}

func (b narrow) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	if b.nodes > 0 && len(g.Nodes) > b.nodes {
		return nil, errors.New("no room")
	}
	s, err := b.Backend.Compile(ctx, g, opts)
	return &narrowSession{s, b.names}, err
}

type narrowSession struct {
	backends.Session
	names string
}

func (s *narrowSession) Execute(ctx context.Context) error {
	if err := s.Session.Execute(ctx); err != nil {
		return err
	}
	out, err := s.Download(ctx)
	for _, o := range out {
		if slices.ContainsFunc(o.Float64s(), func(v float64) bool { return v > 65504 }) {
			return errors.New("node " + s.names + ": a number of more than 65504")
		}
	}
	return err
}

// TestRefused counts a fault as caught with which the backend itself ends the execution, as located where its error names the step, and not where the
// backend cannot even compile the graph that has the fault.
func TestRefused(t *testing.T) {
	b := graph.NewBuilder("two")
	x := b.Add1("first", graph.Unary{Fn: graph.Tanh}, b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{2, 8}}))
	b.Output("y", b.Add1("second", graph.Unary{Fn: graph.Sigmoid}, x))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	in := tensor.New(tensor.Float32, 2, 8)
	for i := range tensor.Data[float32](in) {
		tensor.Data[float32](in)[i] = float32(i) / 8
	}
	catalogue := faults.Catalogue()
	at := slices.IndexFunc(catalogue, func(f faults.Fault) bool { return strings.HasPrefix(f.Name, "one element not written") })
	if at < 0 {
		t.Fatal("the catalogue has no such fault")
	}
	planted := faults.Planted{Fault: &catalogue[at], Node: "first", Size: 1e30, Seed: 1}
	oracle := reference.New()
	for _, c := range []struct {
		name      string
		candidate backends.Backend
		refused   string
		exact     bool
		problem   string
	}{
		{"holds it", oracle, "", true, ""},
		{"refuses, and names the step", narrow{oracle, "first", 0}, "node first: a number", true, ""},
		{"refuses, and names another", narrow{oracle, "second", 0}, "node second: a number", false, ""},
		{"does not compile", narrow{oracle, "first", 2}, "", false, "no room"},
	} {
		side := locate.Side{Backend: c.candidate, Options: backends.Options{Extra: map[string]string{"unfused": "all"}}}
		bench, err := locate.Prepare(t.Context(), locate.Spec{Graph: g, Inputs: tensor.List{{Name: "x", Tensor: in}}, Reference: side, Candidate: side, Oracle: oracle, Profile: "quality"})
		if err != nil {
			t.Fatal(err)
		}
		trial, err := (&faults.Subject{Graph: g, Bench: bench, Candidate: side, Oracle: oracle}).Check(t.Context(), planted)
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s: %+v, %v", c.name, trial, err)
			}
			continue
		}
		if err != nil || !trial.Caught || trial.Exact != c.exact || !strings.HasPrefix(trial.Refused, c.refused) || (trial.Refused == "") != (c.refused == "") {
			t.Errorf("%s: %+v, %v", c.name, trial, err)
		}
	}
}
