package parity

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/evidence"
)

// A moved box takes nothing with it: what it is said to suppress it overlaps by its own box, because it moved there.
func TestAMovedBoxSwallowsNothing(t *testing.T) {
	row := func(y, height float64, score float64) detection {
		return detection{box: box{100, y, 404, y + height}, class: 3, score: score}
	}
	for _, c := range []struct {
		name string
		by   float64 // how far the right edge of detection 10 moves, in pixels
		rows []detection
		drop int
		want evidence.State
	}{
		{"by 0.9 of what a relative tolerance of 3 % allowed", 15.7, []detection{row(0, 100, 0.0555), row(0, 58, 0.0551)}, 1, evidence.Unverified},
		{"by 0.9 px, and a row far below the threshold is gone", 0.9, []detection{row(0, 100, 0.0555), row(0, 50, 0.0551)}, 1, evidence.Fail},
		{"by 0.9 px, and a row goes that it does not overlap enough", 0.9, []detection{row(0, 100, 0.0555), row(0, 59.9, 0.0551)}, 1, evidence.Unverified},
		{"by 0.9 px", 0.9, []detection{row(0, 100, 0.0555), row(0, 50, 0.0551)}, 0, evidence.Pass},
	} {
		ref := &fix{fixture(11)}
		for i, d := range c.rows {
			ref.setDetection(0, 10+i, d, rand.New(rand.NewPCG(7, uint64(i))))
		}
		cand := &fix{ref.list.Clone()}
		cand.floats("boxes")[4*10+2] += float32(c.by)
		for range c.drop {
			cand.dropRow(0, 11)
		}
		r := CompareOutputs(ref.list, cand.list, Options{Policy: Balanced.Policy(Op), Class: ClassFP16, Setting: fixSetting})
		if r.State != c.want {
			t.Errorf("%s: %s, want %s: %s", c.name, r.State, c.want, r.Summary())
		}
	}
}

// A share of mismatches is one of a mask inside its box, not of a batch of padded rows.
func TestASmallMaskIsNoShareOfPadding(t *testing.T) {
	ref := tensor.New(tensor.Float32, 1, 100, 128, 128)
	data := tensor.Data[float32](ref)
	for i := range data {
		data[i] = maskFill
	}
	inside := func(do func(at int)) {
		for y := range 13 {
			for x := range 12 {
				do((40+y)*128 + 40 + x)
			}
		}
	}
	inside(func(at int) { data[at] = 6 })
	for _, value := range []float32{-6, -6000, 6 + 1e-3} {
		cand := ref.Clone()
		inside(func(at int) { tensor.Data[float32](cand)[at] = value })
		r := CompareOutputs(list("mask_logits", ref), list("mask_logits", cand), Options{})
		if r.State != evidence.Fail {
			t.Errorf("156 cells of %g instead of 6: %s with %d of %d mismatches", value, r.State, r.MismatchCount, r.TotalCount)
		}
	}
	for i := range data[:128*128] { // one whole mask: 16,384 cells, of which one may be off by up to ten times its bound
		data[i] = 6
	}
	for _, c := range []struct {
		cells int
		error float32
		want  evidence.State
	}{{1, 1e-3, evidence.Pass}, {2, 1e-3, evidence.Fail}, {1, 1e-2, evidence.Fail}} {
		cand := ref.Clone()
		for i := range c.cells {
			tensor.Data[float32](cand)[500*i] += c.error
		}
		if r := CompareOutputs(list("mask_logits", ref), list("mask_logits", cand), Options{}); r.State != c.want {
			t.Errorf("%d cells off by %g: %s, want %s", c.cells, c.error, r.State, c.want)
		}
	}
}

// A share of mismatches of a map is one of a tile.
func TestTilesOfAMap(t *testing.T) {
	of := tilesOf([]int{2, 3, 4, 8}, 2, 4)
	if len(of.size) != 16 || of.size[0] != 3*2*2 || of.at(0) != 0 || of.at(2) != 1 || of.at(8*2+7) != 7 || of.at(2*3*4*8-1) != 15 {
		t.Errorf("%v: %d %d %d %d", of.size, of.at(0), of.at(2), of.at(8*2+7), of.at(2*3*4*8-1))
	}
}

// Of every output the elements that were compared and those that were left out add up to all.
func TestCoverageAddsUp(t *testing.T) {
	for _, c := range scenarios {
		ref := &fix{fixture(11)}
		cand := &fix{ref.list.Clone()}
		c.apply(ref, cand)
		for _, o := range CompareOutputs(ref.list, cand.list, Options{Setting: fixSetting}).Outputs {
			sum := o.Coverage.Compared
			for _, l := range o.Coverage.LeftOut {
				sum += l.Elements
			}
			if o.Problem == "" && (sum != o.Coverage.Expected || o.Coverage.Expected != ref.list.Get(o.Name).Len()) {
				t.Errorf("%s: %s: %+v", c.name, o.Name, o.Coverage)
			}
		}
	}
}

// Where half of an output or more is left out of an image, the pair is not verified.
func TestShareOfAnImage(t *testing.T) {
	for _, c := range []struct {
		share share
		lost  bool
	}{
		{share{0, 0}, false}, {share{1, 1}, false}, {share{1, 0}, true}, {share{2, 1}, true}, {share{3, 2}, false}, {share{20, 10}, true}, {share{20, 11}, false},
	} {
		if got := c.share.lost(); got != c.lost {
			t.Errorf("%+v: %v", c.share, got)
		}
	}
}

// A policy without a tolerance: what each execution shows by itself is checked, and nothing is said of the rest.
func TestNoToleranceIsDefined(t *testing.T) {
	none := Policy{"none", 0, func(string, Class) Tolerance { return Tolerance{Undefined: true} }}
	for _, c := range []struct {
		name string
		edit func(f *fix)
		want evidence.State
	}{
		{"equal", func(*fix) {}, evidence.Unverified},
		{"other numbers", func(f *fix) { jitter(f.list, 1e-2, rand.New(rand.NewPCG(1, 2))); f.decide() }, evidence.Unverified},
		{"NaN", func(f *fix) { f.floats("semantic_logits")[5] = float32(math.NaN()) }, evidence.Fail},
		{"against its own scores", func(f *fix) { f.swapRows(0, 1, 2) }, evidence.Fail},
	} {
		ref := &fix{fixture(11)}
		cand := &fix{ref.list.Clone()}
		c.edit(cand)
		r := CompareOutputs(ref.list, cand.list, Options{Policy: none, Setting: fixSetting})
		if r.State != c.want {
			t.Errorf("%s: %s, want %s: %s", c.name, r.State, c.want, r.Summary())
		}
		if c.want == evidence.Unverified && r.Outputs[0].Coverage.Compared != 0 {
			t.Errorf("%s: %+v", c.name, r.Outputs[0].Coverage)
		}
	}
}

// Dense routing takes every tile in ascending order, and nothing else does.
func TestDenseRouting(t *testing.T) {
	utilities := tensor.Must(tensor.Of([]float32{0.1, 0.4, 0.3, 0.2}, 1, 4))
	run := func(tiles ...int64) tensor.List {
		return list("utilities", utilities, "tiles_l0", tensor.Must(tensor.Of(tiles, 1, len(tiles))), "valid_l0", i64(int64(len(tiles))))
	}
	for _, c := range []struct {
		dense bool
		tiles []int64
		want  evidence.State
	}{
		{true, []int64{0, 1, 2, 3}, evidence.Pass}, {false, []int64{0, 1, 2, 3}, evidence.Fail},
		{false, []int64{1, 2, 3, 0}, evidence.Pass}, {true, []int64{1, 2, 3, 0}, evidence.Fail}, {true, []int64{0, 1}, evidence.Fail},
		{false, []int64{1, 2}, evidence.Pass}, {false, []int64{1, 9}, evidence.Fail},
	} {
		r := CompareOutputs(run(c.tiles...), run(c.tiles...), Options{Setting: Setting{Dense: c.dense}})
		if r.State != c.want {
			t.Errorf("dense %v, %v: %s, want %s: %s", c.dense, c.tiles, r.State, c.want, r.Summary())
		}
	}
}

// With its predictions recorded, an execution is held to them: what it lists it predicts, and what it predicts it lists or has a
// cause to drop.
func TestAnExecutionObeysItsPredictions(t *testing.T) {
	hidden := detection{box: box{8, 8, 100, 80}, class: 3, score: 0.3}
	for _, c := range []struct {
		name string
		edit func(ref, cand *fix)
		want evidence.State
	}{
		{"as predicted", func(_, _ *fix) {}, evidence.Pass},
		{"a prediction is not listed by either", func(ref, cand *fix) { ref.predict(0, hidden); cand.predict(0, hidden) }, evidence.Fail},
		{"a detection goes, and its prediction stays", func(_, cand *fix) { cand.dropRow(0, 4) }, evidence.Fail},
		{"one at the threshold goes", func(ref, cand *fix) { atThreshold(ref, 0.05+1e-5); atThreshold(cand, 0.05-1e-5); cand.dropRow(0, 11) }, evidence.Explained},
		{"one that moved farther than scores may goes", func(ref, cand *fix) { atThreshold(ref, 0.0502); atThreshold(cand, 0.0499); cand.dropRow(0, 11) }, evidence.Fail},
		{"one at the threshold appears", func(ref, cand *fix) { atThreshold(cand, 0.05+1e-5); atThreshold(ref, 0.05-1e-5); ref.dropRow(0, 11) }, evidence.Explained},
	} {
		ref := &fix{fixture(11)}
		ref.setDetection(0, 11, detection{box: box{300, 200, 340, 240}, class: 5, score: 0.0555}, rand.New(rand.NewPCG(7, 7)))
		ref.recordPredictions()
		cand := &fix{ref.list.Clone()}
		c.edit(ref, cand)
		r := CompareOutputs(ref.list, cand.list, Options{Setting: fixSetting})
		if r.State != c.want {
			t.Errorf("%s: %s, want %s: %s", c.name, r.State, c.want, r.Summary())
		}
	}
}

// atThreshold gives detection 11 of image 0 another score, in the list and in the logits behind it.
func atThreshold(f *fix, score float64) {
	logits, old := f.floats("tap.det.cls.P3"), f.floats("scores")[11]
	for i, v := range logits[:fixClasses*fixH/8*fixW/8] {
		if math.Abs(routing.Sigmoid(float64(v))-float64(old)) < 1e-6 {
			logits[i] = float32(math.Log(score / (1 - score)))
		}
	}
	f.floats("scores")[11] = float32(score)
}

// What is left out still has to be numbers, in both executions, taps included, whatever outputs a graph has.
func TestLeftOutIsNoLicense(t *testing.T) {
	run := func(tile int64, first, second float32, values ...float32) tensor.List {
		return list("utilities", tensor.Must(tensor.Of([]float32{first, second}, 1, 2)), "tiles_l0", tensor.Must(tensor.Of([]int64{tile}, 1, 1)), "valid_l0", i64(1),
			"heatmap", tensor.Must(tensor.Of(values[:2], 1, 2)), "tap.fpn.P3", tensor.Must(tensor.Of(values[2:], 1, 1)))
	}
	bad := float32(nan)
	for _, c := range []struct {
		name      string
		ref, cand []float32
		want      evidence.State
	}{
		{"other numbers", []float32{1, 2, 3}, []float32{7, 8, 9}, evidence.Unverified},
		{"NaN in the candidate", []float32{1, 2, 3}, []float32{7, bad, 9}, evidence.Fail},
		{"infinite in a tap", []float32{1, 2, 3}, []float32{7, 8, float32(inf)}, evidence.Fail},
		{"NaN in the reference", []float32{bad, 2, 3}, []float32{7, 8, 9}, evidence.Fail},
		{"NaN in both", []float32{bad, 2, 3}, []float32{bad, 8, 9}, evidence.Fail},
	} {
		r := CompareOutputs(run(0, 0.5+1e-6, 0.5, c.ref...), run(1, 0.5, 0.5+1e-6, c.cand...), Options{})
		if r.State != c.want {
			t.Errorf("%s: %s, want %s: %s", c.name, r.State, c.want, r.Summary())
		}
	}
}

// Where the threshold of the suppression is not known, nothing is explained by it.
func TestUnknownSuppressionExplainsNothing(t *testing.T) {
	ref := &fix{fixture(11)}
	cand := &fix{ref.list.Clone()}
	cand.dropRow(0, 9)
	set := fixSetting
	set.IoUThreshold = 0
	if r := CompareOutputs(ref.list, cand.list, Options{Setting: set}); r.State != evidence.Fail {
		t.Errorf("%s: %s", r.State, r.Summary())
	}
}

// An execution in float64 projects a corner in float64: just above a border of a grid it covers a cell more than float32 does, where that
// rounds to the border.
func TestCellsOfWideBoxes(t *testing.T) {
	const border = 160.0 // of a mask of 40 columns in 640 pixels: 10 columns
	above := border + 1e-9
	if narrow, wide := cells(64, above, 40, 640, false), cells(64, above, 40, 640, true); narrow != [2]int{4, 10} || wide != [2]int{4, 11} {
		t.Errorf("in float32 %v, in float64 %v", narrow, wide)
	}
	ref, cand := &fix{fixture(11)}, (*fix)(nil)
	d := detection{box: box{64, 32, border, 96}, class: 3, score: 0.0551}
	ref.setDetection(0, 11, d, rand.New(rand.NewPCG(8, 8)))
	cand = &fix{ref.list.Clone()}
	for i, o := range ref.list { // the reference in float64, with the column that it covers
		if o.DType().IsFloat() {
			ref.list[i].Tensor = tensor.Must(tensor.Of(o.Float64s(), o.Shape()...))
		}
	}
	tensor.Data[float64](ref.list.Get("boxes"))[4*11+2] = above
	masks := tensor.Data[float64](ref.list.Get("mask_logits"))[11*fixMaskH*fixMaskW:]
	for y := 2; y < 6; y++ {
		masks[y*fixMaskW+10] = 3
	}
	r := CompareOutputs(ref.list, cand.list, Options{Setting: fixSetting})
	if r.State != evidence.Explained || len(r.Decisions) != 1 || r.Decisions[0].Kind != EdgeRounding {
		t.Errorf("%s: %s, %v", r.State, r.Summary(), r.Decisions)
	}
}
