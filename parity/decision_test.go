package parity

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/goldenfile"

	"github.com/apex-x/apexx/parity/evidence"
)

// list builds named outputs from alternating names and tensors.
func list(nameAndTensor ...any) tensor.List {
	var l tensor.List
	for i := 0; i < len(nameAndTensor); i += 2 {
		l = append(l, tensor.Named{Name: nameAndTensor[i].(string), Tensor: nameAndTensor[i+1].(*tensor.Tensor)})
	}
	return l
}

// scenario changes a pair of equal executions; both are reference and candidate of a comparison.
type scenario struct {
	name  string
	state evidence.State
	apply func(ref, cand *fix)
}

// nearTie makes two utilities of an image nearly equal, and equal-sized moves in the candidate that exchange them.
func nearTie(scores string, a, b int, level, gap, move float32) func(ref, cand *fix) {
	return func(ref, cand *fix) {
		ref.floats(scores)[a], ref.floats(scores)[b] = level+gap, level
		cand.floats(scores)[a], cand.floats(scores)[b] = level+gap-move, level+move
		ref.selectTiles(0)
		cand.selectTiles(0)
	}
}

// place returns the tile at a place of the selection of image 0.
func (f *fix) place(i int) int { return int(f.ints("tiles_l0")[i]) }

var scenarios = []scenario{
	{"equal runs", evidence.Pass, func(_, _ *fix) {}},
	{"rounding noise", evidence.Pass, func(_, cand *fix) { jitter(cand.list, 1e-6, rand.New(rand.NewPCG(1, 1))) }},
	{"two tiles swap within rounding", evidence.Explained, func(ref, cand *fix) {
		a, b := ref.place(3), ref.place(4)
		nearTie("utilities", a, b, (ref.floats("utilities")[a]+ref.floats("utilities")[b])/2, 6e-8, 6e-8)(ref, cand)
	}},
	{"two tiles swap, explained", evidence.Explained, func(ref, cand *fix) {
		a, b := ref.place(3), ref.place(4)
		nearTie("utilities", a, b, (ref.floats("utilities")[a]+ref.floats("utilities")[b])/2, 1e-5, 1e-5)(ref, cand)
	}},
	{"two tiles swap without cause", evidence.Fail, func(_, cand *fix) {
		t := cand.ints("tiles_l0")
		t[3], t[4] = t[4], t[3]
	}},
	{"three tiles rotate without cause", evidence.Fail, func(_, cand *fix) {
		t := cand.ints("tiles_l0")
		t[1], t[2], t[3] = t[3], t[1], t[2]
	}},
	{"another tile is chosen, and nothing after it can be compared", evidence.Unverified, func(ref, cand *fix) {
		anotherTile(ref, cand, 1e-5)
		fillSmooth(cand.list.Get("semantic_logits"), 5, rand.New(rand.NewPCG(5, 5))) // image 1 is then compared and must be equal
		half := cand.list.Get("semantic_logits").Len() / 2
		copy(cand.floats("semantic_logits")[half:], ref.floats("semantic_logits")[half:])
		cand.dropRow(0, 2)
	}},
	{"another tile is chosen without cause", evidence.Fail, func(ref, cand *fix) {
		out := 0
		for contains(ref.ints("tiles_l0")[:fixTiles], out) {
			out++
		}
		cand.ints("tiles_l0")[2] = int64(out)
	}},
	{"one utility moves by 2e-6, and everything after it is NaN", evidence.Fail, func(ref, cand *fix) {
		anotherTile(ref, cand, 1e-6)
		for _, name := range []string{"mask_logits", "embeddings", "semantic_logits"} {
			data := cand.floats(name)
			for i := range len(data) / 2 {
				data[i] = float32(nan)
			}
		}
		cand.dropAll(0)
	}},
	{"one utility moves by 2e-6, and no detection is left", evidence.Unverified, func(ref, cand *fix) {
		anotherTile(ref, cand, 1e-6)
		cand.dropAll(0)
	}},
	{"one utility moves by 2e-6, and the masks leave their boxes", evidence.Fail, func(ref, cand *fix) {
		anotherTile(ref, cand, 1e-6)
		cand.eachPlane("mask_logits", func(p []float32, _, _ int) {
			for i := range p {
				p[i] = 3
			}
		})
	}},
	{"one utility moves by 2e-6, and the embeddings are not of unit length", evidence.Fail, func(ref, cand *fix) {
		anotherTile(ref, cand, 1e-6)
		clear(cand.floats("embeddings")[:64])
	}},
	{"one utility moves by 2e-6, and a score is above 1", evidence.Fail, func(ref, cand *fix) {
		anotherTile(ref, cand, 1e-6)
		cand.floats("scores")[0], cand.floats("mask_scores")[1] = 1.5, -0.5
	}},
	{"another tile is chosen, and its children are those of a tile left out", evidence.Fail, func(ref, cand *fix) {
		anotherTile(ref, cand, 1e-5)
		cand.setTiles("l1", 0, childrenOf(absent(cand, 0)))
		cand.ints("valid_l1")[0] = int64(len(childrenOf(0)))
	}},
	{"another tile is chosen, and the children are not of the best parents", evidence.Fail, func(ref, cand *fix) {
		anotherTile(ref, cand, 1e-5)
		s := cand.floats("split_utilities")[:fixGridH*fixGridW]
		for i := range s {
			s[i] = -s[i]
		}
		cand.selectTiles(0)
		for i := range s {
			s[i] = -s[i]
		}
	}},
	{"all utilities shift, and a tile is taken that is worse by the candidate's own", evidence.Fail, func(ref, cand *fix) {
		in, out := ref.place(fixTiles-1), absent(ref, 0)
		level := ref.floats("utilities")[in]
		ref.floats("utilities")[out] = level - 8e-5
		for i, v := range ref.floats("utilities") {
			cand.floats("utilities")[i] = v + 4.5e-5
		}
		cand.ints("tiles_l0")[fixTiles-1] = int64(out)
	}},
	{"all scores shift, and two detections are listed against their own", evidence.Fail, func(ref, cand *fix) {
		ref.floats("scores")[6] = ref.floats("scores")[5] - 8e-5
		for i, v := range ref.floats("scores") {
			if v != 0 {
				cand.floats("scores")[i] = v + 4.5e-5
			}
		}
		cand.swapRows(0, 5, 6)
	}},
	{"the reference contradicts its own utilities", evidence.Fail, func(ref, cand *fix) {
		for _, f := range []*fix{ref, cand} {
			f.ints("tiles_l0")[0], f.ints("tiles_l0")[1] = f.ints("tiles_l0")[1], f.ints("tiles_l0")[0]
		}
	}},
	{"both keep what they should have suppressed", evidence.Fail, func(ref, cand *fix) {
		for _, f := range []*fix{ref, cand} {
			rng := rand.New(rand.NewPCG(7, 7))
			f.setDetection(0, 10, detection{box: box{0, 0, 100, 100}, class: 3, score: 0.0555}, rng)
			f.setDetection(0, 11, detection{box: box{0, 0, 100, 90}, class: 3, score: 0.0551}, rng)
		}
	}},
	{"both keep what is below the threshold", evidence.Fail, func(ref, cand *fix) {
		for _, f := range []*fix{ref, cand} {
			f.floats("scores")[11] = 0.04
		}
	}},
	{"the masks are NaN on both sides", evidence.Fail, func(ref, cand *fix) {
		for _, f := range []*fix{ref, cand} {
			f.floats("mask_logits")[3] = float32(nan)
		}
	}},
	{"the side of a box moves by 100 pixels, taps not recorded", evidence.Unverified, func(ref, cand *fix) {
		for _, f := range []*fix{ref, cand} {
			f.setDetection(0, 11, detection{box: box{0, 0, 300, 300}, class: 3, score: 0.0551}, rand.New(rand.NewPCG(7, 7)))
		}
		cand.floats("boxes")[4*11+2] += 100
	}},
	{"most detections are gone, each at the threshold", evidence.Unverified, func(ref, cand *fix) {
		for _, f := range []*fix{ref, cand} {
			for row := 5; row < 12; row++ {
				f.floats("scores")[row] = 0.05 + 3e-8
			}
		}
		for range 7 {
			cand.dropRow(0, 5)
		}
	}},
	{"some detections are gone, each at the threshold", evidence.Explained, func(ref, cand *fix) {
		for _, f := range []*fix{ref, cand} {
			for row := 7; row < 12; row++ {
				f.floats("scores")[row] = 0.05 + 3e-8
			}
		}
		for range 5 {
			cand.dropRow(0, 7)
		}
	}},
	{"another parent is split, and nothing after it can be compared", evidence.Unverified, func(ref, cand *fix) {
		k := ref.list.Get("split_utilities").Shape()[1]
		for i := range k { // all parents within 1e-5 of each other
			ref.floats("split_utilities")[i] = 0.5 + 1e-7*float32(i)
			cand.floats("split_utilities")[i] = 0.5 + 1e-7*float32(k-i)
		}
		ref.selectTiles(0)
		cand.selectTiles(0)
	}},
	{"children in another order", evidence.Fail, func(_, cand *fix) {
		t := cand.ints("tiles_l1")
		t[0], t[1] = t[1], t[0]
	}},
	{"an incomplete family", evidence.Fail, func(_, cand *fix) { cand.ints("tiles_l1")[3]++ }},
	{"a tile beyond the count", evidence.Fail, func(_, cand *fix) { cand.ints("valid_l0")[1]-- }},
	{"a count beyond the list", evidence.Fail, func(_, cand *fix) { cand.ints("valid_l1")[0] = 1 << 40 }},
	{"two detections swap, explained", evidence.Explained, func(ref, cand *fix) {
		s := ref.floats("scores")
		s[6] = s[5] - 1e-5
		copy(cand.floats("scores"), s)
		cand.floats("scores")[5], cand.floats("scores")[6] = s[6], s[5]
		cand.swapRows(0, 5, 6)
	}},
	{"two detections swap without cause", evidence.Fail, func(_, cand *fix) { cand.swapRows(0, 1, 2) }},
	{"a detection at the score threshold", evidence.Explained, func(ref, cand *fix) {
		for _, f := range []*fix{ref, cand} {
			f.floats("scores")[11] = 0.05 + 3e-8
		}
		cand.dropRow(0, 11)
	}},
	{"a detection is lost", evidence.Fail, func(_, cand *fix) { cand.dropRow(0, 4) }},
	{"another detection is last", evidence.Unverified, func(ref, cand *fix) {
		last := 2*fixRows - 1
		moved := detection{box: box{1, 1, 40, 40}, class: 7, score: float64(ref.floats("scores")[last])}
		cand.setDetection(1, fixRows-1, moved, rand.New(rand.NewPCG(9, 9)))
	}},
	{"a suppression at the IoU threshold", evidence.Explained, func(ref, cand *fix) {
		for _, f := range []*fix{ref, cand} {
			f.setDetection(0, 10, detection{box: box{0, 0, 100, 100}, class: 3, score: 0.0555}, rand.New(rand.NewPCG(7, 7)))
			f.setDetection(0, 11, detection{box: box{0, 0, 100, 60}, class: 3, score: 0.0551}, rand.New(rand.NewPCG(8, 8)))
		}
		cand.dropRow(0, 11)
	}},
	{"two overlapping detections compete", evidence.Unverified, func(ref, cand *fix) {
		ref.setDetection(0, 11, detection{box: box{0, 0, 100, 80}, class: 3, score: 0.0551}, rand.New(rand.NewPCG(8, 8)))
		cand.setDetection(0, 11, detection{box: box{0, 0, 100, 95}, class: 3, score: 0.0551}, rand.New(rand.NewPCG(8, 8)))
		jitter(cand.list, 1e-7, rand.New(rand.NewPCG(8, 8)))
	}},
	{"a box edge rounds to another cell", evidence.Explained, func(ref, cand *fix) {
		a := detection{box: box{63.99999, 32, 160, 96}, class: 3, score: 0.0551}
		b := a
		b.box[0] = 64.00001
		ref.setDetection(0, 11, a, rand.New(rand.NewPCG(8, 8)))
		cand.setDetection(0, 11, b, rand.New(rand.NewPCG(8, 8)))
	}},
	{"a mask edge rounds to another cell, and the interior differs", evidence.Fail, func(ref, cand *fix) {
		maskEdgeFlip(ref, cand)
		cand.floats("mask_logits")[(11*fixMaskH+3)*fixMaskW+6] -= 2
	}},
	{"a mask edge rounds to another cell", evidence.Explained, maskEdgeFlip},
	{"every box is shifted by a pixel", evidence.Fail, func(_, cand *fix) {
		for i, v := range cand.floats("boxes") {
			if v != 0 {
				cand.floats("boxes")[i] = v + 1
			}
		}
	}},
	{"a freed detection", evidence.Unverified, func(ref, cand *fix) {
		rng := rand.New(rand.NewPCG(8, 8))
		for i, d := range []detection{ // b suppresses c, and is suppressed itself in the candidate by a, at the threshold
			{box: box{0, 0, 100, 100}, class: 3, score: 0.0555}, {box: box{0, 0, 100, 60}, class: 3, score: 0.0553}} {
			ref.setDetection(0, 10+i, d, rng)
			cand.setDetection(0, 10+i, d, rand.New(rand.NewPCG(8, 8)))
		}
		copy(cand.floats("mask_logits"), ref.floats("mask_logits"))
		copy(cand.floats("mask_scores"), ref.floats("mask_scores"))
		copy(cand.floats("embeddings"), ref.floats("embeddings"))
		cand.setDetection(0, 11, detection{box: box{0, 0, 100, 38}, class: 3, score: 0.0551}, rng)
	}},
	{"a detection in the padding", evidence.Fail, func(_, cand *fix) { cand.floats("scores")[15] = 0.1 }},
	{"a NaN score", evidence.Fail, func(_, cand *fix) { cand.floats("scores")[3] = float32(nan) }},
	{"a NaN utility", evidence.Fail, func(_, cand *fix) { cand.floats("utilities")[3] = float32(nan) }},
	{"a missing output", evidence.Fail, func(_, cand *fix) { cand.list = cand.list[1:] }},
	{"outputs in another order", evidence.Fail, func(_, cand *fix) {
		cand.list[0], cand.list[1] = cand.list[1], cand.list[0]
	}},
	{"another shape", evidence.Fail, func(_, cand *fix) {
		cand.list[0].Tensor = tensor.New(tensor.Float32, fixBatch, fixRows+1, 4)
	}},
	{"another type", evidence.Fail, func(_, cand *fix) { cand.list[2].Tensor = tensor.New(tensor.Float32, fixBatch, fixRows) }},
}

// absent returns a tile that image b did not choose.
func absent(f *fix, b int) int {
	width := f.list.Get("tiles_l0").Shape()[1]
	id := 0
	for contains(f.ints("tiles_l0")[b*width:][:fixTiles], id) {
		id++
	}
	return id
}

// anotherTile lets the last chosen tile of image 0 lead the best of the others by gap, and lets it fall behind in the candidate.
func anotherTile(ref, cand *fix, gap float32) {
	in, out := ref.place(fixTiles-1), absent(ref, 0)
	nearTie("utilities", in, out, ref.floats("utilities")[in], gap, gap)(ref, cand)
}

// dropAll removes all detections of image b.
func (f *fix) dropAll(b int) {
	for f.ints("valid_counts")[b] > 0 {
		f.dropRow(b, 0)
	}
}

// maskEdgeFlip lets the right side of a box cross a border of the mask grid that is none of the feature grid.
func maskEdgeFlip(ref, cand *fix) {
	a := detection{box: box{64, 32, 159.99999, 96}, class: 3, score: 0.0551}
	b := a
	b.box[2] = 160.00001
	ref.setDetection(0, 11, a, rand.New(rand.NewPCG(8, 8)))
	cand.setDetection(0, 11, b, rand.New(rand.NewPCG(8, 8)))
}

func contains(ids []int64, id int) bool {
	for _, v := range ids {
		if v == int64(id) {
			return true
		}
	}
	return false
}

// Every scenario ends in its state, and what people read about it is reviewed in one file.
func TestScenarios(t *testing.T) {
	var messages strings.Builder
	for _, c := range scenarios {
		ref := &fix{fixture(11)}
		cand := &fix{ref.list.Clone()}
		c.apply(ref, cand)
		r := CompareOutputs(ref.list, cand.list, Options{Setting: fixSetting})
		r.CaseName, r.ReferenceBackend, r.CandidateBackend = "fixture", "reference/fp64", "ort/fp32"
		if r.State != c.state {
			t.Errorf("%s: %s, want %s", c.name, r.State, c.state)
		}
		fmt.Fprintf(&messages, "## %s: %s\n", c.name, r.State)
		for _, p := range r.Problems {
			fmt.Fprintln(&messages, "problem:", p)
		}
		for _, d := range r.Decisions {
			fmt.Fprintln(&messages, d)
		}
		for i := range r.Outputs {
			if f := r.Outputs[i].failure(); f != "" {
				fmt.Fprintf(&messages, "%s: %s\n", r.Outputs[i].Name, f)
			}
			if n := r.Outputs[i].Note; n != "" {
				fmt.Fprintf(&messages, "%s: note: %s\n", r.Outputs[i].Name, n)
			}
			if c := r.Outputs[i].Coverage.String(); c != "" {
				fmt.Fprintf(&messages, "%s: %s\n", r.Outputs[i].Name, c)
			}
		}
		fmt.Fprintf(&messages, "summary: %s\n\n", r.Summary())
	}
	goldenfile.Check(t, "messages.txt", messages.String())
}

// At level 2 the parents are ranked by a tap; where it was not recorded a difference has no explanation.
func TestSecondLevelOfSplits(t *testing.T) {
	run := func(scores []float64, tiles ...int64) tensor.List { // one parent of level 0 in a grid of 1×1: four tiles of level 1
		l := list("utilities", tensor.Must(tensor.Of([]float64{1}, 1, 1)), "split_utilities", tensor.Must(tensor.Of([]float64{1}, 1, 1)),
			"tiles_l0", tensor.Must(tensor.Of([]int64{0}, 1, 1)), "valid_l0", i64(1),
			"tiles_l1", tensor.Must(tensor.Of([]int64{0, 2, 3, 1}, 1, 4)), "valid_l1", i64(4),
			"tiles_l2", tensor.Must(tensor.Of(tiles, 1, 4)), "valid_l2", i64(4))
		if scores != nil {
			l = append(l, tensor.Named{Name: "tap.l1", Tensor: tensor.Must(tensor.Of(scores, 1, 4))})
		}
		return l
	}
	first, second := []int64{0, 1, 5, 4}, []int64{7, 6, 2, 3} // of the first and the second tile, along the Hilbert curve
	for _, c := range []struct {
		name      string
		ref, cand []float64
		want      evidence.State
	}{
		{"a tie", []float64{0.5 + 1e-9, 0.5, 0, 0}, []float64{0.5, 0.5 + 1e-9, 0, 0}, evidence.Explained},
		{"a near tie", []float64{0.5 + 1e-5, 0.5, 0, 0}, []float64{0.5, 0.5 + 1e-5, 0, 0}, evidence.Explained},
		{"not by the candidate's own", []float64{0.5 + 1e-5, 0.5, 0, 0}, []float64{0.5 + 1e-5, 0.5, 0, 0}, evidence.Fail},
		{"no tie", []float64{0.6, 0.5, 0, 0}, []float64{0.6, 0.5, 0, 0}, evidence.Fail},
		{"not recorded", nil, nil, evidence.Fail},
	} {
		r := CompareOutputs(run(c.ref, first...), run(c.cand, second...), Options{Setting: Setting{GridHeight: 1, GridWidth: 1, LevelOneScores: "tap.l1"}})
		if r.State != c.want {
			t.Errorf("%s: %s, want %s: %s", c.name, r.State, c.want, r.Summary())
		}
	}
}

// The mean of a report weights its outputs by their elements.
func TestReportMeanIsWeighted(t *testing.T) {
	r := CompareOutputs(list("a", f64(0, 0, 0), "b", f64(0)), list("a", f64(0, 0, 0), "b", f64(4)), Options{})
	if r.MeanAbsErr != 1 {
		t.Errorf("mean %v, want 1", r.MeanAbsErr)
	}
}
