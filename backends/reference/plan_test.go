package reference

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/goldenfile"
)

// A plan covers every node that is needed exactly once, with and without taps and fusion, and splits nothing.
func TestPlanCoversEveryNode(t *testing.T) {
	every, _ := everyOperator(t, 2)
	nano, _ := hashedModel(t, 1, 128, 128)
	for _, g := range []*graph.Graph{every, nano} {
		for _, set := range []settings{fp32(), {float: tensor.Float64, isa: chosen(), taps: computed(g)}, {float: tensor.Float32, isa: chosen(), unfused: true}} {
			plan := open(t, g, set).Plan()
			seen := map[string]int{}
			for _, s := range plan.Steps {
				for _, n := range s.Nodes {
					seen[n]++
				}
			}
			for _, n := range append(append([]string{}, plan.Folded...), plan.Views...) {
				seen[n]++
			}
			needed, err := g.WithTaps(set.taps)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range needed.Nodes {
				if seen[n.Name] != 1 {
					t.Errorf("node %s is covered %d times", n.Name, seen[n.Name])
				}
			}
			if len(seen) != len(needed.Nodes) || len(plan.Split) > 0 {
				t.Errorf("the plan covers %d nodes of %d and splits %v", len(seen), len(needed.Nodes), plan.Split)
			}
		}
	}
}

// What steps read was written before, and a value is written once.
func TestPlanIsInOrder(t *testing.T) {
	g, _ := hashedModel(t, 1, 128, 128)
	known := map[string]bool{"image": true}
	for _, v := range g.Constants() {
		known[v.Name] = true
	}
	plan := open(t, g, settings{float: tensor.Float32, isa: chosen(), taps: computed(g)}).Plan()
	for _, name := range append(append([]string{}, plan.Folded...), plan.Views...) {
		for _, n := range g.Nodes {
			if n.Name != name {
				continue
			}
			for _, v := range n.Outputs {
				known[v.Name] = true
			}
		}
	}
	for _, s := range plan.Steps {
		for _, v := range s.Inputs {
			if !known[v] {
				t.Errorf("step %s reads %s, which nobody wrote", s.Name, v)
			}
		}
		for _, v := range s.Outputs {
			if known[v] {
				t.Errorf("step %s writes %s, which is written already", s.Name, v)
			}
			known[v] = true
		}
	}
}

// The steps of an emulated precision say so, and rounded weights are folded.
func TestPlanOfAnEmulatedPrecision(t *testing.T) {
	g, _ := hashedModel(t, 1, 128, 128)
	s, err := New().Compile(t.Context(), g, backends.Options{Precision: backends.BF16})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plan := s.(*session).Plan()
	for _, step := range plan.Steps {
		if step.Level != backends.Emulated || step.Precision != backends.BF16 {
			t.Errorf("step %s is %s in %s", step.Name, step.Level, step.Precision)
		}
	}
	if !slices.Contains(plan.Folded, "pv.backbone.stem.0.weight.bf16") {
		t.Errorf("folded: %v", plan.Folded)
	}
}

// TestPlan compares the plan of a graph with every operator, in which a few values are tapped, with testdata/plan.txt.
func TestPlan(t *testing.T) {
	g, _ := everyOperator(t, 1)
	set := settings{float: tensor.Float32, threads: 1, isa: chosen(), taps: []string{"stem.conv", "block.gate.split.1", "large"}}
	goldenfile.Check(t, "plan.txt", planText(open(t, g, set).Plan()))
}

// planText lists a plan but for the bytes, which depend on the instruction set.
func planText(p backends.Plan) string {
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%s %s in %s: %s\n  reads  %s\n  writes %s\n", s.Level, s.Op, s.Precision, strings.Join(s.Nodes, " "), strings.Join(s.Inputs, " "), strings.Join(s.Outputs, " "))
		if len(s.Aside) > 0 {
			fmt.Fprintf(&b, "  aside  %s\n", strings.Join(s.Aside, " "))
		}
	}
	fmt.Fprintf(&b, "folded %s\nviews  %s\n", strings.Join(p.Folded, " "), strings.Join(p.Views, " "))
	return b.String()
}
