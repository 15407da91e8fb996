package toydevice_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/backendtest/toydevice"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// block is a convolution with everything that becomes a part of its step, a view, and an operator without a kernel.
func block(t *testing.T) (*graph.Graph, tensor.List) {
	t.Helper()
	wave := func(shape ...int) *tensor.Tensor {
		x := tensor.New(tensor.Float32, shape...)
		for i := range tensor.Data[float32](x) {
			tensor.Data[float32](x)[i] = float32(math.Sin(float64(3*i + 1)))
		}
		return x
	}
	b := graph.NewBuilder("block")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 4, 5, 5}})
	conv := b.Add1("conv", graph.Conv{Strides: [2]int{1, 1}, Pads: [4]int{1, 1, 1, 1}, Group: 1}, x, b.Const("weight", wave(4, 4, 3, 3)))
	norm := b.Add1("norm", graph.GroupNormalization{Groups: 2, Epsilon: 1e-5}, conv, b.Const("gain", wave(4)), b.Const("shift", wave(4)))
	act := b.Add1("act", graph.Binary{Fn: graph.Mul}, norm, b.Add1("sigmoid", graph.Unary{Fn: graph.Sigmoid}, norm))
	sum := b.Add1("sum", graph.Binary{Fn: graph.Add}, act, x)
	relu := b.Add1("relu", graph.Unary{Fn: graph.Relu}, sum)
	flat := b.Add1("flat", graph.Reshape{Shape: []int{4, 25}}, relu)
	b.Output("y", b.Add1("join", graph.Concat{Axis: 0}, flat, flat))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g, tensor.List{{Name: "x", Tensor: wave(1, 4, 5, 5)}}
}

func run(t *testing.T, opts backends.Options) (backends.Plan, tensor.List) {
	t.Helper()
	g, inputs := block(t)
	s := backendtest.Open(t, toydevice.New(), g, opts)
	return s.Plan(), backendtest.Outputs(t, s, inputs)
}

func steps(p backends.Plan) string {
	var list []string
	for _, s := range p.Steps {
		list = append(list, s.Level.String()+" "+s.Op+"("+strings.Join(s.Nodes, " ")+")")
	}
	return strings.Join(list, ", ")
}

// TestSteps tells what is one step. A tap of what a step can store changes neither steps nor bits. One of what it has only in registers
// splits the step, so that a value is rounded that was not: the plan says so, and the output is another within rounding.
func TestSteps(t *testing.T) {
	const fused = "native Chain(conv norm sigmoid act sum relu), fallback Concat(join)"
	plain, want := run(t, backends.Options{})
	if got := steps(plain); got != fused || len(plain.Split) > 0 || !slices.Equal(plain.Views, []string{"flat"}) {
		t.Errorf("steps %s, views %v, split %v", got, plain.Views, plain.Split)
	}
	for _, c := range []struct{ tap, steps, split string }{
		{"norm", fused, ""}, {"act", fused, ""}, {"sum", fused, ""}, {"flat", fused, ""},
		{"conv", "native Conv(conv), native Chain(norm sigmoid act sum relu), fallback Concat(join)", "ConvNorm norm conv"},
		{"sigmoid", "native ConvNorm(conv norm), native Chain(sigmoid act sum relu), fallback Concat(join)", "SiLU act sigmoid"},
	} {
		p, out := run(t, backends.Options{Taps: []string{c.tap}})
		split := ""
		for _, x := range p.Split {
			split += strings.Join([]string{x.Step, x.Node, x.Value}, " ")
		}
		if got := steps(p); got != c.steps || split != c.split {
			t.Errorf("tap %s: %s, split %q", c.tap, got, split)
		}
		if same := tensor.Identical(out[0].Tensor, want[0].Tensor); same != (c.split == "") {
			t.Errorf("tap %s: the same bits: %t", c.tap, same)
		}
		for i, v := range out[0].Float64s() {
			if math.Abs(v-want[0].Float64s()[i]) > 1e-5 {
				t.Errorf("tap %s: element %d is %v, without the tap %v", c.tap, i, v, want[0].Float64s()[i])
			}
		}
	}
	if low, _ := run(t, backends.Options{Precision: backends.BF16}); low.Steps[0].Level != backends.Emulated || low.Steps[0].Precision != backends.BF16 {
		t.Errorf("a step of bf16: %+v", low.Steps[0])
	}
}
