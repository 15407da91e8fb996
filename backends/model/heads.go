package model

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
)

// maskFill is the mask logit of every cell outside a detection's box.
const maskFill = -20

// detections are the decoded boxes [B,N,4] and what goes with them.
type detections struct{ boxes, scores, classIDs, valid value }

// detHead adds DetHead over P3 to P7 and the decoding of its predictions (spec/model.md 3.16 to 3.18).
func (b *builder) detHead(p pyramid) detections {
	const h = "det_head."
	p6 := b.conv(h+"p6_from_p5", h+"p6_from_p5", p[2], 2, 1)
	p7 := b.conv(h+"p7_from_p6", h+"p7_from_p6", p6, 2, 1)
	levels := append(append(pyramid{}, p...), p6, p7)

	var inputs []value
	var strides []int
	for _, kind := range []string{"cls", "box", "quality"} {
		for i, x := range levels {
			suffix := "." + levelNames[i]
			x = b.block(h+kind+"_tower", 0, suffix, x, 1)
			x = b.block(h+kind+"_tower", 3, suffix, x, 1)
			inputs = append(inputs, b.tap(b.conv("det."+kind+suffix, h+kind+"_pred", x, 1, 1)))
		}
	}
	for i := range levels {
		strides = append(strides, b.cfg.Model.FFPrimaryStride<<i)
	}
	d := b.opts.Decode
	kept := b.AddNamed("detections.select", graph.SelectDetections{
		Strides: strides, ImageHeight: b.opts.Height, ImageWidth: b.opts.Width,
		ScoreThreshold: d.ScoreThreshold, PreNMSTopK: d.PreNMSTopK, IoUThreshold: d.IoUThreshold, MaxDetections: d.MaxDetections,
	}, []string{"kept_detections", "valid_counts"}, inputs...)
	logits, pairs := slices.Concat(inputs[:len(levels)], inputs[2*len(levels):]), 0 // of classes and qualities
	for _, cls := range inputs[:len(levels)] {
		pairs += cls.Len() / b.opts.Batch
	}
	b.Decide(graph.Decision{Value: kept[0], Count: kept[1], Limit: pairs, Scores: logits})
	out := b.AddNamed("detections", graph.DecodeBoxes{Strides: strides, ImageHeight: b.opts.Height, ImageWidth: b.opts.Width},
		[]string{"boxes", "scores", "class_ids"}, append(inputs, kept...)...)
	return detections{out[0], out[1], out[2], kept[1]}
}

// mlp adds linear, SiLU, linear on the last axis of x [B,N,D] → [B,N,out].
func (b *builder) mlp(node, prefix string, x value) value {
	batch, n, d := x.Dim(0), x.Dim(1), x.Dim(2)
	y := b.linear(prefix+".0", prefix+".0", b.reshape(prefix+".rows", x, batch*n, d))
	y = b.linear(prefix+".2", prefix+".2", b.silu(prefix+".silu", y))
	return b.reshape(node, y, batch, n, y.Dim(1))
}

func (b *builder) pool(node string, x value, d detections) value {
	return b.Add1(node, graph.RoiMeanPool{ImageHeight: b.opts.Height, ImageWidth: b.opts.Width}, x, d.boxes)
}

// masks adds PrototypeInstanceSegHead with the refinement hook: mask logits [B,N,H/s,W/s] with s = mask_stride and mask
// scores [B,N] (spec/model.md 3.19 and 3.20).
func (b *builder) masks(p3, heavy value, d detections, sel selection) (logits, scores value) {
	const h = "inst_seg_head."
	x := b.block(h+"proto_trunk", 3, "", b.block(h+"proto_trunk", 0, "", p3, 1), 1)
	prototypes := b.tap(b.conv("seg.prototypes", h+"proto_pred", x, 1, 1))
	source := b.conv(h+"coeff_source", h+"coeff_source", p3, 1, 1)
	coefficients := b.tap(b.mlp("seg.coefficients", h+"coeff_mlp", b.pool(h+"coeff_pool", source, d)))
	batch, n, cellsH, cellsW := prototypes.Dim(0), d.scores.Dim(1), prototypes.Dim(2), prototypes.Dim(3)
	flat := b.Add1(h+"combine", graph.MatMul{}, coefficients, b.reshape(h+"prototypes.flat", prototypes, batch, prototypes.Dim(1), cellsH*cellsW))
	height, width := b.opts.Height/b.cfg.Model.MaskStride, b.opts.Width/b.cfg.Model.MaskStride
	logits = b.resize(h+"resize", b.reshape(h+"lowres", flat, batch, n, cellsH, cellsW), height, width)
	if sel.l0 != nil {
		logits = b.binary(h+"refined", graph.Add, logits, b.maskDetail(h+"ff_refine_hook", heavy, sel, height, width))
	}
	out := b.AddNamed("masks", graph.BoxMask{ImageHeight: b.opts.Height, ImageWidth: b.opts.Width, Fill: maskFill},
		[]string{"mask_logits", "mask_scores"}, logits, d.boxes)
	return out[0], out[1]
}

// maskDetail adds what the refinement hook contributes to every mask: softplus(log_strength)·tanh(channel mean of the heavy
// features) on the selected L0 tiles and 0 elsewhere, [B,1,height,width].
//
// The original resizes all channels before it takes their mean; both are linear, so the mean comes first here.
func (b *builder) maskDetail(prefix string, heavy value, sel selection, height, width int) value {
	m := b.cfg.Model
	mean := b.Add1(prefix+".mean", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{1}, KeepDims: true}, heavy)
	signal := b.unary(prefix+".tanh", graph.Tanh, b.resize(prefix+".resize", mean, height, width))
	tiles := b.Add1(prefix+".pack", graph.TilePack{Tile: m.TileSizeL0 * m.FFPrimaryStride / m.MaskStride}, signal, sel.l0)
	zeros := b.uniform(prefix+".zeros", 0, b.opts.Batch, 1, height, width)
	active := b.Add1(prefix+".unpack", graph.TileUnpackFusion{}, zeros, tiles, sel.l0)
	return b.binary(prefix, graph.Mul, b.unary(prefix+".strength", graph.Softplus, b.param(prefix+".log_strength")), active)
}

// semantic adds the semantic head: logits [B,num_classes+1,H/8,W/8], channel 0 is background.
func (b *builder) semantic(p3 value) value {
	return b.conv("semantic_logits", "sem_head.pred", b.block("sem_head.trunk", 0, "", p3, 1), 1, 1)
}

// embeddingFloor is the least norm by which an embedding is divided.
const embeddingFloor = 1e-6

// track adds TrackEmbeddingHead: unit-length embeddings [B,N,64] of the boxes (spec/model.md 3.21).
func (b *builder) track(p3 value, d detections) value {
	const h = "track_head."
	pooled := b.tap(b.pool("track.pooled", b.block(h+"feature_proj", 0, "", p3, 1), d))
	raw := b.mlp(h+"embedding_mlp", h+"embedding_mlp", pooled)
	norm := b.Add1(h+"norm", graph.Reduce{Fn: graph.ReduceL2, Axes: []int{2}, KeepDims: true}, raw)
	floor := b.Scalar(embeddingFloor)
	return b.binary("embeddings", graph.Div, raw, b.binary(h+"norm.floor", graph.Max, norm, floor))
}
