package tensorrt

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
)

// packed is a graph with a plugin and a product, whose operand int8 rounds.
func packed(t *testing.T) (*graph.Graph, []tensor.List) {
	t.Helper()
	b := graph.NewBuilder("packed")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 2, 4, 4}})
	ids := b.Const("ids", tensor.Must(tensor.Of([]int64{3, 0}, 1, 2)))
	pack := b.Add1("pack", graph.TilePack{Tile: 2}, b.Add1("relu", graph.Unary{Fn: graph.Relu}, x), ids)
	b.Output("y", b.Add1("product", graph.MatMul{}, pack, b.Const("weight", tensor.New(tensor.Float32, 2, 2))))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	var inputs []tensor.List
	for i := range 3 {
		image := tensor.New(tensor.Float32, 1, 2, 4, 4)
		tensor.Data[float32](image)[31-i] = float32(i + 1)
		inputs = append(inputs, tensor.List{{Name: "x", Tensor: image}})
	}
	return g, inputs
}

// TestCalibrate: what the library is given are the graph in float32, with its names, and every input: its table has the ranges that sessions show.
func TestCalibrate(t *testing.T) {
	g, inputs := packed(t)
	text, err := New(newEmulated()).(backends.Calibrator).Calibrate(t.Context(), g, inputs, backends.CalibrateOptions{Method: "max"})
	if err != nil {
		t.Fatal(err)
	}
	table, err := calibrate.ParseTable(text)
	if err != nil {
		t.Fatal(err)
	}
	own := calibrate.Histograms{}
	if err := own.Collect(t.Context(), reference.New(), g, slices.Values(inputs), 1); err != nil {
		t.Fatal(err)
	}
	for name, want := range own.Ranges(calibrate.Max) {
		if got, known := table.Ranges[name]; !known || math.Abs(float64(got-want)) > 1e-6 {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if names := slices.Sorted(maps.Keys(own)); !slices.Equal(names, []string{"pack"}) {
		t.Errorf("%v", names)
	}
}

// TestCalibrateRefused: one reason for each thing that is missing.
func TestCalibrateRefused(t *testing.T) {
	g, inputs := packed(t)
	for name, c := range map[string]struct {
		change func(*emulated)
		method string
		reason backends.Reason
		want   string
	}{
		"no library":     {func(e *emulated) { e.opened = unavailable(backends.LibraryNotFound, "none") }, "max", backends.LibraryNotFound, "none"},
		"no calibrators": {func(e *emulated) { e.facts.Calibrators = CalibratorsOf(11) }, "max", backends.CalibratorUnavailable, "TensorRT 10.6.0 has no calibrator of the method max (it has: none)"},
		"unknown method": {func(*emulated) {}, "mean", backends.CalibratorUnavailable, "no calibrator of the method mean (it has: entropy, max)"},
		"no builder":     {func(e *emulated) { e.facts.NoBuilder = "no resource" }, "max", backends.BuilderUnavailable, "no resource"},
		"no plugin":      {func(e *emulated) { e.facts.Plugins = nil }, "max", backends.PluginMissing, "has no plugin TilePack"},
	} {
		lib := newEmulated()
		c.change(lib)
		_, err := New(lib).(backends.Calibrator).Calibrate(t.Context(), g, inputs, backends.CalibrateOptions{Method: c.method})
		var missing *backends.Unavailable
		if !errors.As(err, &missing) || missing.Reason != c.reason || !strings.Contains(missing.Detail, c.want) {
			t.Errorf("%s: %v, want %s: %s", name, err, c.reason, c.want)
		}
	}
}
