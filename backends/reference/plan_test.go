package reference

import (
	"fmt"
	"math"
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
		for _, set := range []settings{fp32(), {float: tensor.Float64, isa: chosen(), taps: computed(g)}, {float: tensor.Float32, isa: chosen(), unfused: unfused{all: true}}} {
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

// TestUnfused takes steps apart at single nodes.
func TestUnfused(t *testing.T) {
	b := graph.NewBuilder("unfused")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 8, 12, 12}})
	w, scale, bias := tensor.New(tensor.Float32, 8, 8, 3, 3), tensor.New(tensor.Float32, 8), tensor.New(tensor.Float32, 8)
	for i := range tensor.Data[float32](w) {
		tensor.Data[float32](w)[i] = float32(i%13) - 6
	}
	for i := range tensor.Data[float32](scale) {
		tensor.Data[float32](scale)[i] = 1 + float32(i)/8
	}
	conv := b.Add1("conv", graph.Conv{Pads: [4]int{1, 1, 1, 1}, Strides: [2]int{1, 1}, Group: 1}, x, b.Const("w", w))
	norm := b.Add1("norm", graph.GroupNormalization{Groups: 2, Epsilon: 1e-5}, conv, b.Const("scale", scale), b.Const("bias", bias))
	gate := b.Add1("gate", graph.Unary{Fn: graph.Sigmoid}, norm)
	b.Output("y", b.Add1("silu", graph.Binary{Fn: graph.Mul}, norm, gate))
	g, err := b.Build()
	require(t, err)
	in := tensor.New(tensor.Float32, 1, 8, 12, 12)
	for i := range tensor.Data[float32](in) {
		tensor.Data[float32](in)[i] = float32(i%29)/29 - 0.4
	}
	var first tensor.List
	for _, c := range []struct {
		unfused string
		ops     []string
	}{
		{"", []string{"ConvGroupNormSiLU"}},
		{"silu", []string{"ConvGroupNorm", "Sigmoid", "Mul"}},
		{"gate", []string{"ConvGroupNorm", "SiLU"}},
		{"norm", []string{"Conv", "GroupNormSiLU"}},
		{"silu,norm", []string{"Conv", "GroupNormalization", "Sigmoid", "Mul"}},
		{"all", []string{"Conv", "GroupNormalization", "Sigmoid", "Mul"}},
	} {
		opts := backends.Options{}
		if c.unfused != "" {
			opts.Extra = map[string]string{"unfused": c.unfused}
		}
		s, err := New().Compile(t.Context(), g, opts)
		require(t, err)
		var ops []string
		for _, step := range s.Plan().Steps {
			ops = append(ops, step.Op)
		}
		if !slices.Equal(ops, c.ops) {
			t.Errorf("unfused %q: steps %v, want %v", c.unfused, ops, c.ops)
		}
		out, err := backends.Run(t.Context(), s, tensor.List{{Name: "x", Tensor: in}})
		require(t, err)
		if first == nil {
			first = out.Clone()
		}
		for i, v := range tensor.Data[float32](out[0].Tensor) {
			if want := tensor.Data[float32](first[0].Tensor)[i]; math.Abs(float64(v-want)) > 1e-5 {
				t.Fatalf("unfused %q: element %d is %g, in one step %g", c.unfused, i, v, want)
			}
		}
		require(t, s.Close())
	}
}
