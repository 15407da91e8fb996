package main

import "strings"

// launch is one kernel launch of the plan.
type launch struct {
	name string
	// nodes are the graph's nodes that it computes: names, or beginnings of names with a * at the end. A node belongs to the first
	// launch that names it. GroupNorm and SiLU belong to the launch that consumes them: their statistics are taken in the
	// epilogue of the convolution before, and they are applied while the input is loaded.
	nodes []string
	// stages counts the steps inside that wait for each other across the grid; a launch has one at least.
	stages int
	// workbench names the group of the workbench that measures this launch; empty for none yet.
	workbench string
	how       string // what makes it one launch
}

func (l launch) covers(node string) bool {
	for _, pattern := range l.nodes {
		prefix, open := strings.CutSuffix(pattern, "*")
		if node == pattern || open && strings.HasPrefix(node, prefix) {
			return true
		}
	}
	return false
}

// plan is the launch plan of the complete model at nesting depth 1 with the tiny MLP router. Order is execution order where
// one launch needs another's results; launches that need nothing of each other run side by side in the CUDA graph.
var plan = []launch{
	{
		name: "stem", stages: 1, workbench: "stem",
		nodes: []string{"pv.backbone.stem.0"},
		how:   "27 products a pixel; the 14 µs are those of a kernel that was bound by instructions, before conv_image",
	},
	{
		name: "down_s4", stages: 1, workbench: "down_s4",
		nodes: []string{"pv.backbone.stem.1*", "pv.backbone.down_s4.0"},
		how:   "3×3 stride 2, weights stay",
	},
	{
		name: "down_s8", stages: 1, workbench: "down_s8",
		nodes: []string{"pv.backbone.down_s4.1*", "pv.backbone.down_s8.0"},
		how:   "3×3 stride 2, weights stay",
	},
	{
		name: "p3_block", stages: 1, workbench: "p3_block",
		nodes: []string{"pv.backbone.down_s8.1*", "pv.backbone.p3_block.conv"},
		how:   "1×1",
	},
	{
		name: "p3", stages: 1, workbench: "p3",
		nodes: []string{"pv.backbone.p3_block*", "pv.P3"},
		how:   "normalises, gates, adds and stores P3, which many read",
	},
	{
		name: "down_p4", stages: 1, workbench: "down_p4",
		nodes: []string{"pv.backbone.down_p4.0"},
		how:   "3×3 stride 2",
	},
	{
		name: "p4_block", stages: 1, workbench: "p4_block",
		nodes: []string{"pv.backbone.down_p4.1*", "pv.backbone.p4_block.conv"},
		how:   "1×1",
	},
	{
		name: "p4", stages: 1, workbench: "p4",
		nodes: []string{"pv.backbone.p4_block*", "pv.P4"},
		how:   "like p3",
	},
	{
		name: "trunk", stages: 1, workbench: "trunk",
		nodes: []string{"pv.coarse_heads.trunk.0"},
		how:   "3×3",
	},
	{
		name: "proxies", stages: 1, workbench: "proxies",
		nodes: []string{"pv.coarse_heads.trunk.1*", "pv.coarse_heads.objectness_head",
			"pv.coarse_heads.boundary_head", "pv.coarse_heads.variance_head"},
		how: "1×1 with three outputs",
	},
	{
		name: "down_p5", stages: 1, workbench: "down_p5",
		nodes: []string{"pv.backbone.down_p5.0"},
		how:   "3×3 stride 2; it and what follows up to p7 needs no routing: beside trunk, router and heavy path",
	},
	{
		name: "p5_block", stages: 1, workbench: "p5_block",
		nodes: []string{"pv.backbone.down_p5.1*", "pv.backbone.p5_block.conv"},
		how:   "1×1",
	},
	{
		name: "p5", stages: 1, workbench: "p5",
		nodes: []string{"pv.backbone.p5_block*", "pv.P5"},
		how:   "like p3",
	},
	{
		name: "p5_lateral", stages: 1, workbench: "p5_lateral",
		nodes: []string{"fpn.p5_lateral"},
		how:   "1×1",
	},
	{
		name: "p4_sum", stages: 1, workbench: "p4_sum",
		nodes: []string{"fpn.p4_lateral", "fpn.p5_up*", "fpn.p4_sum"},
		how:   "1×1, adds the coarser level",
	},
	{
		name: "coarse_smooth", stages: 1, workbench: "coarse_smooth",
		nodes: []string{"fpn.p4_smooth.conv", "fpn.p5_smooth.conv"},
		how:   "1×1, two sets of weights",
	},
	{
		name: "coarse", stages: 1, workbench: "coarse",
		nodes: []string{"fpn.p4_smooth*", "fpn.P4", "fpn.p5_smooth*", "fpn.P5"},
		how:   "like p3, two maps",
	},
	{
		name: "p6", stages: 1, workbench: "p6",
		nodes: []string{"det_head.p6_from_p5"},
		how:   "3×3 stride 2 of a map of 16×16",
	},
	{
		name: "p7", stages: 1, workbench: "p7",
		nodes: []string{"det_head.p7_from_p6"},
		how:   "3×3 stride 2 of a map of 8×8",
	},
	{
		name: "router", stages: 2,
		nodes: []string{"pv.coarse_heads*", "proxy.*", "router*", "utilities", "split_utilities", "ff.select*", "ff.split*", "tiles_*", "valid_*"},
		how:   "a block for each tile, then one block for the router and all selections",
	},
	{
		name: "heavy path L0", stages: 2,
		nodes: []string{"ff.boundary*", "ff.uncertainty*", "ff.l0_path*"},
		how:   "a cluster of 8 blocks, a tile each: the scan crosses them in shared memory, GroupNorm is a tile's own",
	},
	{
		name: "heavy path L1", stages: 2,
		nodes: []string{"ff.l1_path*"},
		how:   "the same with 16 tiles",
	},
	{
		name: "p3_sum", stages: 1, workbench: "p3_sum",
		nodes: []string{"fpn.p3_lateral", "fpn.p4_up*", "fpn.p3_sum", "fpn.ff_lateral", "fpn.p3_ff_sum"},
		how:   "1×1 over P3 and the heavy features as one input, adds the coarser level",
	},
	{
		name: "fine_smooth", stages: 1, workbench: "fine_smooth",
		nodes: []string{"fpn.p3_smooth.conv"},
		how:   "1×1",
	},
	{
		name: "fine", stages: 1, workbench: "fine",
		nodes: []string{"fpn.p3_smooth*", "fpn.P3"},
		how:   "like p3",
	},
	{
		name: "heads.first", stages: 1, workbench: "heads.first",
		nodes: []string{"det_head.cls_tower.0*", "det_head.box_tower.0*", "det_head.quality_tower.0*",
			"inst_seg_head.proto_trunk.0", "sem_head.trunk.0"},
		how: "three towers on five levels, prototypes, semantic trunk",
	},
	{
		name: "projections", stages: 1, workbench: "projections",
		nodes: []string{"inst_seg_head.coeff_source", "track_head.feature_proj.0"},
		how:   "two 1×1 of P3; beside the heads",
	},
	{
		name: "heads.second", stages: 1, workbench: "heads.second",
		nodes: []string{"det_head.cls_tower.1*", "det_head.cls_tower.3*", "det_head.box_tower.1*", "det_head.box_tower.3*",
			"det_head.quality_tower.1*", "det_head.quality_tower.3*", "inst_seg_head.proto_trunk.1*", "inst_seg_head.proto_trunk.3"},
		how: "three towers on five levels, prototypes",
	},
	{
		name: "predictions", stages: 1, workbench: "predictions",
		nodes: []string{"det_head.cls_tower.4*", "det_head.box_tower.4*", "det_head.quality_tower.4*", "det.*",
			"inst_seg_head.proto_trunk.4*", "seg.prototypes", "inst_seg_head.prototypes.flat", "sem_head*", "semantic_logits"},
		how: "1×1 with few outputs on all levels",
	},
	{
		name: "detections", stages: 3,
		nodes: []string{"detections.select", "detections"},
		how:   "top k of each level, suppression of each class, the best 100",
	},
	{
		name: "boxes", stages: 1,
		nodes: []string{"track*", "embeddings", "inst_seg_head.coeff*", "seg.coefficients"},
		how:   "a block for each box: both means over it, both MLPs",
	},
	{
		name: "masks", stages: 1,
		nodes: []string{"inst_seg_head*", "masks"},
		how:   "combination, resize, hook, crop and score of a mask strip in one pass, bound by its 6.6 MB output",
	},
}
