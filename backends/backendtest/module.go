package backendtest

import (
	"math"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
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
// backbone, the proxies, the router, each level of the heavy path, the pyramid, the heads. Weights are hashed. In a low precision every
// node runs by itself, on the oracle's inputs.
func RunModules(t *testing.T, b backends.Backend, o Options) {
	t.Helper()
	o = o.prepare(t, b)
	for _, m := range moduleConfigs {
		g, inputs := smallModel(t, m.set, 8)
		g, err := g.WithTaps([]string{"all"})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range o.Precisions {
			t.Run(string(p)+"/"+m.name, func(t *testing.T) {
				want, err := answerOf(m.name, p.Format(), g, inputs)
				switch {
				case err != nil:
					t.Fatal(err)
				case p.Format() != "":
					runNodes(t, b, p, m.name, want)
				default:
					runWhole(t, b, p, want)
				}
			})
		}
	}
}

// runWhole compares every output and tap of one run.
func runWhole(t *testing.T, b backends.Backend, p backends.Precision, want *answer) {
	got, _, err := execute(t.Context(), b, want.graph, want.inputs, p)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range want.low.Outputs {
		if err := newBound(p, 256).compare(got[i].Tensor, want.output(i)); err != nil {
			t.Errorf("%s: %v", o.Name, err)
		}
	}
}

// runNodes compares node by node, each fed what the oracle computed: where values are rounded, two whole runs part at the first sum that
// lies in the middle between two numbers of the format, and from there on differ by units of the format.
func runNodes(t *testing.T, b backends.Backend, p backends.Precision, name string, whole *answer) {
	for _, n := range whole.low.Nodes {
		part, fed, err := alone(whole.low, n, whole.values)
		if err != nil {
			t.Fatal(err)
		}
		if part == nil {
			continue
		}
		want, err := answerOf(name+" "+n.Name, p.Format(), part, fed)
		if err != nil {
			t.Fatal(err)
		}
		got, level, err := execute(t.Context(), b, want.graph, want.inputs, p)
		if err == nil {
			err = want.judge(p, 64, level, got)
		}
		if err != nil {
			t.Errorf("%s (%s): %v", n.Name, n.Op.OpType(), err)
		}
	}
}

// alone cuts a node out of its graph and returns its inputs as a session takes them; no graph for a node of constants.
func alone(g *graph.Graph, n *graph.Node, values map[*graph.Value]*tensor.Tensor) (*graph.Graph, tensor.List, error) {
	var inputs []*graph.Value
	var fed tensor.List
	for _, v := range n.Inputs {
		if v == nil || isConstant(v) || slices.Contains(inputs, v) {
			continue
		}
		inputs, fed = append(inputs, v), append(fed, tensor.Named{Name: v.Name, Tensor: narrow(values[v])})
	}
	if len(inputs) == 0 {
		return nil, nil, nil
	}
	part, err := g.Cut(inputs, n.Outputs)
	return part, fed, err
}

// isConstant tells whether a value is a constant, or one that was rounded: weights keep their scales.
func isConstant(v *graph.Value) bool {
	if v.Producer == nil {
		return v.Const != nil
	}
	_, rounded := v.Producer.Op.(graph.Round)
	return rounded && v.Producer.Inputs[0].Const != nil
}

// narrow rounds float64 to the float32 of a session's inputs.
func narrow(t *tensor.Tensor) *tensor.Tensor {
	if t.DType() != tensor.Float64 {
		return t
	}
	out := tensor.New(tensor.Float32, t.Shape()...)
	for i, v := range f64(t) {
		tensor.Data[float32](out)[i] = float32(v)
	}
	return out
}

// smallModel builds a complete model for two images with so many detections, small enough for the oracle's plain loops: its tiles
// have 4 cells.
func smallModel(t *testing.T, set []string, detections int) (*graph.Graph, tensor.List) {
	t.Helper()
	set = append([]string{"model.num_classes=3", "model.tile_size_l0=4", "model.tile_size_l1=2", "model.tile_size_l2=1",
		"model.input_height=32", "model.input_width=32", "model.pv_channels=[16, 24, 32]", "model.ff_channels=[24, 32]", "routing.budget_b1=2.4", "routing.budget_b2=2"}, set...)
	d := model.DefaultDecode()
	d.MaxDetections = detections
	g := modeltest.Hashed(t, 11, model.Options{Batch: 2, Height: 64, Width: 96, Decode: d}, set...)
	image := seeded(2000).normal(2, 3, 64, 96)
	for i := range tensor.Data[float32](image) {
		v := &tensor.Data[float32](image)[i]
		*v = float32(math.Abs(float64(*v)) / 4)
	}
	return g, tensor.List{{Name: "image", Tensor: image}}
}
