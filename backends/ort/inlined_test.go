//go:build cgo

package ort

import (
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
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

	set, err := New().parse(backends.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	file, err := onnx.Marshal(g, onnx.WriteOptions{Form: onnx.Inlined})
	if err != nil {
		t.Fatal(err)
	}
	inlined, err := newSession(g, g, file, set)
	if err != nil {
		t.Fatal(err)
	}
	defer inlined.Close()
	found := 0.0
	for i, got := range run(t, inlined, input) {
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
