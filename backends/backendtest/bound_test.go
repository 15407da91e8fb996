package backendtest

import (
	"math"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

func TestCompare(t *testing.T) {
	single := floats(1, 2)
	double := tensor.Must(tensor.Of([]float64{1, 2}, 2))
	infinities := tensor.Must(tensor.Of([]float64{math.Inf(1), math.Inf(-1)}, 2))
	ids := tensor.Must(tensor.Of([]int64{1, 2}, 2))
	for _, c := range []struct {
		name      string
		precision backends.Precision
		got, want *tensor.Tensor
		err       string // a part of the error; "" for none
	}{
		{"fp32", backends.FP32, single, double, ""},
		{"fp64", backends.FP64, double, double, ""},
		{"fp16", backends.FP16, single, double, ""},
		{"float64 in fp32", backends.FP32, double, double, "element type float64, want float32"},
		{"float32 in fp64", backends.FP64, single, double, "element type float32, want float64"},
		{"ids", backends.FP64, ids, ids, ""},
		{"ids as floats", backends.FP32, single, ids, "element type float32, want int64"},
		{"shape", backends.FP32, tensor.New(tensor.Float32, 1, 2), double, "shape [1 2], want [2]"},
		{"value", backends.FP32, floats(1, 2.001), double, "element 1"},
		{"infinite", backends.FP32, floats(math.Inf(1), math.Inf(-1)), infinities, ""},
		{"finite where infinite", backends.FP32, floats(3, math.Inf(-1)), infinities, "element 0 is 3, want +Inf"},
		{"the other infinity", backends.FP64, tensor.Must(tensor.Of([]float64{math.Inf(1), math.Inf(1)}, 2)), infinities, "element 1 is +Inf, want -Inf"},
		{"NaN where infinite", backends.FP32, floats(math.NaN(), math.Inf(-1)), infinities, "element 0 is NaN"},
		{"infinite where finite", backends.FP32, floats(1, math.Inf(1)), double, "element 1 is +Inf"},
		{"NaN where finite", backends.FP32, floats(1, math.NaN()), double, "element 1 is NaN"},
		{"beyond float32", backends.FP32, floats(3, 2), tensor.Must(tensor.Of([]float64{1e300, 2}, 2)), "element 0 is 3, want +Inf"},
		{"beyond float32 in fp16", backends.FP16, floats(3, 2), tensor.Must(tensor.Of([]float64{1e300, 2}, 2)), "element 0 is 3, want +Inf"},
		{"large id", backends.FP32, tensor.Must(tensor.Of([]int64{1, 1<<40 + 1}, 2)), tensor.Must(tensor.Of([]int64{1, 1 << 40}, 2)), "element 1"},
		{"other id", backends.FP32, tensor.Must(tensor.Of([]int64{1, 3}, 2)), ids, "element 1 is 3, want 2"},
	} {
		err := newBound(c.precision, 1).compare(c.got, c.want)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
	}
}

// TestRoundIsExact: no unit, and no sign of zero.
func TestRoundIsExact(t *testing.T) {
	limit, err := boundOf(backends.FP16, 1, backends.Native, &graph.Node{Op: graph.Round{To: graph.FP16}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := tensor.Must(tensor.Of([]float64{0, 1, math.NaN(), math.Inf(1)}, 4))
	if err := limit.compare(floats(0, 1, math.NaN(), math.Inf(1)), want); err != nil {
		t.Error(err)
	}
	for _, got := range []*tensor.Tensor{floats(math.Copysign(0, -1), 1, math.NaN(), math.Inf(1)), floats(0, 1+0x1p-23, math.NaN(), math.Inf(1)), floats(0, 1, 0, math.Inf(1)), floats(0, 1, math.NaN(), 65504)} {
		if err := limit.compare(got, want); err == nil {
			t.Errorf("%v passed for %v", got.Float64s(), want.Float64s())
		}
	}
}

// product is one row times one column of fp16 numbers, added up after each term by add.
func product(k int, add func(float64) float64) (c Case, got *tensor.Tensor) {
	s, l := seeded(7), graph.Layout{Significand: 11, MinExponent: -14, MaxExponent: 15}
	row, column := s.normal(1, k), s.normal(k, 1)
	sum := 0.0
	for i := range k {
		sum = add(sum + round(float64(tensor.Data[float32](row)[i]), l)*round(float64(tensor.Data[float32](column)[i]), l))
	}
	return Case{"product", graph.Gemm{}, weights(row, column), 1}, tensor.Must(floats(sum).Reshaped(1, 1))
}

// TestSumsOfLowPrecision: a sum in float32 passes, and with native code its storage in the format; a sum in the format does not.
func TestSumsOfLowPrecision(t *testing.T) {
	half := graph.Layout{Significand: 11, MinExponent: -14, MaxExponent: 15}
	inFloat := func(v float64) float64 { return float64(float32(v)) }
	inHalf := func(v float64) float64 { return round(v, half) }
	for _, k := range []int{64, 576, 4096} {
		for _, c := range []struct {
			name  string
			add   func(float64) float64
			keep  func(float64) float64
			level backends.SupportLevel
			ok    bool
		}{
			{"float32", inFloat, inFloat, backends.Emulated, true},
			{"float32, stored in fp16", inFloat, inHalf, backends.Native, true},
			{"float32, stored in fp16 by an emulation", inFloat, inHalf, backends.Emulated, false},
			{"fp16", inHalf, inHalf, backends.Native, false},
		} {
			op, got := product(k, c.add)
			tensor.Data[float32](got)[0] = float32(c.keep(got.Float64s()[0]))
			g, inputs, err := op.Graph()
			if err != nil {
				t.Fatal(err)
			}
			want, err := newAnswer(graph.FP16, g, inputs)
			if err != nil {
				t.Fatal(err)
			}
			if err := want.judge(backends.FP16, op.Scale, c.level, tensor.List{{Name: "y0", Tensor: got}}); (err == nil) != c.ok {
				t.Errorf("%d terms added in %s: %v", k, c.name, err)
			}
		}
	}
}
