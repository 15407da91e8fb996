package model

import (
	"errors"
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/tensor"
)

// Options are what a session fixes beside the configuration.
type Options struct {
	Batch, Height, Width int // the image tensor is [Batch,3,Height,Width]; sides are multiples of SideMultiple
	Decode               Decode
}

// Decode holds the settings of decoding and suppression.
type Decode struct {
	ScoreThreshold float32 // in [0,1]: least score of a candidate
	PreNMSTopK     int     // ≥ 1: candidates kept per pyramid level
	IoUThreshold   float32 // in [0,1]: a box overlapping a better one of its class by more is dropped
	MaxDetections  int     // ≥ 0: rows N of the detection outputs
}

// DefaultDecode returns the original's settings: 0.05, 1000, 0.6 and 100.
func DefaultDecode() Decode {
	return Decode{ScoreThreshold: 0.05, PreNMSTopK: 1000, IoUThreshold: 0.6, MaxDetections: 100}
}

// Validate checks the ranges.
func (d Decode) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(d.ScoreThreshold >= 0 && d.ScoreThreshold <= 1, "score threshold %g is outside [0, 1]", d.ScoreThreshold)
	check(d.IoUThreshold >= 0 && d.IoUThreshold <= 1, "IoU threshold %g is outside [0, 1]", d.IoUThreshold)
	check(d.PreNMSTopK >= 1, "pre-NMS top-k %d is below 1", d.PreNMSTopK)
	check(d.MaxDetections >= 0 && d.MaxDetections <= maxDetections, "max detections %d is outside [0, %d]", d.MaxDetections, maxDetections)
	return errors.Join(errs...)
}

// maxDetections bounds the rows of the detection outputs, whose masks take memory in proportion.
const maxDetections = 10000

// SideMultiple returns what height and width of an image must be multiples of: the pixels of an L0 tile, 128 by default.
func SideMultiple(cfg config.Config) int { return cfg.Model.TileSizeL0 * cfg.Model.FFPrimaryStride }

// OutputNames lists the outputs of the model in order; at an effective nesting depth of 2, tiles_l2 and valid_l2 follow.
var OutputNames = []string{"boxes", "scores", "class_ids", "valid_counts", "mask_logits", "mask_scores", "embeddings",
	"semantic_logits", "utilities", "split_utilities", "tiles_l0", "tiles_l1", "valid_l0", "valid_l1"}

// Bounds on what an input shape asks to be allocated, far beyond any use.
const (
	maxImagePixels  = 1 << 26
	maxBatchPixels  = 1 << 28 // 3 GiB in float32
	maxMaskElements = 1 << 30 // of mask_logits; 4 GiB in float32
)

// Check holds the shape of the input to what the configuration can cut into tiles, and to bounds: 64 Mi pixels in an image, 256 Mi
// in a batch, 1 Gi elements in the masks of all detections.
func (o Options) Check(cfg config.Config) error {
	side, shape := SideMultiple(cfg), fmt.Sprintf("image shape %d×3×%d×%d", o.Batch, o.Height, o.Width)
	if o.Batch < 1 || o.Height < side || o.Width < side || o.Height%side != 0 || o.Width%side != 0 {
		return fmt.Errorf("%s: the batch must be at least 1 and both sides multiples of %d", shape, side)
	}
	if o.Height > maxImagePixels/o.Width || o.Batch > maxBatchPixels/(o.Height*o.Width) {
		return fmt.Errorf("%s: want at most %d million pixels in an image and %d million in a batch", shape, maxImagePixels>>20, maxBatchPixels>>20)
	}
	mask := o.Batch * (o.Height / cfg.Model.MaskStride) * (o.Width / cfg.Model.MaskStride)
	if o.Decode.MaxDetections > maxMaskElements/mask {
		return fmt.Errorf("%s with %d detections: their masks have more than %d million elements; lower max detections, batch or size",
			shape, o.Decode.MaxDetections, maxMaskElements>>20)
	}
	return nil
}

// Build returns the graph of the complete model for one configuration, set of weights and input shape.
//
// Its input is "image" [B,3,H,W] with values in [0,1]. Its outputs, with N = MaxDetections, K L0 tiles and C classes, are
// boxes [B,N,4] (x1,y1,x2,y2 in pixels), scores [B,N], class_ids [B,N], valid_counts [B], mask_logits [B,N,H/s,W/s] with
// s = mask_stride, mask_scores [B,N], embeddings [B,N,64], semantic_logits [B,C+1,H/8,W/8], utilities and split_utilities
// [B,K], tiles_l0 [B,kmax_l0], tiles_l1 [B,kmax_l1], valid_l0 and valid_l1 [B], and at depth 2 tiles_l2 and valid_l2. Ids,
// classes and counts are int64.
func Build(cfg config.Config, w Weights, opts Options) (*graph.Graph, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := opts.Decode.Validate(); err != nil {
		return nil, err
	}
	if err := opts.Check(cfg); err != nil {
		return nil, err
	}
	b := &builder{Builder: graph.NewBuilder("apexx_" + cfg.Model.Profile), cfg: cfg, weights: w, opts: opts}
	c, err := b.countTiles()
	if err != nil {
		return nil, err
	}
	image := b.Input("image", graph.Type{DType: tensor.Float32, Shape: []int{opts.Batch, 3, opts.Height, opts.Width}})

	features := b.pv(image)
	maps := b.proxyMaps(features)
	x := b.tap(b.aggregate("router.x", maps, features.p3, cfg.Model.TileSizeL0))
	u, s := b.route(x, "", "utilities", "split_utilities")
	sel := b.selectL0(u, s, c)
	b.selectL2(&sel, features, maps)
	heavy := b.ff(features, sel)
	fused := b.fpn(features, heavy)
	det := b.detHead(fused)
	maskLogits, maskScores := b.masks(fused[0], heavy, det, sel)
	embeddings := b.track(fused[0], det)
	semantic := b.semantic(fused[0])

	for _, v := range []value{det.boxes, det.scores, det.classIDs, det.valid, maskLogits, maskScores, embeddings, semantic, u, s} {
		b.output(v)
	}
	b.outputSelection(sel)
	return b.Build()
}

// outputSelection names the tile buffers and counts of every level, in the order of OutputNames.
func (b *builder) outputSelection(sel selection) {
	m := b.cfg.Model
	width0 := m.KmaxL0
	if m.ForceDenseRouting {
		width0 = sel.all0
	}
	b.outputTiles(0, sel.l0, sel.counts.l0, width0)
	b.outputTiles(1, sel.l1, sel.counts.l1(), m.KmaxL1)
	b.outputCount(0, sel.counts.l0)
	b.outputCount(1, sel.counts.l1())
	if b.cfg.EffectiveDepth() == 2 {
		b.outputTiles(2, sel.l2, sel.counts.l2(), m.KmaxL2)
		b.outputCount(2, sel.counts.l2())
	}
}
