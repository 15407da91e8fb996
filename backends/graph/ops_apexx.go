package graph

import (
	"cmp"
	"fmt"

	"github.com/apex-x/apexx/backends/tensor"
)

// Operators of the domain "apexx". Shapes: B batch, C channels, K tiles of the grid, k chosen tiles, t tile side, N
// detections. Tile ids are int64, row-major in their grid (id = row·GridWidth + column), always in range: the padding value
// -1 exists only in outputs of the model.

type own struct{}

func (own) OpDomain() string { return Domain }

// TileAggregate gives each tile of a feature grid the statistics of the windows of coarser maps that cover it.
//
// Input: maps [B,M,h,w]. Output: [B,K,3·M] with K = (FeatureHeight/Tile)·(FeatureWidth/Tile): for each map in order its
// mean, maximum and population variance over the tile's window. The window of tile row ty is rows [y0,y1) with
// y0 = clamp(floor(ty·Tile·h/FeatureHeight), 0, h-1), y1 = clamp(ceil((ty+1)·Tile·h/FeatureHeight), y0+1, h), columns
// likewise (spec/routing.md 17.1).
type TileAggregate struct {
	own
	FeatureHeight, FeatureWidth, Tile int
}

// OpType implements Op.
func (TileAggregate) OpType() string { return "TileAggregate" }

// Infer implements Op.
func (o TileAggregate) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantRank(in, 0, 4); err != nil {
		return nil, err
	}
	gh, gw, err := grid(o.FeatureHeight, o.FeatureWidth, o.Tile)
	if err != nil {
		return nil, err
	}
	x := in[0].Shape
	if x[2] < 1 || x[3] < 1 {
		return nil, fmt.Errorf("maps %v are empty", x)
	}
	return one(in[0].DType, x[0], gh*gw, 3*x[1]), nil
}

func grid(h, w, tile int) (gh, gw int, err error) {
	if tile < 1 || h < 1 || w < 1 || h%tile != 0 || w%tile != 0 {
		return 0, 0, fmt.Errorf("a map of %d×%d is not divisible into tiles of side %d", h, w, tile)
	}
	return h / tile, w / tile, nil
}

// GreedySelect chooses the Count tiles of highest utility: utilities [B,K] → ids [B,Count] in descending order of utility,
// ties by ascending id, NaN ranked as -Inf. With equal costs this is the greedy selection by utility per cost under a
// budget (spec/routing.md 8), whose count is then a constant.
type GreedySelect struct {
	own
	Count int
}

// OpType implements Op.
func (GreedySelect) OpType() string { return "GreedySelect" }

// Infer implements Op.
func (o GreedySelect) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantRank(in, 0, 2); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if o.Count < 1 || o.Count > x[1] {
		return nil, fmt.Errorf("cannot choose %d of %d tiles", o.Count, x[1])
	}
	return one(tensor.Int64, x[0], o.Count), nil
}

// SplitSelect chooses Count of the given parent tiles and lists their children in the grid of twice the resolution.
//
// Inputs: split utilities [B,K] of every tile of the parent grid, parents [B,k] (distinct ids). Parents rank by descending
// utility, ties by ascending id, NaN as -Inf; the first Count are split. Output: children [B,4·Count] in the parents' rank
// order, each as top-left, top-right, bottom-left, bottom-right, ids in the grid 2·GridHeight × 2·GridWidth
// (spec/routing.md 3.2 and 9).
type SplitSelect struct {
	own
	Count, GridHeight, GridWidth int
}

// OpType implements Op.
func (SplitSelect) OpType() string { return "SplitSelect" }

// Infer implements Op.
func (o SplitSelect) Infer(in []Type) ([]Type, error) {
	if err := cmp.Or(wantInputs(in, 2, 2), wantFloat(in, 0)); err != nil {
		return nil, err
	}
	if err := cmp.Or(wantDType(in, 1, tensor.Int64), wantRank(in, 0, 2), wantRank(in, 1, 2)); err != nil {
		return nil, err
	}
	if err := wantShape(in, 0, in[1].Shape[0], o.GridHeight*o.GridWidth); err != nil {
		return nil, err
	}
	if o.Count < 1 || o.Count > in[1].Shape[1] {
		return nil, fmt.Errorf("cannot split %d of %d tiles", o.Count, in[1].Shape[1])
	}
	return one(tensor.Int64, in[0].Shape[0], 4*o.Count), nil
}

// TileOrder sorts tile ids [B,k] by their position in a scan of the grid; equal positions keep their order. Mode is a
// canonical name of spec/routing.md 2.1: hilbert, multi_direction, l2r, r2l, u2d or d2u.
type TileOrder struct {
	own
	GridHeight, GridWidth int
	Mode                  string
}

// OpType implements Op.
func (TileOrder) OpType() string { return "TileOrder" }

// Infer implements Op.
func (o TileOrder) Infer(in []Type) ([]Type, error) {
	if err := wantInputs(in, 1, 1); err != nil {
		return nil, err
	}
	if err := cmp.Or(wantDType(in, 0, tensor.Int64), wantRank(in, 0, 2)); err != nil {
		return nil, err
	}
	switch o.Mode {
	case "hilbert", "multi_direction", "l2r", "r2l", "u2d", "d2u":
	default:
		return nil, fmt.Errorf("unknown order mode %q", o.Mode)
	}
	if o.GridHeight < 1 || o.GridWidth < 1 {
		return nil, fmt.Errorf("the grid %d×%d is empty", o.GridHeight, o.GridWidth)
	}
	return in[:1], nil
}

// TilePack copies tiles out of a feature map, in the order given: features [B,C,H,W], ids [B,k] → [B,k,C,Tile,Tile].
type TilePack struct {
	own
	Tile int
}

// OpType implements Op.
func (TilePack) OpType() string { return "TilePack" }

// Infer implements Op.
func (o TilePack) Infer(in []Type) ([]Type, error) {
	if err := cmp.Or(wantInputs(in, 2, 2), wantFloat(in, 0)); err != nil {
		return nil, err
	}
	if err := cmp.Or(wantDType(in, 1, tensor.Int64), wantRank(in, 0, 4), wantRank(in, 1, 2)); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if _, _, err := grid(x[2], x[3], o.Tile); err != nil {
		return nil, err
	}
	if in[1].Shape[0] != x[0] {
		return nil, fmt.Errorf("features %v and tile ids %v differ in batch", x, in[1].Shape)
	}
	return one(in[0].DType, x[0], in[1].Shape[1], x[1], o.Tile, o.Tile), nil
}

// TileSSMScan runs a linear recurrence along a sequence of tile tokens, per channel (spec/runtime.md 7.6):
//
//	x_k = clamp(nan_to_num(token_k, 0, L, -L), -L, L)       d = clamp(decay, 1e-6, 1-1e-6)
//	s_k = d·s_(k-1) + (1-d)·(input_gain·x_k + state_bias)   y_k = output_gain·s_k, s_(-1) = 0
//
// Inputs: tokens [B,K,C], decay, input_gain, output_gain, state_bias [C]. Outputs: y [B,K,C] in token order, final state
// [B,C]. Backward runs from the last token to the first; its final state follows token 0. K ≥ 1.
type TileSSMScan struct {
	own
	Backward bool
	Clamp    float64 // L, positive
}

// OpType implements Op.
func (TileSSMScan) OpType() string { return "TileSSMScan" }

// Infer implements Op.
func (o TileSSMScan) Infer(in []Type) ([]Type, error) {
	if err := floats(in, 5, 5); err != nil {
		return nil, err
	}
	if err := wantRank(in, 0, 3); err != nil {
		return nil, err
	}
	x := in[0].Shape
	for i := 1; i < 5; i++ {
		if err := wantShape(in, i, x[2]); err != nil {
			return nil, err
		}
	}
	if x[1] < 1 || !(o.Clamp > 0) {
		return nil, fmt.Errorf("tokens %v or clamp %g out of range (at least one token, positive clamp)", x, o.Clamp)
	}
	d := in[0].DType
	return []Type{{d, x}, {d, []int{x[0], x[2]}}}, nil
}

// TileUnpackFusion writes tiles back over a map and blends the result with that map.
//
// Inputs: base [B,C,H,W], packed [B,k,C,t,t], ids [B,k], optional alpha [B,1,H,W]. Tiles are applied in order over a copy
// of base: patch := tile, or with Blend patch := (1-BlendAlpha)·patch + BlendAlpha·tile. Then, with alpha,
// out = base + alpha·(copy - base); without, out = copy (spec/routing.md 5.2 with one level, spec/model.md 3.11).
type TileUnpackFusion struct {
	own
	Blend      bool
	BlendAlpha float64 // in [0,1], rounded to the session's precision; read only when Blend is set
}

// OpType implements Op.
func (TileUnpackFusion) OpType() string { return "TileUnpackFusion" }

// Infer implements Op.
func (o TileUnpackFusion) Infer(in []Type) ([]Type, error) {
	if err := cmp.Or(wantInputs(in, 3, 4), wantFloat(in, 0, 1, 3)); err != nil {
		return nil, err
	}
	if err := cmp.Or(wantDType(in, 2, tensor.Int64), wantRank(in, 0, 4), wantRank(in, 1, 5), wantRank(in, 2, 2)); err != nil {
		return nil, err
	}
	x, k, t := in[0].Shape, in[2].Shape[1], in[1].Shape[4]
	if _, _, err := grid(x[2], x[3], t); err != nil {
		return nil, err
	}
	if err := cmp.Or(wantShape(in, 1, x[0], k, x[1], t, t), wantShape(in, 2, x[0], k)); err != nil {
		return nil, err
	}
	if len(in) == 4 && in[3].DType != tensor.Invalid {
		if err := wantShape(in, 3, x[0], 1, x[2], x[3]); err != nil {
			return nil, err
		}
	}
	if o.Blend && !(o.BlendAlpha >= 0 && o.BlendAlpha <= 1) {
		return nil, fmt.Errorf("blend alpha %g is outside [0,1]", o.BlendAlpha)
	}
	return in[:1], nil
}

// RoiMeanPool averages features under boxes: features [B,C,h,w], boxes [B,N,4] in pixels of the image → [B,N,C].
//
// Box corners are sorted, scaled by float32(w)/float32(ImageWidth) (rows likewise), clamped to the map; the cells
// [floor(x1), ceil(x2)) × [floor(y1), ceil(y2)) are averaged, and an empty range gives zeros (spec/model.md 3.19).
type RoiMeanPool struct {
	own
	ImageHeight, ImageWidth int
}

// OpType implements Op.
func (RoiMeanPool) OpType() string { return "RoiMeanPool" }

// Infer implements Op.
func (o RoiMeanPool) Infer(in []Type) ([]Type, error) {
	if err := boxesOver(in, o.ImageHeight, o.ImageWidth); err != nil {
		return nil, err
	}
	return one(in[0].DType, in[0].Shape[0], in[1].Shape[1], in[0].Shape[1]), nil
}

// boxesOver checks a rank-4 map with boxes [B,N,4] of an image.
func boxesOver(in []Type, imageH, imageW int) error {
	if err := floats(in, 2, 2); err != nil {
		return err
	}
	if err := cmp.Or(wantRank(in, 0, 4), wantRank(in, 1, 3)); err != nil {
		return err
	}
	if imageH < 1 || imageW < 1 {
		return fmt.Errorf("image size %d×%d", imageH, imageW)
	}
	return wantShape(in, 1, in[0].Shape[0], in[1].Shape[1], 4)
}

// BoxMask crops mask logits to their boxes and scores them: logits [B,N,H,W], boxes [B,N,4] in pixels of the image →
// logits with every cell outside the box set to Fill, and scores [B,N] = Σ σ(logit) over the box's cells / max(cells, 1).
// The cells of a box are those of RoiMeanPool on the grid H×W; an empty box scores 0 (spec/model.md 3.19).
type BoxMask struct {
	own
	ImageHeight, ImageWidth int
	Fill                    float64
}

// OpType implements Op.
func (BoxMask) OpType() string { return "BoxMask" }

// Infer implements Op.
func (o BoxMask) Infer(in []Type) ([]Type, error) {
	if err := boxesOver(in, o.ImageHeight, o.ImageWidth); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if x[1] != in[1].Shape[1] {
		return nil, fmt.Errorf("%d masks for %d boxes", x[1], in[1].Shape[1])
	}
	return []Type{in[0], {in[0].DType, x[:2]}}, nil
}
