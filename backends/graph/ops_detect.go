package graph

import (
	"cmp"
	"fmt"

	"github.com/apex-x/apexx/backends/tensor"
)

// Detection in two operators: SelectDetections decides which pairs of an anchor and a class are kept, DecodeBoxes is the
// arithmetic on them (spec/model.md 3.17 and 3.18). Both take the dense predictions of a pyramid of L levels, in order: cls
// [B,C,h,w] ×L, box [B,4,h,w] ×L, quality [B,1,h,w] ×L, all logits. The anchors of all levels are numbered through, A in all:
// level by level, row by row. The pair of anchor a and class c has the number a·C + c.
//
// Of an anchor in cell (y,x): distances d = softplus(clamp(box,-20,20))·stride to left, top, right, bottom of the centre
// ((x+0.5)·stride, (y+0.5)·stride), the box clamped to the image; score(class) = σ(cls)·σ(quality).

// SelectDetections chooses the detections of each sample by score and class-wise suppression.
//
// Inputs: the predictions. Candidates are the pairs with score ≥ ScoreThreshold, enumerated anchor-major; per level the
// PreNMSTopK best by score (ties: enumeration order) are kept and the levels concatenated. Per class, greedy suppression
// drops a box whose IoU with a kept one is > IoUThreshold (IoU = inter / max(union, 1e-9)). The survivors, by score and then
// position, are kept, at most MaxDetections. Thresholds are rounded to float32 in every precision. A candidate whose score
// or box is not finite is dropped.
//
// Outputs: pairs [B,N] int64 with N = MaxDetections, and how many of a sample's are valid [B] int64; those beyond are 0, so
// that every number is one of a pair.
type SelectDetections struct {
	own
	Strides                 []int
	ImageHeight, ImageWidth int
	ScoreThreshold          float32 // in [0,1]
	PreNMSTopK              int     // ≥ 1
	IoUThreshold            float32 // in [0,1]
	MaxDetections           int     // ≥ 0
}

// OpType implements Op.
func (SelectDetections) OpType() string { return "SelectDetections" }

// Infer implements Op.
func (o SelectDetections) Infer(in []Type) ([]Type, error) {
	n := 3 * len(o.Strides)
	if err := floats(in, n, n); err != nil {
		return nil, err
	}
	if err := predictions(in, o.Strides, o.ImageHeight, o.ImageWidth); err != nil {
		return nil, err
	}
	unit := func(v float32) bool { return v >= 0 && v <= 1 }
	if !unit(o.ScoreThreshold) || !unit(o.IoUThreshold) || o.PreNMSTopK < 1 || o.MaxDetections < 0 {
		return nil, fmt.Errorf("parameters out of range: %+v", o)
	}
	batch := in[0].Shape[0]
	return []Type{{tensor.Int64, []int{batch, o.MaxDetections}}, {tensor.Int64, []int{batch}}}, nil
}

// DecodeBoxes computes the boxes, scores and classes of kept pairs.
//
// Inputs: the predictions, pairs [B,N] int64, each in [0, A·C), and how many of a sample's are valid [B] int64, in [0, N].
// Outputs: boxes [B,N,4] (x1,y1,x2,y2 in pixels), scores [B,N], class ids [B,N] int64; rows beyond the valid ones hold 0, 0
// and -1.
type DecodeBoxes struct {
	own
	Strides                 []int
	ImageHeight, ImageWidth int
}

// OpType implements Op.
func (DecodeBoxes) OpType() string { return "DecodeBoxes" }

// Infer implements Op.
func (o DecodeBoxes) Infer(in []Type) ([]Type, error) {
	n := 3 * len(o.Strides)
	if err := cmp.Or(wantInputs(in, n+2, n+2), floats(in[:min(n, len(in))], n, n)); err != nil {
		return nil, err
	}
	if err := predictions(in[:n], o.Strides, o.ImageHeight, o.ImageWidth); err != nil {
		return nil, err
	}
	batch, pairs, count := in[0].Shape[0], n, n+1
	if err := cmp.Or(wantDType(in, pairs, tensor.Int64), wantRank(in, pairs, 2), wantDType(in, count, tensor.Int64)); err != nil {
		return nil, err
	}
	rows := in[pairs].Shape[1]
	if err := cmp.Or(wantShape(in, pairs, batch, rows), wantShape(in, count, batch)); err != nil {
		return nil, err
	}
	d := in[0].DType
	return []Type{{d, []int{batch, rows, 4}}, {d, []int{batch, rows}}, {tensor.Int64, []int{batch, rows}}}, nil
}

// predictions checks the maps of a pyramid, three kinds of len(strides) levels each.
func predictions(in []Type, strides []int, imageH, imageW int) error {
	n := len(strides)
	if n == 0 {
		return fmt.Errorf("no levels")
	}
	if err := wantRank(in, 0, 4); err != nil {
		return err
	}
	batch, classes := in[0].Shape[0], in[0].Shape[1]
	for l, stride := range strides {
		if err := wantRank(in, l, 4); err != nil {
			return err
		}
		h, w := in[l].Shape[2], in[l].Shape[3]
		if err := cmp.Or(wantShape(in, l, batch, classes, h, w), wantShape(in, n+l, batch, 4, h, w), wantShape(in, 2*n+l, batch, 1, h, w)); err != nil {
			return err
		}
		if stride < 1 {
			return fmt.Errorf("level %d has stride %d", l, stride)
		}
	}
	if imageH < 1 || imageW < 1 || classes < 1 {
		return fmt.Errorf("an image of %d×%d pixels and %d classes: want at least 1 of each", imageH, imageW, classes)
	}
	return nil
}
