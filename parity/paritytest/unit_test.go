package paritytest

import (
	"math"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
)

// What lies more than 13 bits below the largest exponent is cut off each product and the sum so far, and then the result has 14 bits.
func TestUnit(t *testing.T) {
	const half, least = 0x1p-6, 0x1p-9 // half a unit of the sum 256, and the least number of fp8
	for _, c := range []struct {
		name string
		sum  float32
		a, b []float32
		want float32
	}{
		{"nothing", 0, []float32{0, 0}, []float32{1, 448}, 0},
		{"a sum alone", -3.5, []float32{0}, []float32{1}, -3.5},
		{"one unit", 0, []float32{256, half}, []float32{1, 2}, 256 + 2*half},
		{"half a unit twice", 0, []float32{256, half, half}, []float32{1, 1, 1}, 256},
		{"towards zero", 0, []float32{256, -half, 448}, []float32{1, 1, 0}, 256},
		{"towards zero from below", 0, []float32{-256, half}, []float32{1, 1}, -256},
		{"the exponent of a product is that of its factors", 0, []float32{384, 2 * half, -384}, []float32{1.5, 1, 1}, 192 + 2*half},
		{"what a carry leaves", 0, []float32{256, 256, half}, []float32{1, 1, 2}, 512},
		{"a sum beside small products", 256 + 2*half, []float32{half, 3 * half}, []float32{1, 1}, 256 + 4*half},
		{"a small sum beside large products", 1 + 0x1p-13, []float32{256}, []float32{1}, 257},
		{"numbers below the normal ones", 0, []float32{least, 3 * least}, []float32{least, 5 * least}, 16 * least * least},
	} {
		a := codesOf(1, len(c.a), func(_, k int) (float32, float32) { return 3 * c.a[k], 3 })
		b := codesOf(1, len(c.b), func(_, k int) (float32, float32) { return c.b[k] / 7, float32(1) / 7 })
		if got := dot(c.sum, a, 0, b, 0); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	// 64 products are two steps: the second starts from a sum of 14 bits.
	a := codesOf(1, 64, func(_, k int) (float32, float32) { return 1, 1 })
	b := codesOf(1, 64, func(_, k int) (float32, float32) { return float32(math.Ldexp(1, 8*((k/32+1)%2)-6*(k/32))), 1 })
	if got := dot(0, a, 0, b, 0); got != 0x1p13 {
		t.Errorf("%v after 32 times 256 and 32 times 2^-6, want 8192: each is less than a unit of the sum", got)
	}
}

// Sums of integers of 14 bits are exact, so that a session is equal to one of the reference: strides, pads, batches, bias, products that read products, and values
// that are read later.
func TestTensorCoresOfIntegers(t *testing.T) {
	integers := func(shape ...int) *tensor.Tensor {
		v := tensor.New(tensor.Float32, shape...)
		for i := range tensor.Data[float32](v) {
			tensor.Data[float32](v)[i] = float32(i*i%7 - 3)
		}
		return v
	}
	weights := func(shape ...int) *tensor.Tensor { // of scale 1 in each output channel
		v := integers(shape...)
		for i := 0; i < v.Len(); i += v.Len() / shape[0] {
			tensor.Data[float32](v)[i] = 448
		}
		return v
	}
	b := graph.NewBuilder("integers")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{2, 40, 5, 6}})
	clip := func(name string, v *graph.Value) *graph.Value {
		return b.Add1(name, graph.Clip{Low: -4, High: 5}, v)
	}
	down := graph.Conv{Strides: [2]int{2, 1}, Pads: [4]int{1, 0, 1, 2}, Group: 1}
	first := clip("first", b.Add1("down", down, x, b.Const("down.w", weights(8, 40, 3, 3)), b.Const("down.b", integers(8)))) // [2,8,3,6]
	same := graph.Conv{Strides: [2]int{1, 1}, Group: 1}
	b.Output("residual", b.Add1("sum", graph.Binary{Fn: graph.Add}, first, b.Add1("same", same, first, b.Const("same.w", weights(8, 8, 1, 1)))))
	rows := b.Add1("rows", graph.Reshape{Shape: []int{6, 48}}, first)
	b.Output("gemm", b.Add1("gemm", graph.Gemm{TransB: true}, rows, b.Const("gemm.w", weights(5, 48)), b.Const("gemm.b", integers(5))))
	left := b.Add1("left", graph.Reshape{Shape: []int{2, 4, 36}}, first)
	right := b.Add1("right", graph.Reshape{Shape: []int{2, 36, 4}}, first)
	b.Output("matmul", b.Add1("matmul", graph.MatMul{}, left, right))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	g.Calibration = &graph.Calibration{Ranges: map[string]float32{}}
	for _, v := range g.Ranged() {
		g.Calibration.Ranges[v.Name] = 448
	}
	outputs := func(on backends.Backend) tensor.List {
		s, err := on.Compile(t.Context(), g, backends.Options{Precision: backends.FP8, Taps: []string{}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		out, err := backends.Run(t.Context(), s, tensor.List{{Name: "x", Tensor: integers(2, 40, 5, 6)}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Clone()
	}
	want, got := outputs(reference.New()), outputs(TensorCores{reference.New()})
	for _, o := range want {
		for i, v := range tensor.Data[float32](o.Tensor) {
			if y := tensor.Data[float32](got.Get(o.Name))[i]; y != v {
				t.Fatalf("%s: element %d is %v, want %v", o.Name, i, y, v)
			}
		}
	}
}

func TestTensorCoresAreOfFP8(t *testing.T) {
	if _, err := (TensorCores{reference.New()}).Compile(t.Context(), &graph.Graph{}, backends.Options{Precision: backends.INT8}); err == nil {
		t.Error("int8 has sums of 14 bits")
	}
}
