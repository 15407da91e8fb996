//go:build cgo

package ort

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

func f32(shape ...int) graph.Type { return graph.Type{DType: tensor.Float32, Shape: shape} }

// needsLibrary skips a test where no library is found.
func needsLibrary(t testing.TB) *Backend {
	t.Helper()
	b := New()
	if err := b.Probe(context.Background()).Err(b.Name()); err != nil {
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
	return backendtest.Open(t, needsLibrary(t), g, opts)
}

func run(t testing.TB, s backends.Session, inputs ...tensor.Named) tensor.List {
	t.Helper()
	out, err := backends.Run(context.Background(), s, inputs)
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
	if want := []string{"library", "version"}; !slices.Equal(keys, want) {
		t.Errorf("facts %v", a.Facts)
	}
}

// TestTF32Off: a provider on a device turns TF32 off in its process; that of the processor leaves alone what workers of other backends inherit.
func TestTF32Off(t *testing.T) {
	needsLibrary(t)
	t.Setenv(backends.TF32Variable, "1")
	if _, err := New().open(); err != nil || os.Getenv(backends.TF32Variable) != "1" {
		t.Errorf("%v; %s is %q on the processor", err, backends.TF32Variable, os.Getenv(backends.TF32Variable))
	}
	if err := (&library{path: "/nowhere/libonnxruntime.so.1"}).prepare(TensorRT); err == nil || os.Getenv(backends.TF32Variable) != "0" {
		t.Errorf("%v; %s is %q on a device: fp32 is not strict", err, backends.TF32Variable, os.Getenv(backends.TF32Variable))
	}
}

// TestNoTelemetry: a process that runs a session leaves nothing in the user's folders, where the library would keep what it sends to its maker.
func TestNoTelemetry(t *testing.T) {
	const variable = "APEXX_TEST_TELEMETRY"
	if os.Getenv(variable) != "" {
		b := graph.NewBuilder("g")
		b.Output("y", b.Add1("relu", graph.Unary{Fn: graph.Relu}, b.Input("x", f32(1))))
		run(t, compile(t, build(t, b), backends.Options{}), tensor.Named{Name: "x", Tensor: vector(1)})
		return
	}
	needsLibrary(t)
	home := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestNoTelemetry$")
	child.Env = append(os.Environ(), variable+"=1", "HOME="+home, "XDG_CACHE_HOME="+home)
	child.Env = slices.DeleteFunc(child.Env, func(v string) bool { return strings.HasPrefix(v, "ORT_DISABLE_TELEMETRY=") }) // set here by this process
	if text, err := child.CombinedOutput(); err != nil || !strings.Contains(string(text), "PASS") {
		t.Fatalf("%v\n%s", err, text)
	}
	left, err := os.ReadDir(home)
	if err != nil || len(left) > 0 {
		t.Errorf("a session left %v in the user's folder, %v", left, err)
	}
}

// TestPlan: standard operators have kernels; what runs through a body or is rounded is emulated.
func TestPlan(t *testing.T) {
	b := graph.NewBuilder("g")
	x := b.Input("x", f32(1, 2, 2, 2))
	norm := b.Add1("norm", graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}, b.Add1("relu", graph.Unary{Fn: graph.Relu}, x), b.Const("scale", vector(1, 1)), b.Const("bias", vector(0, 0)))
	b.Output("y", norm)
	g := build(t, b)
	backend := needsLibrary(t)
	for precision, want := range map[backends.Precision][]backends.Step{
		"":            {{Level: backends.Native, Precision: backends.FP32}, {Level: backends.Emulated, Reason: backends.FunctionBody, Precision: backends.FP32}},
		backends.BF16: {{Level: backends.Emulated, Reason: backends.PrecisionEmulated, Precision: backends.BF16}, {Level: backends.Emulated, Reason: backends.PrecisionEmulated, Precision: backends.BF16}},
	} {
		s, err := backend.Compile(t.Context(), g, backends.Options{Precision: precision})
		if err != nil {
			t.Fatal(err)
		}
		plan := s.Plan()
		for i, name := range []string{"relu", "norm"} {
			step := plan.Steps[slices.IndexFunc(plan.Steps, func(s backends.Step) bool { return s.Name == name })]
			if step.Level != want[i].Level || step.Reason != want[i].Reason || step.Precision != want[i].Precision {
				t.Errorf("%s in %q: %+v", name, precision, step)
			}
		}
		if plan.Library == "" || plan.Check(g) != nil {
			t.Errorf("plan of %q: %+v, %v", plan.Library, plan, plan.Check(g))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
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
		{extra("provider", "cuda"), "", `provider "cuda" is not that of the backend ort, which is cpu`},
		{extra("device", "0"), "", `unknown option "device"`},
		{backends.Options{Precision: "fp12"}, "", "unknown precision"},
		{backends.Options{Precision: backends.FP16}, "", ""},
		{backends.Options{Precision: backends.INT8}, "", ""}, // nothing in this graph needs a range
		{backends.Options{Precision: backends.FP64}, backends.PrecisionUnsupported, "asked for fp64, this backend has fp32, tf32, fp16, bf16, int8 or fp8"},
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
