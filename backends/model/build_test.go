package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/backends/tensor"
)

// build makes a graph with hashed weights.
func build(t *testing.T, opts Options, overrides ...string) (*graph.Graph, error) {
	t.Helper()
	cfg, err := config.Parse(nil, append([]string{"model.profile=nano", "model.num_classes=8"}, overrides...))
	if err != nil {
		t.Fatal(err)
	}
	return Build(cfg, FromSet(weights.Hashed(cfg, 1)), opts)
}

func shape(batch, h, w int) Options {
	d := DefaultDecode()
	d.MaxDetections = 20
	return Options{Batch: batch, Height: h, Width: w, Decode: d}
}

func outputs(g *graph.Graph) string {
	var s []string
	for _, p := range g.Outputs {
		s = append(s, fmt.Sprintf("%s %v", p.Name, p.Value.Type))
	}
	return strings.Join(s, "\n")
}

func TestOutputsOfTheGoldenConfiguration(t *testing.T) {
	g, err := build(t, shape(2, 384, 640), "routing.budget_total=16", "routing.budget_b1=6.4", "routing.budget_b2=4")
	if err != nil {
		t.Fatal(err)
	}
	const want = `boxes float32[2 20 4]
scores float32[2 20]
class_ids int64[2 20]
valid_counts int64[2]
mask_logits float32[2 20 96 160]
mask_scores float32[2 20]
embeddings float32[2 20 64]
semantic_logits float32[2 9 48 80]
utilities float32[2 15]
split_utilities float32[2 15]
tiles_l0 int64[2 32]
tiles_l1 int64[2 64]
valid_l0 int64[2]
valid_l1 int64[2]`
	if got := outputs(g); got != want {
		t.Errorf("outputs:\n%s", got)
	}
}

// selected returns the constant counts that a graph's selection operators hold.
func selected(g *graph.Graph) (l0, splits0, splits1 int) {
	for _, n := range g.Nodes {
		switch op := n.Op.(type) {
		case graph.GreedySelect:
			l0 = op.Count
		case graph.SplitSelect:
			if n.Name == "ff.split_l0" {
				splits0 = op.Count
			} else {
				splits1 = op.Count
			}
		}
	}
	return
}

func TestTileCounts(t *testing.T) {
	for _, c := range []struct {
		name                 string
		h, w                 int
		set                  []string
		l0, splits0, splits1 int
	}{
		{"defaults", 512, 512, nil, 16, 8, 0},
		{"b1 buys eight tiles", 512, 512, []string{"routing.budget_b1=6.4", "routing.budget_b2=4"}, 8, 4, 0},
		{"kmax_l0", 512, 512, []string{"model.kmax_l0=5"}, 5, 5, 0},
		{"kmax_l1 holds whole families", 512, 512, []string{"model.kmax_l1=11"}, 16, 2, 0},
		{"one tile", 128, 128, nil, 1, 1, 0},
		{"no budget", 256, 256, []string{"routing.budget_b1=0"}, 0, 0, 0},
		{"no split budget", 256, 256, []string{"routing.budget_b2=0"}, 4, 0, 0},
		{"no nesting", 256, 256, []string{"model.disable_nesting=true"}, 4, 0, 0},
		{"depth 2", 256, 256, []string{"model.nesting_depth=2", "model.kmax_l2=32", "routing.budget_b3=3"}, 4, 4, 3},
		{"depth 2 disabled", 256, 256, []string{"model.nesting_depth=2", "model.kmax_l2=32", "model.disable_nesting=true"}, 4, 0, 0},
		{"dense", 512, 512, []string{"model.force_dense_routing=true", "routing.budget_b1=0", "model.kmax_l0=1"}, 0, 8, 0},
	} {
		g, err := build(t, shape(1, c.h, c.w), c.set...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if l0, s0, s1 := selected(g); l0 != c.l0 || s0 != c.splits0 || s1 != c.splits1 {
			t.Errorf("%s: %d tiles, %d and %d splits; want %d, %d and %d", c.name, l0, s0, s1, c.l0, c.splits0, c.splits1)
		}
	}
}

func TestVariantsBuild(t *testing.T) {
	for _, set := range [][]string{
		{"model.router_backend=kan"}, {"model.router_backend=identity"}, {"model.disable_ssm=true"}, {"model.scan_mode=forward"},
		{"model.overlap_mode=blend", "model.blend_alpha=0.25"}, {"model.order_mode=multi_direction"}, {"model.order_mode=r2l"},
		{"model.mask_stride=8"}, {"model.mask_stride=2"}, {"model.mask_stride=16"}, {"model.force_dense_routing=true"},
		{"model.profile=small"}, {"model.profile=base"}, {"model.profile=large"}, {"routing.budget_b1=0"},
		{"model.tile_size_l0=12", "model.tile_size_l1=6", "model.input_height=96", "model.input_width=96"},
		{"model.nesting_depth=2", "model.kmax_l2=16", "routing.budget_b3=2", "model.router_backend=kan"},
		{"model.nesting_depth=0", "model.kmax_l1=0"},
	} {
		side := 256
		if slices.Contains(set, "model.tile_size_l0=12") {
			side = 192
		}
		g, err := build(t, shape(1, side, side), set...)
		if err != nil {
			t.Errorf("%v: %v", set, err)
			continue
		}
		tapped, err := g.WithTaps([]string{"all"})
		if err != nil {
			t.Errorf("%v: %v", set, err)
		}
		if _, ok := tapped.Output("tap.ff.alpha"); !ok {
			t.Errorf("%v: no tap of the gate", set)
		}
	}
}

func TestBuildRejects(t *testing.T) {
	for _, c := range []struct {
		opts Options
		want string
	}{
		{shape(1, 500, 512), "multiples of 128"},
		{shape(0, 128, 128), "batch must be at least 1"},
		{shape(1, 128000000, 128), "image shape 1×3×128000000×128: want at most 64 million pixels in an image and 256 million in a batch"},
		{shape(1, 1<<62, 1<<62), "256 million in a batch"},
		{shape(100000, 128, 128), "256 million in a batch"},
		{shape(1<<62, 128, 128), "256 million in a batch"},
		{Options{Batch: 2, Height: 4096, Width: 4096, Decode: Decode{PreNMSTopK: 1, MaxDetections: 10000}}, "with 10000 detections: their masks have more than 1024 million elements"},
		{Options{Batch: 1, Height: 128, Width: 128, Decode: Decode{ScoreThreshold: 2, PreNMSTopK: 1}}, "score threshold 2"},
		{Options{Batch: 1, Height: 128, Width: 128, Decode: Decode{PreNMSTopK: 0}}, "pre-NMS top-k 0"},
		{Options{Batch: 1, Height: 128, Width: 128, Decode: Decode{PreNMSTopK: 1, MaxDetections: -1}}, "max detections -1"},
	} {
		if _, err := build(t, c.opts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v; want %q", c.opts, err, c.want)
		}
	}
	cfg := config.Default()
	p := FromSet(weights.Hashed(cfg, 1))
	delete(p, "fpn.p4_lateral.weight")
	if _, err := Build(cfg, p, shape(1, 128, 128)); err == nil || !strings.Contains(err.Error(), `"fpn.p4_lateral.weight"`) {
		t.Errorf("a missing parameter: %v", err)
	}
	p["fpn.p4_lateral.weight"] = tensor.New(tensor.Float32, 3, 3, 1, 1)
	if _, err := Build(cfg, p, shape(1, 128, 128)); err == nil || !strings.Contains(err.Error(), "node fpn.p4_lateral (Conv)") {
		t.Errorf("a misshapen parameter: %v", err)
	}
}
