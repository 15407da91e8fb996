//go:build cgo

package ort

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

func f32(shape ...int) graph.Type { return graph.Type{DType: tensor.Float32, Shape: shape} }

// needsLibrary skips a test where no library is found.
func needsLibrary(t testing.TB) *Backend {
	t.Helper()
	b := New()
	if err := b.Probe(context.Background()).Err(name); err != nil {
		t.Skip(err)
	}
	return b
}

func build(t testing.TB, b *graph.Builder) *graph.Graph {
	t.Helper()
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func compile(t testing.TB, g *graph.Graph, opts backends.Options) backends.Session {
	t.Helper()
	s, err := needsLibrary(t).Compile(context.Background(), g, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func run(t testing.TB, s backends.Session, inputs ...tensor.Named) tensor.List {
	t.Helper()
	out, err := s.Run(context.Background(), inputs)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func vector(values ...float32) *tensor.Tensor { return tensor.Must(tensor.Of(values, len(values))) }

func TestProbe(t *testing.T) {
	a := needsLibrary(t).Probe(context.Background())
	var keys []string
	for _, f := range a.Facts {
		keys = append(keys, f.Key)
		if f.Value == "" {
			t.Errorf("the fact %s is empty", f.Key)
		}
	}
	if want := []string{"library", "version", "providers"}; !slices.Equal(keys, want) || !strings.Contains(a.Facts[2].Value, "cpu") {
		t.Errorf("facts %v", a.Facts)
	}
}

func TestSupports(t *testing.T) {
	for _, c := range []struct {
		op        graph.Op
		precision backends.Precision
		want      backends.Support
	}{
		{graph.Conv{}, "", backends.Support{Level: backends.Native}},
		{graph.Conv{}, backends.FP32, backends.Support{Level: backends.Native}},
		{graph.TilePack{}, backends.FP32, backends.Support{Level: backends.Emulated, Reason: backends.FunctionBody}},
		{graph.GroupNormalization{}, backends.FP32, backends.Support{Level: backends.Emulated, Reason: backends.FunctionBody}},
		{graph.Conv{}, backends.FP64, backends.Support{Level: backends.Unsupported, Reason: backends.PrecisionUnsupported}},
	} {
		got := New().Supports(c.op, c.precision)
		if got.Detail = ""; got != c.want {
			t.Errorf("%T in %q: %+v, want %+v", c.op, c.precision, got, c.want)
		}
	}
}

func TestOptions(t *testing.T) {
	b := graph.NewBuilder("g")
	b.Output("y", b.Add1("relu", graph.Unary{Fn: graph.Relu}, b.Input("x", f32(2))))
	g := build(t, b)
	backend := needsLibrary(t)
	extra := func(key, value string) backends.Options {
		return backends.Options{Extra: map[string]string{key: value}}
	}
	for _, c := range []struct {
		opts   backends.Options
		reason backends.Reason // of *Unavailable; "" for another error
		want   string          // part of the error; "" for success
	}{
		{extra("opt-level", "none"), "", ""},
		{extra("opt-level", "basic"), "", ""},
		{extra("opt-level", "extended"), "", ""},
		{extra("provider", "cpu"), "", ""},
		{backends.Options{Threads: 3}, "", ""},
		{backends.Options{Threads: -1}, "", "threads is -1"},
		{extra("opt-level", "99"), "", `unknown opt-level "99"`},
		{extra("provider", "rocm"), "", `unknown provider "rocm"`},
		{extra("device", "0"), "", `unknown option "device"`},
		{backends.Options{Precision: "fp12"}, "", "unknown precision"},
		{backends.Options{Precision: backends.FP16}, backends.PrecisionUnsupported, "fp16"},
		{backends.Options{Taps: []string{"nothing"}}, "", `no tap or value "nothing"`},
	} {
		s, err := backend.Compile(context.Background(), g, c.opts)
		if c.want == "" {
			if err != nil {
				t.Errorf("%+v: %v", c.opts, err)
			} else if err := s.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		var missing *backends.Unavailable
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &missing) != (c.reason != "") || missing != nil && missing.Reason != c.reason {
			t.Errorf("%+v: %v, want %q %s", c.opts, err, c.want, c.reason)
		}
	}
}

func TestProviders(t *testing.T) {
	b := graph.NewBuilder("g")
	b.Output("y", b.Add1("relu", graph.Unary{Fn: graph.Relu}, b.Input("x", f32(2))))
	g := build(t, b)
	backend := needsLibrary(t)
	offered := backend.Probe(context.Background()).Facts[2].Value
	for _, provider := range []string{"cuda", "tensorrt"} {
		if strings.Contains(offered, provider) {
			t.Logf("%s is offered by this library", provider)
			continue
		}
		_, err := backend.Compile(context.Background(), g, backends.Options{Extra: map[string]string{"provider": provider}})
		var missing *backends.Unavailable
		if !errors.As(err, &missing) || missing.Reason != backends.ProviderUnavailable {
			t.Errorf("%s: %v", provider, err)
		}
	}
}

// TestBorders covers what the binding cannot hold: scalars, graphs without inputs, outputs without elements.
func TestBorders(t *testing.T) {
	b := graph.NewBuilder("g")
	x, scale := b.Input("x", f32(2, 3)), b.Input("scale", f32())
	nothing := b.Input("nothing", f32(2, 0))
	product := b.Add1("product", graph.Binary{Fn: graph.Mul}, x, scale)
	b.Tap("product", product)
	b.Output("scaled", product)
	b.Output("total", b.Add1("norm", graph.Reduce{Fn: graph.ReduceL2, Axes: []int{0, 1}}, product))
	b.Output("empty", b.Add1("join", graph.Concat{Axis: 1}, nothing, nothing))
	b.Output("nan", b.Add1("isnan", graph.Unary{Fn: graph.IsNaN}, product))
	b.Output("ids", b.Add1("cast", graph.Cast{To: tensor.Int64}, product))
	b.Output("wide", b.Add1("double", graph.Cast{To: tensor.Float64}, product))
	s := compile(t, build(t, b), backends.Options{Taps: []string{"product"}})
	out := run(t, s,
		tensor.Named{Name: "scale", Tensor: tensor.Scalar(float32(2))},
		tensor.Named{Name: "x", Tensor: tensor.Must(vector(1, 2, 3, 0, -1, 0.5).Reshaped(2, 3))},
		tensor.Named{Name: "nothing", Tensor: tensor.New(tensor.Float32, 2, 0)})
	for i, want := range []struct {
		name, typ string
		values    []float64
	}{
		{"scaled", "float32[2 3]", []float64{2, 4, 6, 0, -2, 1}},
		{"total", "float32[]", []float64{float64(float32(math.Sqrt(61)))}},
		{"empty", "float32[2 0]", nil},
		{"nan", "bool[2 3]", make([]float64, 6)},
		{"ids", "int64[2 3]", []float64{2, 4, 6, 0, -2, 1}},
		{"wide", "float64[2 3]", []float64{2, 4, 6, 0, -2, 1}},
		{"tap.product", "float32[2 3]", []float64{2, 4, 6, 0, -2, 1}},
	} {
		if got := out[i]; got.Name != want.name || got.String() != want.typ || !slices.Equal(got.Float64s(), want.values) {
			t.Errorf("output %d: %s %v %v, want %+v", i, got.Name, got, got.Float64s(), want)
		}
	}

	b = graph.NewBuilder("constant")
	b.Output("y", b.Add1("sum", graph.Binary{Fn: graph.Add}, b.Scalar(1), b.Scalar(2)))
	if out := run(t, compile(t, build(t, b), backends.Options{})); out[0].Float64s()[0] != 3 || out[0].Rank() != 0 {
		t.Errorf("a graph without inputs gives %v %v", out[0], out[0].Float64s())
	}
}

func TestSessionRepeatsAndRefuses(t *testing.T) {
	b := graph.NewBuilder("g")
	b.Output("y", b.Add1("relu", graph.Unary{Fn: graph.Relu}, b.Input("x", f32(3))))
	g := build(t, b)
	s := compile(t, g, backends.Options{Threads: 1})
	first := run(t, s, tensor.Named{Name: "x", Tensor: vector(-1, 0, 2)})
	kept := first.Clone()
	second := run(t, s, tensor.Named{Name: "x", Tensor: vector(5, -5, 1)})
	if got := second[0].Float64s(); !slices.Equal(got, []float64{5, 0, 1}) || !slices.Equal(kept[0].Float64s(), []float64{0, 0, 2}) {
		t.Errorf("got %v, kept %v", got, kept[0].Float64s())
	}
	if &tensor.Data[float32](first[0].Tensor)[0] != &tensor.Data[float32](second[0].Tensor)[0] {
		t.Error("the outputs are not the session's own memory")
	}
	if s.LastTiming().Execute <= 0 {
		t.Errorf("timing %+v", s.LastTiming())
	}
	input := tensor.List{{Name: "x", Tensor: vector(1, 2, 3)}}
	check := testing.AllocsPerRun(20, func() { _ = backends.CheckInputs(g, input) })
	if n := testing.AllocsPerRun(20, func() { run(t, s, input...) }); n > check {
		t.Errorf("%v allocations a run, %v of them for the check of inputs", n, check)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		ctx    context.Context
		inputs tensor.List
		want   string
	}{
		{ended, input, "context canceled"},
		{context.Background(), tensor.List{{Name: "x", Tensor: vector(1, float32(math.NaN()), 3)}}, "NaN"},
		{context.Background(), tensor.List{{Name: "x", Tensor: vector(1, 2)}}, "float32[2]"},
		{context.Background(), nil, "got 0 inputs"},
	} {
		if _, err := s.Run(c.ctx, c.inputs); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := s.Run(context.Background(), input); err == nil {
		t.Error("a closed session ran")
	}
}

func TestCancelStopsARunAndTheSessionGoesOn(t *testing.T) {
	const side, steps = 128, 2000
	b := graph.NewBuilder("long")
	x := b.Input("x", f32(1, side, side))
	v := x
	for i := range steps {
		v = b.Add1(fmt.Sprintf("step%d", i), graph.MatMul{}, v, x)
	}
	b.Output("y", v)
	s := compile(t, build(t, b), backends.Options{})
	input := tensor.Named{Name: "x", Tensor: tensor.New(tensor.Float32, 1, side, side)}

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.Run(ctx, tensor.List{input}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a run beyond its deadline: %v", err)
	}
	stopped := s.LastTiming().Execute
	run(t, s, input)
	if whole := s.LastTiming().Execute; stopped > whole/2 {
		t.Errorf("the stopped run took %v, a whole one %v", stopped, whole)
	}
}
