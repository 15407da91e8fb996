package main

import "strings"

// launch is one kernel launch of the plan.
type launch struct {
	name string
	// nodes are the graph's nodes that it computes: names, or beginnings of names with a * at the end. A node belongs to the first
	// launch that names it. GroupNorm and activation belong to the launch that consumes them: their statistics are taken in
	// the epilogue of the convolution before, and they are applied while the input is loaded.
	nodes []string
	// stages counts the steps inside that wait for each other across the grid; a launch has one at least.
	stages int
	// workbench names the group of the workbench that measures this launch, or its convolutions; empty for none yet.
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
		name: "stem", stages: 1,
		nodes: []string{"pv.backbone.stem.0"},
		how:   "3 input channels: 27 products a pixel, bound by its 8 MB output",
	},
	{
		name: "down_s4", stages: 1, workbench: "down_s4",
		nodes: []string{"pv.backbone.stem.1*", "pv.backbone.down_s4.0"},
		how:   "3×3 stride 2",
	},
	{
		name: "down_s8", stages: 1, workbench: "down_s8",
		nodes: []string{"pv.backbone.down_s4.1*", "pv.backbone.down_s8.0"},
		how:   "3×3 stride 2",
	},
	{
		name: "p3_block", stages: 1,
		nodes: []string{"pv.backbone.down_s8.1*", "pv.backbone.p3_block.conv"},
		how:   "1×1",
	},
	{
		name: "down_p4", stages: 1,
		nodes: []string{"pv.backbone.p3_block*", "pv.P3", "pv.backbone.down_p4.0"},
		how:   "3×3 stride 2; stores P3 on the way",
	},
	{
		name: "p4_block", stages: 1,
		nodes: []string{"pv.backbone.down_p4.1*", "pv.backbone.p4_block.conv"},
		how:   "1×1",
	},
	{
		name: "trunk, down_p5", stages: 1,
		nodes: []string{"pv.backbone.p4_block*", "pv.P4", "pv.coarse_heads.trunk.0", "pv.backbone.down_p5.0"},
		how:   "two convolutions of P4 side by side; stores P4 on the way",
	},
	{
		name: "p5_block", stages: 1,
		nodes: []string{"pv.backbone.down_p5.1*", "pv.backbone.p5_block.conv"},
		how:   "1×1; beside the router",
	},
	{
		name: "proxies, router", stages: 2,
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
		name: "pyramid", stages: 1,
		nodes: []string{"pv.backbone.p5_block*", "pv.P5", "fpn.p5_lateral", "fpn.p4_lateral", "fpn.p3_lateral", "fpn.ff_lateral", "fpn.p5_up*", "fpn.p4_up*",
			"fpn.p4_sum", "fpn.p3_sum", "fpn.p3_ff_sum", "fpn.p3_smooth.conv", "fpn.p4_smooth.conv", "fpn.p5_smooth.conv"},
		how: "laterals and smoothing are 1×1: a block carries its pixels through both, coarser levels recomputed",
	},
	{
		name: "p6, p7", stages: 2,
		nodes: []string{"det_head.p6_from_p5", "det_head.p7_from_p6", "fpn.p5_smooth*", "fpn.P5"},
		how:   "one cluster: the maps are 8×8 and 4×4",
	},
	{
		name: "heads, first layer", stages: 1, workbench: "heads.first",
		nodes: []string{"fpn.p3_smooth*", "fpn.P3", "fpn.p4_smooth*", "fpn.P4", "det_head.cls_tower.0*", "det_head.box_tower.0*",
			"det_head.quality_tower.0*", "inst_seg_head.proto_trunk.0", "sem_head.trunk.0", "inst_seg_head.coeff_source", "track_head.feature_proj.0"},
		how: "three towers on five levels, prototypes, semantic trunk: these are measured; the two 1×1 convolutions of P3 and the gate before it are to come",
	},
	{
		name: "heads, second layer", stages: 1, workbench: "heads.second",
		nodes: []string{"det_head.cls_tower.1*", "det_head.cls_tower.3*", "det_head.box_tower.1*", "det_head.box_tower.3*",
			"det_head.quality_tower.1*", "det_head.quality_tower.3*", "inst_seg_head.proto_trunk.1*", "inst_seg_head.proto_trunk.3"},
		how: "three towers on five levels, prototypes",
	},
	{
		name: "predictions", stages: 1,
		nodes: []string{"det_head.cls_tower.4*", "det_head.box_tower.4*", "det_head.quality_tower.4*", "det.*",
			"inst_seg_head.proto_trunk.4*", "seg.prototypes", "inst_seg_head.prototypes.flat", "sem_head*", "semantic_logits"},
		how: "1×1 with few outputs on all levels; scores that pass the threshold are listed on the way",
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
