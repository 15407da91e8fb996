package budget_test

import (
	"math"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/budget"
)

// chain is x + 1024 - 1024 behind a product, with a tap between.
func chain(t *testing.T) *graph.Graph {
	t.Helper()
	b := graph.NewBuilder("chain")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 4}})
	w := tensor.New(tensor.Float32, 4, 3)
	for i := range tensor.Data[float32](w) {
		tensor.Data[float32](w)[i] = float32(i%5)/5 - 0.37
	}
	y := b.Add1("product", graph.Gemm{}, x, b.Const("w", w), nil)
	raised := b.Add1("raised", graph.Binary{Fn: graph.Add}, y, b.Scalar(1024))
	b.Tap("raised", raised)
	b.Output("y", b.Add1("lowered", graph.Binary{Fn: graph.Sub}, raised, b.Scalar(1024)))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestWhole derives the spread of an output through all that comes before it, and that of a tap, and finds the float32 run within both.
func TestWhole(t *testing.T) {
	g := chain(t)
	inputs := tensor.List{{Name: "x", Tensor: tensor.Must(tensor.Of([]float32{0.1, 0.2, 0.3, 0.4}, 1, 4))}}
	b := budget.New(reference.New(), 4, 1)
	spreads, err := b.Whole(t.Context(), g, inputs, budget.Run{}, nil, []string{"raised"})
	if err != nil {
		t.Fatal(err)
	}
	y, raised := spreads.Get("y"), spreads.Get("tap.raised")
	if y == nil || raised == nil {
		t.Fatalf("spreads of %v", spreads)
	}
	for i, s := range tensor.Data[float64](y) { // 1024 is rounded to u·1024, which stays when it is taken away
		if r := tensor.Data[float64](raised)[i]; math.Abs(s-r) > 1e-3*r || r < 1023*budget.Unit || r > 1025*budget.Unit {
			t.Errorf("element %d has the spread %g, before %g", i, s, r)
		}
	}
	run := func(p backends.Precision) *tensor.Tensor {
		session, err := reference.New().Compile(t.Context(), g, backends.Options{Precision: p})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		out, err := backends.Run(t.Context(), session, inputs)
		if err != nil {
			t.Fatal(err)
		}
		return out.Clone()[0].Tensor
	}
	j := b.Judge(run(backends.FP32), budget.Value{Tensor: run(backends.FP64), Spread: tensor.Data[float64](y)}, budget.Margin{})
	if !j.Within() || j.Ratio < 1e-3 {
		t.Errorf("%+v", j)
	}
	if _, err := b.Whole(t.Context(), g, inputs, budget.Run{}, nil, []string{"nobody"}); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a tap that is not there: %v", err)
	}
	if _, err := b.Whole(t.Context(), g, inputs, budget.Run{}, []string{"nobody"}, nil); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a decision that is not there: %v", err)
	}
}

// TestWholeIsBounded refuses a graph whose values would not fit.
func TestWholeIsBounded(t *testing.T) {
	b := graph.NewBuilder("large")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1 << 14, 1 << 14}})
	b.Output("y", b.Add1("y", graph.Unary{Fn: graph.Relu}, x))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := budget.New(reference.New(), 4, 1).Whole(t.Context(), g, nil, budget.Run{}, nil, nil); err == nil || !strings.Contains(err.Error(), "268435456 elements; a whole run is derived of at most 134217728") {
		t.Errorf("error %v", err)
	}
}

// TestWholeServesEveryProfile derives the same spreads under every λ, through a branch and a jump that errors of 7 spreads reach and of 4 do not.
func TestWholeServesEveryProfile(t *testing.T) {
	const off = 7 * 512 * budget.Unit // what the sum below leaves x - 512 off by is 512·u
	b := graph.NewBuilder("branches")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 2}})
	near := b.Add1("near", graph.Binary{Fn: graph.Sub}, b.Add1("raised", graph.Binary{Fn: graph.Add}, x, b.Scalar(512)), b.Scalar(512))
	b.Output("relu", b.Add1("relu", graph.Unary{Fn: graph.Relu}, near))
	b.Output("floor", b.Add1("floor", graph.Unary{Fn: graph.Floor}, near))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	inputs := tensor.List{{Name: "x", Tensor: tensor.Must(tensor.Of([]float32{-off, -0.5}, 1, 2))}}
	for profile, factor := range budget.Factors {
		spreads, err := budget.New(reference.New(), factor, 1).Whole(t.Context(), g, inputs, budget.Run{}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		relu, floor := tensor.Data[float64](spreads.Get("relu")), tensor.Data[float64](spreads.Get("floor"))
		if relu[0] == 0 || relu[1] != 0 {
			t.Errorf("%s: behind the branch %v, want a spread of the first alone", profile, relu)
		}
		if factor*floor[0] < 1 || floor[1] != 0 {
			t.Errorf("%s: λ·σ behind the jump is %g and %g, want at least 1 and 0", profile, factor*floor[0], factor*floor[1])
		}
	}
}
