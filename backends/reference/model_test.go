package reference

import (
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
	"github.com/apex-x/apexx/backends/tensor"
)

// hashedModel builds the complete nano model with hashed weights.
func hashedModel(t testing.TB, batch, h, w int, overrides ...string) (*graph.Graph, tensor.List) {
	t.Helper()
	d := model.DefaultDecode()
	d.MaxDetections = 10
	g := modeltest.Hashed(t, 123, model.Options{Batch: batch, Height: h, Width: w, Decode: d}, append([]string{"model.num_classes=3"}, overrides...)...)
	image := filled([]int{batch, 3, h, w}, func(i float64) float64 { return float64(int(i*7919)%1009) / 1008 })
	return g, tensor.List{{Name: "image", Tensor: image}}
}

// TestConfigurations runs the complete model in configurations that change its graph, fused and unfused.
func TestConfigurations(t *testing.T) {
	for _, overrides := range [][]string{
		{"model.router_backend=kan", "model.scan_mode=forward", "model.order_mode=r2l"},
		{"model.router_backend=identity", "model.overlap_mode=blend", "model.disable_ssm=true"},
		{"model.nesting_depth=2", "model.kmax_l2=32", "routing.budget_b3=4"},
		{"routing.budget_b1=0", "model.mask_stride=8"},
		{"model.force_dense_routing=true", "model.disable_nesting=true", "model.order_mode=multi_direction"},
	} {
		g, inputs := hashedModel(t, 2, 128, 256, overrides...)
		plain := fp64()
		plain.unfused = unfused{all: true}
		want := outputs(t, g, inputs, plain)
		for _, c := range []struct {
			set settings
			tol float64
		}{{fp64(), 1e-9}, {fp32(), 2e-4}} {
			got := outputs(t, g, inputs, c.set)
			for i, w := range want {
				tol := c.tol
				if !w.DType().IsFloat() {
					tol = 0
				}
				requireNear(t, g.Outputs[i].Name, got[i].Tensor, w.Float64s(), tol)
			}
		}
	}
}
