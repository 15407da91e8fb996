package budget_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/budget"
)

// sums are sums of K products in float32, by one of the ways that honest executions take.
var sums = []struct {
	name string
	of   func(terms []float32) float32
}{
	{"one by one", func(terms []float32) float32 { return partial(terms, 0, 1) }},
	{"in four turns", func(terms []float32) float32 {
		return partial(terms, 0, 4) + partial(terms, 1, 4) + (partial(terms, 2, 4) + partial(terms, 3, 4))
	}},
	{"in blocks of 64", func(terms []float32) (sum float32) {
		for len(terms) > 0 {
			n := min(64, len(terms))
			sum += partial(terms[:n], 0, 1)
			terms = terms[n:]
		}
		return sum
	}},
}

func partial(terms []float32, from, step int) (sum float32) {
	for i := from; i < len(terms); i += step {
		sum += terms[i]
	}
	return sum
}

// TestSumsInAnyOrder holds float32 sums of many kinds of terms, added in many orders, to the budget of a product, at λ = 4: terms of both signs and of one
// sign, terms of which many are equal, and terms that are all equal. That budget is no larger than it has to be: in each kind, some sum needs a
// tenth of it.
func TestSumsInAnyOrder(t *testing.T) {
	const filters, trials = 9, 100
	rng := rand.New(rand.NewPCG(5, 9))
	signed := func() float64 { return rng.NormFloat64() }
	positive := func() float64 { return rng.Float64() }
	for _, kind := range []struct {
		name    string
		draw    func() float64
		values  int // how many values of a sum are distinct; 0: all
		weights int // how many weights are
	}{
		{"of both signs", signed, 0, 0},
		{"of one sign", positive, 0, 0},
		{"by one weight", positive, 0, 1},
		{"of a few values of both signs", signed, filters, filters},
		{"of a few values of one sign", positive, filters, filters},
		{"all equal", positive, 1, 1},
	} {
		most := 0.0
		for _, k := range []int{27, 576, 4608} {
			b := repeated(k, kind.weights, kind.draw)
			var a []float64
			for range trials {
				a = append(a, repeated(k, kind.values, kind.draw)...)
			}
			allowed, exact := budgetOfSums(t, a, b)
			for row := range trials {
				terms := make([]float32, k)
				for i := range terms {
					terms[i] = float32(a[row*k+i] * b[i])
				}
				for _, way := range sums {
					off := math.Abs(float64(way.of(terms)) - exact[row])
					if most = max(most, off/allowed[row]); off > allowed[row] {
						t.Fatalf("%d terms %s, trial %d: added %s the sum is off by %g, of which %g is allowed", k, kind.name, row, way.name, off, allowed[row])
					}
				}
			}
		}
		if t.Logf("%s: %.2f of the budget", kind.name, most); most < 0.1 {
			t.Errorf("terms %s: no sum needs more than %.3f of the budget", kind.name, most)
		}
	}
}

// repeated draws n float32 numbers, of which so many are distinct, over and over; 0: all.
func repeated(n, distinct int, draw func() float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		if distinct > 0 && i >= distinct {
			out[i] = out[i-distinct]
		} else {
			out[i] = float64(float32(draw()))
		}
	}
	return out
}

// budgetOfSums returns what the strictest profile allows each row of a product of a matrix and a vector, and the exact sums.
func budgetOfSums(t *testing.T, a, b []float64) (allowed, exact []float64) {
	t.Helper()
	k, rows := len(b), len(a)/len(b)
	exact = make([]float64, rows)
	for i, v := range a {
		exact[i/k] += v * b[i%k]
	}
	allowed = spreads(t, graph.Gemm{}, tensor.Must(tensor.Of(a, rows, k)), tensor.Must(tensor.Of(b, k, 1)), tensor.Must(tensor.Of(exact, rows, 1)))
	for i := range allowed {
		allowed[i] *= strictest().Factor
	}
	return allowed, exact
}

// spreads are those of a product of exact operands.
func spreads(t *testing.T, op graph.Op, a, b, exact *tensor.Tensor) []float64 {
	t.Helper()
	build := graph.NewBuilder("product")
	in := []*graph.Value{build.Input("a", graph.Type{DType: tensor.Float32, Shape: a.Shape()}), build.Input("b", graph.Type{DType: tensor.Float32, Shape: b.Shape()})}
	values := []budget.Value{budget.Exact(a), budget.Exact(b)}
	if _, is := op.(graph.MatMul); !is {
		in, values = append(in, nil), append(values, budget.Value{})
	}
	node := build.Add("node", op, in...)[0].Producer
	out, err := strictest().Node(t.Context(), node, values, []*tensor.Tensor{exact})
	if err != nil {
		t.Fatal(err)
	}
	return out[0].Spread
}

// TestEqualTerms finds equal terms in products of every kind: where slices of the first operand hold the same values, one weight for all of them makes
// budgets larger, and weights of their own do not.
func TestEqualTerms(t *testing.T) {
	conv := func(groups int) graph.Op { return graph.Conv{Strides: [2]int{1, 1}, Group: groups} }
	for _, c := range []struct {
		name      string
		op        graph.Op
		a, b, out []int
		twins     bool // slices hold the same values
		larger    bool
	}{
		{"channels", conv(1), []int{1, 8, 2, 2}, []int{2, 8, 1, 1}, []int{1, 2, 2, 2}, true, true},
		{"channels of a group", conv(2), []int{1, 16, 2, 2}, []int{4, 8, 1, 1}, []int{1, 4, 2, 2}, true, true},
		{"one channel a group", conv(8), []int{1, 8, 2, 2}, []int{8, 1, 1, 1}, []int{1, 8, 2, 2}, true, false},
		{"distinct channels", conv(1), []int{1, 8, 2, 2}, []int{2, 8, 1, 1}, []int{1, 2, 2, 2}, false, false},
		{"upsampled channels", graph.ConvTranspose{Strides: [2]int{1, 1}, Group: 1}, []int{1, 8, 2, 2}, []int{8, 2, 1, 1}, []int{1, 2, 2, 2}, true, true},
		{"columns", graph.Gemm{}, []int{4, 8}, []int{8, 2}, []int{4, 2}, true, true},
		{"columns beside rows", graph.Gemm{TransB: true}, []int{4, 8}, []int{2, 8}, []int{4, 2}, true, true},
		{"columns of a stack", graph.MatMul{}, []int{2, 2, 8}, []int{2, 8, 2}, []int{2, 2, 2}, true, true},
		{"distinct columns", graph.MatMul{}, []int{2, 2, 8}, []int{2, 8, 2}, []int{2, 2, 2}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ofElement := func(i int) int { return i % 8 / 4 } // two kinds of columns
			if len(c.a) == 4 {
				ofElement = func(i int) int { return i % 4 } // channels of four cells
			}
			if !c.twins {
				ofElement = func(i int) int { return i }
			}
			a := filled(c.a, func(i int) float64 { return 1 + float64(ofElement(i))/3 })
			exact := filled(c.out, func(int) float64 { return 8 })
			own := spreads(t, c.op, a, filled(c.b, func(i int) float64 { return 1 + float64(i)*0x1p-12 }), exact)
			one := spreads(t, c.op, a, filled(c.b, func(int) float64 { return 1 }), exact)
			if larger := one[0] > 1.2*own[0]; larger != c.larger {
				t.Errorf("spread %g with one weight, %g with weights of their own", one[0], own[0])
			}
			if none := spreads(t, c.op, filled(c.a, func(int) float64 { return 0 }), filled(c.b, func(int) float64 { return 1 }), filled(c.out, func(int) float64 { return 0 })); none[0] != 0 {
				t.Errorf("sums of zeros have the spread %g", none[0])
			}
		})
	}
}

func filled(shape []int, of func(i int) float64) *tensor.Tensor {
	x := tensor.New(tensor.Float64, shape...)
	for i := range tensor.Data[float64](x) {
		tensor.Data[float64](x)[i] = of(i)
	}
	return x
}

// TestTiled spreads an error over the tiles in which its cell may be, and over no other plane.
func TestTiled(t *testing.T) {
	v := budget.Value{Tensor: tensor.New(tensor.Float64, 1, 2, 9, 9), Spread: make([]float64, 162)}
	v.Spread[4*9+2] = 1
	for i, s := range v.Tiled(budget.WinogradTile).Spread {
		y, x := i%81/9, i%9
		if within := i < 81 && y >= 1 && y <= 7 && x <= 5; (s == 1) != within {
			t.Errorf("plane %d, cell %d,%d: spread %g", i/81, y, x, s)
		}
	}
	if v.Tiled(1).Spread[0] != 0 || v.Tiled(0).Spread[4*9+2] != 1 {
		t.Error("without tiles a cell has its own spread")
	}
}

// TestLargeOperands scales the operands of a product: its spread grows with them, and is known, up to numbers whose squares float32 does not hold.
func TestLargeOperands(t *testing.T) {
	of := func(scale float64) float64 {
		number := func(i int) float64 { return scale * (1 + float64(i)/3) }
		return spreads(t, graph.Gemm{}, filled([]int{1, 64}, number), filled([]int{64, 1}, number), filled([]int{1, 1}, func(int) float64 { return 64 * scale * scale }))[0]
	}
	for _, scale := range []float64{0x1p-60, 0x1p30, 0x1p60} {
		if got, want := of(scale), of(1)*scale*scale; math.Abs(got-want) > 1e-5*want {
			t.Errorf("operands of %g: the spread is %g, want %g", scale, got, want)
		}
	}
}
