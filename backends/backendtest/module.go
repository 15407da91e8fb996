package backendtest

import (
	"math"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	modelweights "github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/backends/tensor"
)

// moduleConfigs are the configurations of RunModules: together they hold every module in every form.
var moduleConfigs = []struct {
	name string
	set  []string
}{
	{"trained form", nil},
	{"depth 2, spline router", []string{"model.nesting_depth=2", "model.kmax_l2=8", "routing.budget_b3=2", "model.router_backend=kan"}},
	{"forward scan, blend", []string{"model.scan_mode=forward", "model.overlap_mode=blend", "model.blend_alpha=0.25", "model.order_mode=u2d"}},
}

// RunModules runs small complete models with every intermediate and compares each module's output with the oracle: the
// backbone, the proxies, the router, each level of the heavy path, the pyramid, the heads. Weights are hashed.
func RunModules(t *testing.T, b backends.Backend, o Options) {
	t.Helper()
	if a := b.Probe(t.Context()); !a.Available {
		t.Skipf("%s is unavailable: %s: %s", b.Name(), a.Reason, a.Detail)
	}
	if o.Precisions == nil {
		o.Precisions = []backends.Precision{backends.FP32}
	}
	for _, m := range moduleConfigs {
		g, inputs := smallModel(t, m.set, 8)
		g, err := g.WithTaps([]string{"all"})
		if err != nil {
			t.Fatal(err)
		}
		want, err := Oracle(g, inputs)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range o.Precisions {
			t.Run(string(p)+"/"+m.name, func(t *testing.T) {
				got, err := execute(t.Context(), b, g, inputs, p)
				if err != nil {
					t.Fatal(err)
				}
				for i, w := range want {
					if err := (Case{Scale: 256}).compare(p, got[i].Tensor, w.Tensor); err != nil {
						t.Errorf("%s: %v", w.Name, err)
					}
				}
			})
		}
	}
}

// smallModel builds a complete model for two images with so many detections, small enough for the oracle's plain loops: its tiles
// have 4 cells.
func smallModel(t *testing.T, set []string, detections int) (*graph.Graph, tensor.List) {
	t.Helper()
	set = append([]string{"model.profile=nano", "model.num_classes=3", "model.tile_size_l0=4", "model.tile_size_l1=2", "model.tile_size_l2=1",
		"model.input_height=32", "model.input_width=32", "model.pv_channels=[16, 24, 32]", "model.ff_channels=[24, 32]", "routing.budget_b1=2.4", "routing.budget_b2=2"}, set...)
	cfg, err := config.Parse(nil, set)
	if err != nil {
		t.Fatal(err)
	}
	d := model.DefaultDecode()
	d.MaxDetections = detections
	g, err := model.Build(cfg, model.FromSet(modelweights.Hashed(cfg, 11)), model.Options{Batch: 2, Height: 64, Width: 96, Decode: d})
	if err != nil {
		t.Fatal(err)
	}
	image := seeded(2000).normal(2, 3, 64, 96)
	for i := range tensor.Data[float32](image) {
		v := &tensor.Data[float32](image)[i]
		*v = float32(math.Abs(float64(*v)) / 4)
	}
	return g, tensor.List{{Name: "image", Tensor: image}}
}
