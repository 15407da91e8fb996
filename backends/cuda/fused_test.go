//go:build cgo && linux

package cuda_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
	"github.com/apex-x/apexx/backends/tensor"
)

// routed cuts out of a model what lies between the network's maps: routing, the heavy path, and what is computed of the boxes.
func routed(t *testing.T, set ...string) (*graph.Graph, tensor.List) {
	t.Helper()
	d := model.DefaultDecode()
	d.MaxDetections = 6
	g := modeltest.Hashed(t, 7, model.Options{Batch: 2, Height: 128, Width: 256, Decode: d}, append([]string{"model.num_classes=3"}, set...)...)
	values := map[string]*graph.Value{}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			values[v.Name] = v
		}
	}
	pick := func(names ...string) (list []*graph.Value) {
		for _, name := range names {
			if values[name] != nil {
				list = append(list, values[name])
			}
		}
		return list
	}
	inputs := pick("pv.P3", "pv.coarse_heads.boundary_head", "pv.coarse_heads.objectness_head", "pv.coarse_heads.variance_head",
		"inst_seg_head.coeff_source", "track_head.feature_proj.1.silu", "seg.prototypes", "boxes")
	outputs := pick("proxy.boundary", "utilities", "split_utilities", "ff.select_l0", "ff.l0_path.order", "ff.select_l1", "ff.l0_path.fusion_gate", "ff.l1_path.fusion_gate",
		"ff.l0_path.unpack", "ff.l1_path.unpack", "seg.coefficients", "embeddings", "mask_logits", "mask_scores")
	cut, err := g.Cut(inputs, outputs)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 8))
	var list tensor.List
	for _, in := range cut.Inputs {
		x := tensor.New(tensor.Float32, in.Shape...)
		data := tensor.Data[float32](x)
		for i := range data {
			data[i] = float32(r.NormFloat64())
			if in.Name == "boxes" {
				data[i] = float32(r.Float64() * 250)
			}
		}
		list = append(list, tensor.Named{Name: in.Name, Tensor: x})
	}
	return cut, list
}

// What is computed in few launches is what the nodes give one by one, but for the order of sums, in all precisions.
func TestFusedAsSingle(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   []string
		steps []string // which are there
	}{
		{"nano", nil, []string{"Proxies", "Gates", "Route", "HeavyPath", "BoxVector", "UnitBoxVector", "MaskDetail", "PrototypeMasks"}},
		{"small, forward, tiles of 8 and 4", []string{"model.profile=small", "model.scan_mode=forward", "model.tile_size_l0=8", "model.tile_size_l1=4"}, []string{"HeavyPath"}},
		{"blend, masks as prototypes", []string{"model.overlap_mode=blend", "model.mask_stride=8", "model.nesting_depth=0", "model.kmax_l1=0"}, []string{"Route"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, inputs := routed(t, c.set...)
			for _, p := range cuda.Precisions {
				single := backendtest.Outputs(t, backendtest.Open(t, cuda.NewUnfused(driver(t)), g, backends.Options{Precision: p}), inputs)
				s := backendtest.Open(t, cuda.New(driver(t)), g, backends.Options{Precision: p})
				for _, op := range c.steps {
					if !slices.ContainsFunc(s.Plan().Steps, func(s backends.Step) bool { return s.Op == op }) {
						t.Errorf("%s: no step %s", p, op)
					}
				}
				requireNear(t, p, backendtest.Outputs(t, s, inputs), single)
			}
		})
	}
}

// requireNear allows a result to differ by the roundings that a sum in another order turns over.
func requireNear(t *testing.T, p backends.Precision, got, want tensor.List) {
	t.Helper()
	unit := map[backends.Precision]float64{backends.FP32: 0x1p-23, backends.TF32: 0x1p-11, backends.FP16: 0x1p-11, backends.BF16: 0x1p-8}[p]
	for _, w := range want {
		a, b := got.Get(w.Name).Float64s(), w.Tensor.Float64s()
		var most, size, squares float64
		for i := range b {
			d := math.Abs(a[i] - b[i])
			if !(d <= math.MaxFloat64) {
				d = math.Inf(1)
			}
			most, size, squares = max(most, d), max(size, math.Abs(b[i])), squares+d*d
		}
		rms := math.Sqrt(squares / float64(len(b)))
		if w.Tensor.DType() == tensor.Int64 && most > 0 || most > 32*unit*size || rms > 2*unit*size {
			t.Errorf("%s: %s differs by %g, root mean square %g, largest %g", p, w.Name, most, rms, size)
		}
	}
}
