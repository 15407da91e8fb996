package model_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/backends/reference"
)

// TestNames holds the naming law over the complete model of every profile, in every precision and under replay: a value has one name,
// which its node, its output, its tap, its decision and every file that holds it share.
func TestNames(t *testing.T) {
	for _, profile := range config.Profiles() {
		for _, set := range [][]string{nil, {"model.nesting_depth=2", "model.kmax_l2=8", "routing.budget_b3=2", "model.router_backend=kan"}} {
			g := complete(t, append([]string{"model.profile=" + profile}, set...)...)
			for i, p := range g.Outputs[:len(model.OutputNames)] {
				if p.Name != model.OutputNames[i] {
					t.Errorf("%s: output %d is %s, want %s", g.Name, i, p.Name, model.OutputNames[i])
				}
			}
			for _, replay := range [][]string{nil, {"all"}} {
				for _, precision := range []backends.Precision{backends.FP32, backends.TF32, backends.FP16} {
					session, err := backends.Options{Precision: precision, Replay: replay}.Specialize(g)
					if err != nil {
						t.Fatal(err)
					}
					checkNames(t, session)
					checkTravels(t, session)
				}
			}
			checkPlan(t, g, backends.FP32)
			checkPlan(t, g, backends.FP16)
		}
	}
}

// TestNamesOfVariants does the same for the modules that no profile has.
func TestNamesOfVariants(t *testing.T) {
	for _, g := range lowerable(t) {
		checkNames(t, g)
		checkTravels(t, g)
	}
}

func complete(t *testing.T, set ...string) *graph.Graph {
	t.Helper()
	cfg, err := config.Parse(nil, append([]string{"model.num_classes=3"}, set...))
	if err != nil {
		t.Fatal(err)
	}
	g, err := model.Build(cfg, model.FromSet(weights.Hashed(cfg, 1)), model.Options{Batch: 1, Height: 256, Width: 256, Decode: model.DefaultDecode()})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func checkNames(t *testing.T, g *graph.Graph) {
	t.Helper()
	taken := map[string]string{} // by what
	claim := func(name, by string) {
		if taken[name] != "" {
			t.Errorf("%s: %s and %s have the name %q", g.Name, taken[name], by, name)
		}
		taken[name] = by
	}
	for _, v := range slices.Concat(g.Inputs, g.Constants()) {
		claim(v.Name, "an input or constant")
	}
	for _, n := range g.Nodes {
		claim(n.Name, "a node")
		for _, v := range n.Outputs {
			if v.Name != n.Name {
				claim(v.Name, "a value of node "+n.Name)
			}
		}
		if len(n.Outputs) == 1 && n.Outputs[0].Name != n.Name {
			t.Errorf("%s: node %s computes the value %s", g.Name, n.Name, n.Outputs[0].Name)
		}
	}
	for _, p := range slices.Concat(g.Outputs, g.Taps) {
		if p.Name != p.Value.Name {
			t.Errorf("%s: the value %s is returned as %s", g.Name, p.Value.Name, p.Name)
		}
	}
}

// checkTravels holds what is read from a file to what was written, taps as outputs included: that is how a graph reaches a worker.
func checkTravels(t *testing.T, g *graph.Graph) {
	t.Helper()
	tapped, err := g.WithTaps([]string{"all"})
	if err != nil {
		t.Fatal(err)
	}
	for _, written := range []*graph.Graph{g, tapped} {
		for _, opts := range []onnx.WriteOptions{{}, {Form: onnx.Plain}} {
			data, err := onnx.Marshal(written, opts)
			if err != nil {
				t.Fatal(err)
			}
			read, err := onnx.Read(data)
			if err != nil {
				t.Fatal(err)
			}
			if read.Dump() != written.Dump() || !slices.Equal(marks(read), marks(written)) {
				t.Errorf("%s is read back as another graph", g.Name)
			}
		}
	}
}

// marks lists the taps and decisions whose values a graph computes: a file has no others.
func marks(g *graph.Graph) []string {
	var out []string
	computed := func(v *graph.Value) bool { return slices.Contains(g.Nodes, v.Producer) }
	for _, p := range g.Taps {
		if computed(p.Value) {
			out = append(out, "tap "+p.Name+" of "+p.Value.Name)
		}
	}
	for _, d := range g.Decisions {
		if computed(d.Value) {
			out = append(out, fmt.Sprintf("decision %s with %d scores", d.Name(), len(d.Scores)))
		}
	}
	return out
}

// checkPlan compiles a graph with all taps and holds the plan to the names of the graph.
func checkPlan(t *testing.T, g *graph.Graph, precision backends.Precision) {
	t.Helper()
	opts := backends.Options{Precision: precision, Taps: []string{"all"}}
	applied, err := opts.Apply(g)
	if err != nil {
		t.Fatal(err)
	}
	s, err := reference.New().Compile(context.Background(), g, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plan := s.(interface{ Plan() backends.Plan }).Plan()

	values, nodes := map[string]bool{}, map[string]int{}
	for _, v := range slices.Concat(applied.Inputs, applied.Constants()) {
		values[v.Name] = true
	}
	for _, n := range applied.Nodes {
		for _, v := range n.Outputs {
			values[v.Name] = true
		}
	}
	for _, step := range plan.Steps {
		if step.Name != step.Nodes[len(step.Nodes)-1] {
			t.Errorf("%s in %s: the step %s covers %v", g.Name, precision, step.Name, step.Nodes)
		}
		for _, name := range slices.Concat(step.Inputs, step.Outputs) {
			if !values[name] {
				t.Errorf("%s in %s: the step %s has to do with %s, which is no value of the graph", g.Name, precision, step.Name, name)
			}
		}
		for _, name := range step.Nodes {
			nodes[name]++
		}
	}
	for _, name := range slices.Concat(plan.Folded, plan.Views) {
		nodes[name]++
	}
	for _, n := range applied.Nodes {
		if nodes[n.Name] != 1 {
			t.Errorf("%s in %s: the plan has node %s %d times", g.Name, precision, n.Name, nodes[n.Name])
		}
	}
	if len(nodes) != len(applied.Nodes) {
		t.Errorf("%s in %s: the plan names %d nodes, the graph has %d", g.Name, precision, len(nodes), len(applied.Nodes))
	}
}
