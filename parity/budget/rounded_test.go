package budget_test

import (
	"math/rand/v2"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/budget"
	"github.com/apex-x/apexx/parity/paritytest"
)

// perceptron is two products of many rows with an activation between. order lists the inputs of the first product in the order in which it adds them up.
func perceptron(t *testing.T, order []int) (*graph.Graph, tensor.List) {
	t.Helper()
	const rows, inputs, hidden, outputs = 64, 96, 32, 8
	draw := func(seed uint64, n int) []float32 {
		rng, out := rand.New(rand.NewPCG(seed, 1)), make([]float32, n)
		for i := range out {
			out[i] = float32(rng.NormFloat64() / 4)
		}
		return out
	}
	x, w := draw(1, rows*inputs), draw(2, inputs*hidden)
	xs, ws := make([]float32, len(x)), make([]float32, len(w))
	for to, from := range order {
		for r := range rows {
			xs[r*inputs+to] = x[r*inputs+from]
		}
		copy(ws[to*hidden:(to+1)*hidden], w[from*hidden:])
	}
	b := graph.NewBuilder("perceptron")
	in := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{rows, inputs}})
	h := b.Add1("first", graph.Gemm{}, in, b.Const("w1", tensor.Must(tensor.Of(ws, inputs, hidden))), nil)
	h = b.Add1("silu", graph.Binary{Fn: graph.Mul}, h, b.Add1("sigmoid", graph.Unary{Fn: graph.Sigmoid}, h))
	b.Output("y", b.Add1("second", graph.Gemm{}, h, b.Const("w2", tensor.Must(tensor.Of(draw(3, hidden*outputs), hidden, outputs))), nil))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g, tensor.List{{Name: "x", Tensor: tensor.Must(tensor.Of(xs, rows, inputs))}}
}

func executed(t *testing.T, g *graph.Graph, inputs tensor.List, p backends.Precision) *tensor.Tensor {
	t.Helper()
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

// TestWholeInLowPrecision holds a run with declared roundings to its budget beside one without, and one that adds up in another order to its budget beside a
// twin. The first is near what is needed, and roundings that truncate are beyond that of a twin.
func TestWholeInLowPrecision(t *testing.T) {
	ascending, descending := make([]int, 96), make([]int, 96)
	for i := range ascending {
		ascending[i], descending[i] = i, 95-i
	}
	g, inputs := perceptron(t, ascending)
	other, reordered := perceptron(t, descending)
	ratio := func(p backends.Precision, twin bool, got, want *tensor.Tensor) float64 {
		b := budget.New(reference.New(), budget.Factors["quality"], 1)
		spreads, err := b.Whole(t.Context(), g, inputs, budget.Run{Precision: p, Twin: twin}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b.Judge(got, budget.Value{Tensor: tensor.Must(tensor.Of(want.Float64s(), want.Shape()...)), Spread: tensor.Data[float64](spreads.Get("y"))}, budget.Margin{}).Ratio
	}
	exact := executed(t, g, inputs, backends.FP64)
	for _, p := range []backends.Precision{backends.TF32, backends.FP16, backends.BF16} {
		want := executed(t, g, inputs, p)
		cut, err := paritytest.Truncating(g, p.Format())
		if err != nil {
			t.Fatal(err)
		}
		beside, twins, truncated := ratio(p, false, want, exact), ratio(p, true, executed(t, other, reordered, p), want), ratio(p, true, executed(t, cut, inputs, backends.FP32), want)
		if beside > 1 || beside < 0.1 || twins > 1 || truncated <= 1 {
			t.Errorf("%s: %.3g of the budget beside float64, %.3g beside a twin, %.3g with roundings that truncate", p, beside, twins, truncated)
		}
	}
}
