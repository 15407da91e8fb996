package model_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/weights"
)

// lowerable are models that have every module in every form.
func lowerable(t *testing.T) map[string]*graph.Graph {
	t.Helper()
	graphs := map[string]*graph.Graph{}
	for name, set := range map[string][]string{
		"plain":        nil,
		"depth 2, kan": {"model.nesting_depth=2", "model.kmax_l2=8", "routing.budget_b3=2", "model.router_backend=kan"},
		"blend, dense": {"model.scan_mode=forward", "model.overlap_mode=blend", "model.force_dense_routing=true"},
		"no tiles":     {"routing.budget_b1=0", "model.router_backend=identity"},
	} {
		cfg, err := config.Parse(nil, append([]string{"model.profile=nano", "model.num_classes=3"}, set...))
		if err != nil {
			t.Fatal(err)
		}
		g, err := model.Build(cfg, model.FromSet(weights.Hashed(cfg, 1)), model.Options{Batch: 1, Height: 256, Width: 256, Decode: model.DefaultDecode()})
		if err != nil {
			t.Fatal(err)
		}
		graphs[name] = g
	}
	return graphs
}

// TestLoweredModel holds the lowered model against what DESIGN asks: products and the maps in memory are rounded, and nothing that
// routes, gates, decodes or is returned.
func TestLoweredModel(t *testing.T) {
	for name, g := range lowerable(t) {
		for _, f := range graph.Formats {
			low, err := graph.Lower(g, f)
			if err != nil {
				t.Fatal(err)
			}
			again, err := graph.Lower(low, f)
			if err != nil || again.Dump() != low.Dump() {
				t.Errorf("%s: lowering twice to %s gives another graph (%v)", name, f, err)
			}
			for _, n := range low.Nodes {
				checkLowered(t, name, f, n)
			}
			for i, p := range low.Outputs {
				if p.Name != g.Outputs[i].Name || p.Value.Name != p.Name || isRound(p.Value.Producer) {
					t.Errorf("%s: output %s in %s is the value %s", name, p.Name, f, p.Value.Name)
				}
			}
			for i, p := range low.Taps {
				if p.Name != g.Taps[i].Name || p.Value.Name != g.Taps[i].Value.Name {
					t.Errorf("%s: tap %s in %s is the value %s", name, p.Name, f, p.Value.Name)
				}
			}
		}
	}
}

func isRound(n *graph.Node) bool {
	if n == nil {
		return false
	}
	_, ok := n.Op.(graph.Round)
	return ok
}

// exact follows a value through nodes that only move elements.
func exact(v *graph.Value) bool {
	for v.Producer != nil {
		switch v.Producer.Op.(type) {
		case graph.Round:
			return true
		case graph.Reshape, graph.Gather, graph.TilePack, graph.Split:
			v = v.Producer.Inputs[0]
		default:
			return false
		}
	}
	return false
}

// checkLowered checks the operands of one node: those at rounded must be exact, those at kept must not have been rounded for it.
func checkLowered(t *testing.T, name string, f graph.Format, n *graph.Node) {
	t.Helper()
	rounded, kept := []int{}, []int{}
	switch n.Op.(type) {
	case graph.Conv:
		if kept = []int{2}; f != graph.TF32 || n.Inputs[1].Shape[1] > 1 {
			rounded = []int{0, 1}
		}
	case graph.Gemm, graph.MatMul:
		if rounded, kept = []int{0, 1}, []int{2}; strings.HasPrefix(n.Name, "router.") {
			rounded, kept = nil, []int{0, 1, 2}
		}
	case graph.GroupNormalization:
		if kept = []int{1, 2}; f != graph.TF32 {
			rounded = []int{0}
		}
	case graph.TileUnpackFusion:
		if kept = []int{3}; f != graph.TF32 && n.Outputs[0].Shape[1] > 1 {
			rounded = []int{0, 1}
		}
	case graph.RoiMeanPool:
		if kept = []int{1}; f != graph.TF32 {
			rounded = []int{0}
		}
	case graph.TileAggregate, graph.GreedySelect, graph.SplitSelect, graph.SelectDetections, graph.DecodeBoxes, graph.BoxMask, graph.TileSSMScan, graph.Resize:
		for i := range n.Inputs {
			kept = append(kept, i)
		}
	}
	for i, v := range n.Inputs {
		switch {
		case v == nil:
		case slices.Contains(rounded, i) && !exact(v):
			t.Errorf("%s in %s: operand %d of %s is not rounded", name, f, i, n.Name)
		case slices.Contains(kept, i) && exact(v):
			t.Errorf("%s in %s: operand %d of %s is rounded", name, f, i, n.Name)
		}
	}
}

// TestLoweredModelTravels: a file holds the lowered graph, as the worker of another backend reads it.
func TestLoweredModelTravels(t *testing.T) {
	g := lowerable(t)["plain"]
	low, err := graph.Lower(g, graph.FP16)
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.Marshal(low, onnx.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	read, err := onnx.Read(data)
	if err != nil || read.Dump() != low.Dump() {
		t.Errorf("the graph was read back as another one (%v)", err)
	}
}
