//go:build cgo

package ort

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
	"github.com/apex-x/apexx/backends/tensor"
)

// TestInlinedModel: the complete model whose bodies stand in place of calls gives the bits of the one with functions.
func TestInlinedModel(t *testing.T) {
	g := modeltest.Hashed(t, 1, model.Options{Batch: 1, Height: 256, Width: 256}, "model.num_classes=3")
	image := tensor.New(tensor.Float32, 1, 3, 256, 256)
	for i, data := 0, tensor.Data[float32](image); i < len(data); i++ {
		data[i] = float32(i*7919%1000) / 1000
	}
	input := tensor.Named{Name: "image", Tensor: image}
	want := run(t, compile(t, g, backends.Options{Threads: 1}), input)

	found := 0.0
	for i, got := range run(t, inForm(t, g, onnx.Inlined), input) {
		if got.Name != want[i].Name || !slices.Equal(got.Float64s(), want[i].Float64s()) {
			t.Errorf("output %s has other bits", got.Name)
		}
		if got.Name == "valid_counts" {
			found = got.Float64s()[0]
		}
	}
	if found == 0 {
		t.Error("nothing was detected: the case says little")
	}
}

// TestInstances: a normalisation that is spelled by instances has the values of the other spelling, whatever its groups.
func TestInstances(t *testing.T) {
	const channels = 6
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(shape ...int) *tensor.Tensor {
		x := tensor.New(tensor.Float32, shape...)
		for i, data := 0, tensor.Data[float32](x); i < len(data); i++ {
			data[i] = 3 + float32(rng.NormFloat64())
		}
		return x
	}
	b := graph.NewBuilder("norms")
	input := tensor.Named{Name: "x", Tensor: random(2, channels, 5, 7)}
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: input.Shape()})
	for _, groups := range []int{1, 2, channels} {
		name := fmt.Sprintf("norm%d", groups)
		scale, bias := b.Const(name+".scale", random(channels)), b.Const(name+".bias", random(channels))
		b.Output(name+".out", b.Add1(name, graph.GroupNormalization{Groups: groups, Epsilon: 0.1}, x, scale, bias))
	}
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	want := run(t, compile(t, g, backends.Options{Threads: 1}), input)
	for i, got := range run(t, inForm(t, g, onnx.Instances), input) {
		for j, x := range got.Float64s() {
			if math.Abs(x-want[i].Float64s()[j]) > 1e-5 {
				t.Fatalf("element %d of %s is %v, want %v", j, got.Name, x, want[i].Float64s()[j])
			}
		}
	}
}

// inForm compiles a graph that is written in a form.
func inForm(t *testing.T, g *graph.Graph, form onnx.Form) *session {
	t.Helper()
	set, err := New().parse(backends.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	file, err := onnx.Marshal(g, onnx.WriteOptions{Form: form})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSession(g, g, file, set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
