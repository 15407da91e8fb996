package tensorrt

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
	"github.com/apex-x/apexx/backends/tensor"
)

func TestParseBatches(t *testing.T) {
	for _, text := range []string{"1:4:8", "2:2:2", ""} {
		if b, err := ParseBatches(text); err != nil || b.String() != text {
			t.Errorf("%q: %v, %v", text, b, err)
		}
	}
	for _, text := range []string{"4", "1:4", "1:4:8:16", "0:1:2", "2:1:4", "1:4:2", "1:x:2", "-1:1:2", "::"} {
		if b, err := ParseBatches(text); err == nil || !strings.Contains(err.Error(), "want MIN:OPT:MAX, such as 1:4:8") {
			t.Errorf("%q: %v, %v", text, b, err)
		}
	}
}

// batched is the complete model of a configuration for a batch, with pictures that differ.
func batched(t *testing.T, batch int, set ...string) (*graph.Graph, tensor.List) {
	t.Helper()
	g := modeltest.Hashed(t, 1, model.Options{Batch: batch, Height: 128, Width: 128}, append([]string{"model.num_classes=3"}, set...)...)
	image := tensor.New(tensor.Float32, batch, 3, 128, 128)
	for i := range tensor.Data[float32](image) {
		tensor.Data[float32](image)[i] = float32(i*7919%1009) / 1009
	}
	return g, tensor.List{{Name: "image", Tensor: image}}
}

// TestOneEngineOfBatches: one engine serves every batch of its range, each with the outputs, bit for bit, that an engine of that batch alone has.
func TestOneEngineOfBatches(t *testing.T) {
	lib := newEmulated()
	o := options(CacheOption, t.TempDir())
	o.Extra[BatchesOption] = "1:2:3"
	for batch := 1; batch <= 3; batch++ {
		g, inputs := batched(t, batch)
		want, got := outputsOf(t, New(newEmulated()), g, inputs, options(CacheOption, NoCache)), outputsOf(t, New(lib), g, inputs, o)
		for i, out := range want {
			if !bytes.Equal(tensor.Bytes(out.Tensor), tensor.Bytes(got[i].Tensor)) {
				t.Errorf("batch %d: %s differs", batch, out.Name)
			}
		}
	}
	if len(lib.builds) != 1 || lib.builds[0].Batches != (Batches{1, 2, 3}) {
		t.Errorf("%d builds, of %v", len(lib.builds), lib.builds[0].Batches)
	}
	g, _ := batched(t, 4)
	if _, err := New(lib).Compile(t.Context(), g, o); err == nil || !strings.HasSuffix(err.Error(), "batch_unsupported: a batch of 4 is outside the batches 1:2:3") {
		t.Errorf("%v", err)
	}
}

func outputsOf(t *testing.T, b backends.Backend, g *graph.Graph, inputs tensor.List, o backends.Options) tensor.List {
	t.Helper()
	return backendtest.Outputs(t, backendtest.Open(t, b, g, o), inputs)
}

// TestBatchesOfFiles: a session takes an engine of several batches that is named or prebuilt if it fits, and has its own where a prebuilt one does not.
func TestBatchesOfFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.engine")
	build := options(EngineOption, path)
	build.Extra[BatchesOption] = "1:1:2"
	if err := compile(t, newEmulated(), build); err != nil {
		t.Fatal(err)
	}
	rec, err := ReadRecord(path)
	if err != nil || rec.Key.Batches != (Batches{1, 1, 2}) {
		t.Fatalf("%v, %v", rec.Key, err)
	}
	lib := newEmulated()
	if err := compile(t, lib, options(EngineOption, path)); err != nil || len(lib.builds) != 0 {
		t.Errorf("named: %v, %d builds", err, len(lib.builds))
	}
	other := options(EngineOption, path)
	other.Extra[BatchesOption] = "1:2:2"
	if err := compile(t, lib, other); err == nil || !strings.Contains(err.Error(), "batches is 1:1:2, here it is 1:2:2") {
		t.Errorf("named, of other batches: %v", err)
	}
	t.Setenv(prebuiltVariable, path)
	if err := compile(t, lib, options(CacheOption, NoCache)); err != nil || len(lib.builds) != 0 {
		t.Errorf("prebuilt: %v, %d builds", err, len(lib.builds))
	}
	tf32 := options(CacheOption, NoCache)
	tf32.Precision = backends.TF32
	if err := compile(t, lib, tf32); err != nil || len(lib.builds) != 1 || lib.builds[0].Batches != (Batches{}) {
		t.Errorf("prebuilt for another precision: %v, builds %v", err, lib.builds)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestNoBatches: what is not the same for every sample has no engine of several batches.
func TestNoBatches(t *testing.T) {
	image := graph.Type{DType: tensor.Float32, Shape: []int{2, 3}}
	constant := tensor.Must(tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 2, 3))
	for want, build := range map[string]func(b *graph.Builder, x *graph.Value) *graph.Value{
		"the constant c is not the same for every sample": func(b *graph.Builder, x *graph.Value) *graph.Value {
			return b.Add1("y", graph.Binary{Fn: graph.Add}, x, b.Const("c", constant))
		},
		"y is float32[3], which does not begin with the batch": func(b *graph.Builder, x *graph.Value) *graph.Value {
			return b.Add1("y", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{0}}, x)
		},
	} {
		b := graph.NewBuilder("g")
		b.Output("y", build(b, b.Input("x", image)))
		g, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		o := options(CacheOption, NoCache)
		o.Extra[BatchesOption] = "1:1:2"
		if _, err := New(newEmulated()).Compile(t.Context(), g, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
