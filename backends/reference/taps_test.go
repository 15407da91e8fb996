package reference

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// Tapping every value changes no bit of an output, on any instruction set and in any precision.
func TestTapsChangeNothing(t *testing.T) {
	type model struct {
		name   string
		graph  *graph.Graph
		inputs tensor.List
	}
	every, everyInputs := everyOperator(t, 2)
	models := []model{{"every operator", every, everyInputs}}
	for _, profile := range []string{"nano", "small"} {
		for _, side := range []int{128, 256} {
			g, inputs := hashedModel(t, 1, side, side, "model.profile="+profile)
			models = append(models, model{profile, g, inputs})
		}
	}
	two, twoInputs := hashedModel(t, 2, 128, 128, "model.nesting_depth=2", "model.kmax_l2=32", "routing.budget_b3=4")
	models = append(models, model{"two levels of two images", two, twoInputs})
	low, lowInputs := hashedModel(t, 1, 128, 128)
	low, err := graph.Lower(low, graph.BF16)
	if err != nil {
		t.Fatal(err)
	}
	models = append(models, model{"lowered to bf16", low, lowInputs})
	for _, m := range models {
		all := computed(m.graph)
		for _, float := range []tensor.DType{tensor.Float32, tensor.Float64} {
			for _, isa := range []kernel.ISA{kernel.Portable, chosen()} {
				set := settings{float: float, threads: 2, isa: isa}
				want := outputs(t, m.graph, m.inputs, set).Clone()
				set.taps = all
				got := outputs(t, m.graph, m.inputs, set)
				if len(got) != len(want)+len(all) {
					t.Fatalf("%s: %d outputs, want %d and %d taps", m.name, len(got), len(want), len(all))
				}
				requireSame(t, m.name+" "+float.String()+" "+isa.String(), got, want)
			}
		}
	}
}

// Neither do some of them, in any order and named twice.
func TestSomeTapsChangeNothing(t *testing.T) {
	g, inputs := everyOperator(t, 2)
	all, r := computed(g), rand.New(rand.NewPCG(7, 8))
	for _, set := range []settings{fp32(), fp64()} {
		want := outputs(t, g, inputs, set).Clone()
		everything := set
		everything.taps = all
		values := outputs(t, g, inputs, everything).Clone()
		for range 40 {
			tapped := set
			for range 1 + r.IntN(6) {
				tapped.taps = append(tapped.taps, all[r.IntN(len(all))])
			}
			got := outputs(t, g, inputs, tapped)
			requireSame(t, strings.Join(tapped.taps, " "), got, want)
			for _, o := range got[len(want):] {
				requireSame(t, "tap", tensor.List{o}, tensor.List{{Name: o.Name, Tensor: values.Get(o.Name)}})
			}
		}
	}
}

// What a tap returns is within rounding of the plain float64 evaluation of the graph, operator by operator.
func TestTapsAreRight(t *testing.T) {
	g, inputs := everyOperator(t, 2)
	tapped, err := g.WithTaps(computed(g))
	if err != nil {
		t.Fatal(err)
	}
	want, err := backendtest.Oracle(tapped, inputs)
	if err != nil {
		t.Fatal(err)
	}
	requireTapsNear(t, g, inputs, want, 2e-5)
}

// In the complete model float64 without fusion stands for the plain evaluation, which takes too long there.
func TestTapsOfTheCompleteModelAreRight(t *testing.T) {
	for _, profile := range []string{"nano", "small"} {
		g, inputs := hashedModel(t, 1, 128, 128, "model.profile="+profile)
		plain := fp64()
		plain.unfused, plain.taps = unfused{all: true}, computed(g)
		requireTapsNear(t, g, inputs, outputs(t, g, inputs, plain), 2e-4)
	}
}

// requireTapsNear compares the outputs and taps of both precisions with want.
func requireTapsNear(t *testing.T, g *graph.Graph, inputs, want tensor.List, tol32 float64) {
	t.Helper()
	for _, c := range []struct {
		set settings
		tol float64
	}{{fp32(), tol32}, {fp64(), 1e-9}} {
		c.set.taps = computed(g)
		got := outputs(t, g, inputs, c.set)
		for i, w := range want {
			tol := c.tol
			if !w.DType().IsFloat() {
				tol = 0
			}
			requireNear(t, w.Name, got[i].Tensor, w.Float64s(), tol)
		}
	}
}
