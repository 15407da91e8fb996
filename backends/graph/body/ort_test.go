//go:build cgo

package body_test

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/tensor"
)

// The values below are those of the specification, or were worked out by hand. They are checked on ONNX Runtime itself;
// without its library these tests are skipped with the reason.

var nan, inf = float32(math.NaN()), float32(math.Inf(1))

func of[T tensor.Element](shape []int, data ...T) *tensor.Tensor {
	return tensor.Must(tensor.Of(data, shape...))
}

// dims makes calls readable.
func dims(d ...int) []int { return d }

// count returns n numbers from 0.
func count(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(i)
	}
	return out
}

// execute runs one operator on inputs. Sessions refuse inputs that are not finite, so such numbers are made inside the graph:
// every float input is the quotient of two.
func execute(t *testing.T, op graph.Op, inputs ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	backend := ort.New()
	if err := backend.Probe(context.Background()).Err(backend.Name()); err != nil {
		t.Skip(err)
	}
	b := graph.NewBuilder("operator")
	var values []*graph.Value
	var fed tensor.List
	feed := func(name string, x *tensor.Tensor) *graph.Value {
		fed = append(fed, tensor.Named{Name: name, Tensor: x})
		return b.Input(name, graph.Type{DType: x.DType(), Shape: x.Shape()})
	}
	for i, x := range inputs {
		name := string(rune('a' + i))
		if x.DType() != tensor.Float32 {
			values = append(values, feed(name, x))
			continue
		}
		above, below := quotient(x)
		values = append(values, b.Add1(name+".quotient", graph.Binary{Fn: graph.Div}, feed(name, above), feed(name+".below", below)))
	}
	for i, v := range b.Add("op", op, values...) {
		b.Output(string(rune('u'+i)), v)
	}
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	session, err := backend.Compile(context.Background(), g, backends.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	results, err := backends.Run(context.Background(), session, fed)
	if err != nil {
		t.Fatal(err)
	}
	var out []*tensor.Tensor
	for _, r := range results {
		out = append(out, r.Tensor.Clone())
	}
	return out
}

// quotient returns finite tensors whose quotient is x.
func quotient(x *tensor.Tensor) (above, below *tensor.Tensor) {
	above, below = x.Clone(), x.Clone()
	a, b := tensor.Data[float32](above), tensor.Data[float32](below)
	for i, v := range a {
		b[i] = 1
		switch {
		case v != v:
			a[i], b[i] = 0, 0
		case v-v != 0:
			a[i], b[i] = float32(math.Copysign(1, float64(v))), 0
		}
	}
	return above, below
}

// check compares an output with what it should hold.
func check[T tensor.Element](t *testing.T, got *tensor.Tensor, want ...T) {
	t.Helper()
	expected := tensor.Must(tensor.Of(want, len(want))).Float64s()
	if got.DType() != tensor.DTypeOf[T]() || got.Len() != len(want) {
		t.Fatalf("got %v, want %d numbers of %v", got, len(want), tensor.DTypeOf[T]())
	}
	for i, v := range got.Float64s() {
		if d := math.Abs(v - expected[i]); v != expected[i] && !(d <= 2e-6*max(1, math.Abs(expected[i])) && !math.IsInf(d, 0)) {
			t.Fatalf("element %d is %v, want %v; all: %v", i, v, expected[i], got.Float64s())
		}
	}
}

func TestGroupNormalization(t *testing.T) {
	op := graph.GroupNormalization{Groups: 2, Epsilon: 0.75}
	out := execute(t, op, of[float32](dims(1, 4, 1, 2), 0, 1, 0, 1, 4, 4, 4, 4), of[float32](dims(4), 1, 2, 3, 4), of[float32](dims(4), 0, 0, 7, 8))
	check(t, out[0], float32(-0.5), 0.5, -1, 1, 7, 7, 8, 8) // (0-0.5)/sqrt(0.25+0.75) in the first group
}

// TestGroupNormalizationOfManyElements fails for a body that sums element by element.
func TestGroupNormalizationOfManyElements(t *testing.T) {
	const channels, side = 16, 256
	rng := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, channels*side*side)
	var sum, squares float64
	for i := range x {
		x[i] = 1 + 2*float32(rng.NormFloat64())
		sum += float64(x[i])
		squares += float64(x[i]) * float64(x[i])
	}
	scale, bias := make([]float32, channels), make([]float32, channels)
	for i := range scale {
		scale[i] = 1
	}
	n := float64(len(x))
	mean := sum / n
	deviation := math.Sqrt(squares/n - mean*mean + 1e-5)
	op := graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}
	out := execute(t, op, of(dims(1, channels, side, side), x...), of(dims(channels), scale...), of(dims(channels), bias...))
	worst := 0.0
	for i, y := range tensor.Data[float32](out[0]) {
		worst = max(worst, math.Abs(float64(y)-(float64(x[i])-mean)/deviation))
	}
	if worst > 5e-6 {
		t.Errorf("off by %g, want at most 5e-6", worst)
	}
}

func TestTileAggregate(t *testing.T) {
	even := graph.TileAggregate{FeatureHeight: 8, FeatureWidth: 8, Tile: 4}
	out := execute(t, even, of[float32](dims(1, 1, 4, 4), 0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, 33))
	check(t, out[0], float32(5.5), 11, 25.25, 7.5, 13, 25.25, 25.5, 31, 25.25, 27.5, 33, 25.25)

	// One row of tiles over columns [0,2), [1,4) and [3,5): windows of different sizes.
	uneven := graph.TileAggregate{FeatureHeight: 4, FeatureWidth: 12, Tile: 4}
	out = execute(t, uneven, of[float32](dims(1, 2, 1, 5), 0, 1, 2, 6, 8, 0, 0, 0, 0, -4))
	check(t, out[0], float32(0.5), 1, 0.25, 0, 0, 0, 3, 6, 14.0/3, 0, 0, 0, 7, 8, 1, -2, 0, 4)
}

func TestGreedySelect(t *testing.T) {
	out := execute(t, graph.GreedySelect{Count: 6}, of(dims(2, 6), 0.8, nan, 1.2, 0.8, inf, -inf, -1, -0.5, 0.2, 0.2, 0, float32(math.Copysign(0, -1))))
	check(t, out[0], int64(4), 2, 0, 3, 1, 5, 2, 3, 4, 5, 1, 0)
}

func TestSplitSelect(t *testing.T) {
	op := graph.SplitSelect{Count: 2, GridHeight: 3, GridWidth: 4}
	utilities := of(dims(1, 12), nan, 0, 9, 1, 0, 1, 0, 0, 0, 0, 0, 2)
	out := execute(t, op, utilities, of[int64](dims(1, 4), 5, 11, 3, 0)) // 11 leads, 3 and 5 tie, tile 2 is no parent
	check(t, out[0], int64(38), 39, 46, 47, 6, 7, 14, 15)
}

func TestTileOrder(t *testing.T) {
	for _, c := range []struct {
		mode      string
		h, w      int
		ids, want []int64
	}{
		{"hilbert", 4, 4, []int64{15, 0, 10, 5, 3, 3, 12}, []int64{0, 5, 12, 10, 15, 3, 3}},
		{"r2l", 4, 5, []int64{6, 1, 6, 0, 9, 1}, []int64{1, 1, 0, 9, 6, 6}},
		{"u2d", 4, 5, []int64{8, 1, 9, 0, 2, 4}, []int64{0, 1, 2, 8, 4, 9}},
		{"d2u", 4, 5, []int64{8, 1, 9, 0, 2, 4}, []int64{0, 1, 2, 8, 9, 4}},
		{"multi_direction", 2, 2, []int64{2, 1, 0, 3}, []int64{0, 2, 1, 3}},
	} {
		t.Run(c.mode, func(t *testing.T) {
			op := graph.TileOrder{GridHeight: c.h, GridWidth: c.w, Mode: c.mode}
			check(t, execute(t, op, of(dims(1, len(c.ids)), c.ids...))[0], c.want...)
		})
	}
}

func TestTilePackAndUnpack(t *testing.T) {
	base, ids := of(dims(2, 2, 4, 4), count(64)...), of[int64](dims(2, 2), 3, 0, 1, 2)
	packed := execute(t, graph.TilePack{Tile: 2}, base, ids)[0]
	want := []float32{10, 11, 14, 15, 26, 27, 30, 31, 0, 1, 4, 5, 16, 17, 20, 21, 34, 35, 38, 39, 50, 51, 54, 55, 40, 41, 44, 45, 56, 57, 60, 61}
	check(t, packed, want...)
	check(t, execute(t, graph.TileUnpackFusion{}, base, packed, ids)[0], count(64)...) // writing back what is there
}

func TestTileUnpackFusion(t *testing.T) {
	base := of[float32](dims(1, 1, 2, 4), 1, 1, 1, 1, 1, 1, 1, 1)
	tile, ids := of[float32](dims(1, 1, 1, 2, 2), 5, 9, 13, 17), of[int64](dims(1, 1), 1)
	alpha := of[float32](dims(1, 1, 2, 4), 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0, 1)
	blend := graph.TileUnpackFusion{Blend: true, BlendAlpha: 0.25}
	check(t, execute(t, graph.TileUnpackFusion{}, base, tile, ids)[0], float32(1), 1, 5, 9, 1, 1, 13, 17)
	check(t, execute(t, blend, base, tile, ids)[0], float32(1), 1, 2, 3, 1, 1, 4, 5)
	check(t, execute(t, graph.TileUnpackFusion{}, base, tile, ids, alpha)[0], float32(1), 1, 3, 5, 1, 1, 1, 17)
	check(t, execute(t, blend, base, tile, ids, alpha)[0], float32(1), 1, 1.5, 2, 1, 1, 1, 5)
}

func TestTileSSMScan(t *testing.T) {
	tokens := of(dims(1, 3, 2), 1, nan, 0, inf, 4, -1)
	decay, gain, output, bias := of[float32](dims(2), 0.5, 0.75), of[float32](dims(2), 2, 1), of[float32](dims(2), 1, 10), of[float32](dims(2), 0, 1)
	out := execute(t, graph.TileSSMScan{Clamp: 8}, tokens, decay, gain, output, bias)
	check(t, out[0], float32(1), 2.5, 0.5, 24.375, 4.25, 18.28125) // drives: 2, 0, 8 and 1, 9, 0
	check(t, out[1], float32(4.25), 1.828125)
	out = execute(t, graph.TileSSMScan{Clamp: 8, Backward: true}, tokens, decay, gain, output, bias)
	check(t, out[0], float32(2), 19.375, 2, 22.5, 4, 0)
	check(t, out[1], float32(2), 1.9375)
}

// squares are boxes on a map of 4×4 cells, with the cells they cover.
var squares = of[float32](dims(1, 4, 4), 0.5, 0.5, 1, 1, 3, 3, 1, 1, 2, 2, 2, 2, -5, -5, 100, 1.2)

func TestRoiMeanPool(t *testing.T) {
	out := execute(t, graph.RoiMeanPool{ImageHeight: 4, ImageWidth: 4}, of(dims(1, 2, 4, 4), count(32)...), squares)
	check(t, out[0], float32(0), 16, 7.5, 23.5, 0, 0, 3.5, 19.5)
	none := execute(t, graph.RoiMeanPool{ImageHeight: 4, ImageWidth: 4}, of(dims(1, 2, 4, 4), count(32)...), of[float32](dims(1, 0, 4)))
	check[float32](t, none[0])
}

func TestBoxMask(t *testing.T) {
	logits := make([]float32, 64)
	logits[16+10] = 40 // one of the four cells of the second box
	logits[16] = nan   // outside that box
	logits[48] = nan   // inside the last box, whose score is NaN
	out := execute(t, graph.BoxMask{ImageHeight: 8, ImageWidth: 4, Fill: -20}, of(dims(1, 4, 4, 4), logits...), double(squares))
	want := make([]float32, 64)
	for i := range want {
		want[i] = -20
	}
	for _, cell := range []int{0, 21, 22, 25, 26, 49, 50, 51, 52, 53, 54, 55} {
		want[cell] = logits[cell]
	}
	got := tensor.Data[float32](out[0])
	if !math.IsNaN(float64(got[48])) {
		t.Errorf("a NaN in the box became %v", got[48])
	}
	got[48] = -20
	check(t, out[0], want...)
	scores := tensor.Data[float32](out[1])
	check(t, of(dims(3), scores[:3]...), float32(0.5), 0.625, 0)
}

// double doubles the rows of boxes: the image is twice as high as the map.
func double(boxes *tensor.Tensor) *tensor.Tensor {
	out := boxes.Clone()
	for i, v := range tensor.Data[float32](boxes) {
		if i%2 == 1 {
			tensor.Data[float32](out)[i] = 2 * v
		}
	}
	return out
}

// detect runs selection and decoding, one after the other: boxes, scores, classes and count.
func detect(t *testing.T, op graph.SelectDetections, predictions ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	kept := execute(t, op, predictions...)
	decode := graph.DecodeBoxes{Strides: op.Strides, ImageHeight: op.ImageHeight, ImageWidth: op.ImageWidth}
	return append(execute(t, decode, append(predictions, kept...)...), kept[1])
}

func TestDetections(t *testing.T) {
	// All logits 0: scores 1/4 everywhere; boxes of side 11.09 around centres 8 apart, cut at the image's edge.
	const far = 9.545177 // 4 + 8·ln 2
	const near = 16 - far
	zeros := func(channels int) *tensor.Tensor { return of(dims(1, channels, 2, 2), make([]float32, 4*channels)...) }
	op := graph.SelectDetections{Strides: []int{8}, ImageHeight: 16, ImageWidth: 16, ScoreThreshold: 0.25, PreNMSTopK: 100, IoUThreshold: 0.1, MaxDetections: 5}

	// Neighbours overlap by an IoU of 0.19, opposite corners by 0.06: per class the first and the last anchor stay.
	out := detect(t, op, zeros(2), zeros(4), zeros(1))
	check(t, out[0], float32(0), 0, far, far, 0, 0, far, far, near, near, 16, 16, near, near, 16, 16, 0, 0, 0, 0)
	check(t, out[1], float32(0.25), 0.25, 0.25, 0.25, 0)
	check(t, out[2], int64(0), 1, 0, 1, -1)
	check(t, out[3], int64(4))

	// No pair overlaps by more than 0.2: everything stays, anchor by anchor, as far as there are rows; or as far as the level's k.
	op.IoUThreshold = 0.2
	check(t, detect(t, op, zeros(2), zeros(4), zeros(1))[2], int64(0), 1, 0, 1, 0)
	op.PreNMSTopK = 3
	check(t, detect(t, op, zeros(2), zeros(4), zeros(1))[2], int64(0), 1, 0, -1, -1)

	// A NaN in a score rejects one pair, one in a box an anchor, one in a quality an anchor.
	op.PreNMSTopK, op.ScoreThreshold = 100, 0
	cls, box, quality := zeros(2), zeros(4), zeros(1)
	tensor.Data[float32](cls)[0] = nan
	tensor.Data[float32](box)[4+1] = nan
	tensor.Data[float32](quality)[2] = nan
	out = detect(t, op, cls, box, quality)
	check(t, out[2], int64(1), 0, 1, -1, -1)
	check(t, out[3], int64(3))

	// A score that underflows to 0 is a candidate still.
	for i := range tensor.Data[float32](cls) {
		tensor.Data[float32](cls)[i] = -200
	}
	out = detect(t, op, cls, zeros(4), zeros(1))
	check(t, out[1], float32(0), 0, 0, 0, 0)
	check(t, out[2], int64(0), 1, 0, 1, 0)

	op.MaxDetections = 0
	out = detect(t, op, zeros(2), zeros(4), zeros(1))
	check[float32](t, out[0])
	check(t, out[3], int64(0))
}

// TestScoresHaveTheOrderOfSelection: the scores that decoding computes are, bit for bit, those that selection ranked by.
func TestScoresHaveTheOrderOfSelection(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	random := func(channels int) *tensor.Tensor {
		data := make([]float32, channels*13*17)
		for i := range data {
			data[i] = float32(rng.NormFloat64())
		}
		return of(dims(1, channels, 13, 17), data...)
	}
	op := graph.SelectDetections{Strides: []int{8}, ImageHeight: 104, ImageWidth: 136, PreNMSTopK: 4000, IoUThreshold: 1, MaxDetections: 3001}
	out := detect(t, op, random(19), random(4), random(1))
	scores := tensor.Data[float32](out[1])[:tensor.Data[int64](out[3])[0]]
	if len(scores) != op.MaxDetections || !slices.IsSortedFunc(scores, func(a, b float32) int { return cmp.Compare(b, a) }) {
		t.Errorf("%d scores, in another order than that in which they were kept: %v", len(scores), scores)
	}
}
