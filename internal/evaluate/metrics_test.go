package evaluate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/internal/coco"
)

func near(t *testing.T, name string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-6) {
		t.Errorf("%s: %v, want %v", name, got, want)
	}
}

// TestOfficialInterpolation holds the cases of spec/train-eval.md 12.2 in which the area under all points is not COCO's.
func TestOfficialInterpolation(t *testing.T) {
	for _, tt := range []struct {
		outcome string // by score: + right, - wrong
		objects int
		want    float64
	}{{"+-+", 2, 0.834983}, {"-+", 1, 0.5}, {"+", 2, 0.504950}, {"+-", 1, 1}, {"", 3, 0}, {"-++-+", 4, 0.485149}} {
		d := &coco.Dataset{Images: []coco.Image{{ID: 1, Width: 1000, Height: 1000}}, Categories: []coco.Category{{ID: 1}}}
		box := func(i int) [4]float64 { return [4]float64{float64(20 * i), 0, 10, 10} }
		for i := range tt.objects {
			d.Annotations = append(d.Annotations, coco.Annotation{ID: int64(i), Image: 1, Category: 1, Box: box(i), Area: 100})
		}
		var list []coco.Detection
		right := 0
		for i, c := range tt.outcome {
			found := coco.Detection{Image: 1, Category: 1, Score: 1 - float64(i)/10, Box: [4]float64{0, 500, 10, 10}}
			if c == '+' {
				found.Box = box(right)
				right++
			}
			list = append(list, found)
		}
		near(t, tt.outcome, MatchBoxes(d, list).Summary().AP50, tt.want)
	}
}

func TestSemantic(t *testing.T) {
	var s Semantic
	if err := s.Add([]uint8{0, 1, 1, 0, 2, 2}, []uint8{0, 1, 255, 1, 2, 0}); err != nil {
		t.Fatal(err)
	}
	r := s.Result(4)
	near(t, "mIoU", r.MIoU, 0.444444)
	for c, want := range []float64{1. / 3, 0.5, 0.5, 0} {
		near(t, "class", r.PerClass[c], want)
	}
	if err := s.Add([]uint8{1}, nil); err == nil {
		t.Error("sizes differ, and there is no error")
	}
}

// panopticOf counts one image of 4×4 with thing class 0 and stuff class 1; a map has a letter for each segment.
func panopticOf(t *testing.T, predicted, truth string) PanopticResult {
	t.Helper()
	kinds := map[byte]Segment{'t': {1, 0, false}, 's': {2, 1, false}, 'u': {3, 0, false}, 'c': {4, 0, true}, '.': {}}
	image := func(text string) (im PanopticImage) {
		seen := map[byte]bool{}
		for i := range len(text) {
			g := kinds[text[i]]
			im.Map = append(im.Map, g.ID)
			if !seen[text[i]] && g.ID > 0 {
				im.Segments = append(im.Segments, g)
			}
			seen[text[i]] = true
		}
		return im
	}
	p := NewPanoptic([]bool{false, true})
	if err := p.Add(image(predicted), image(truth)); err != nil {
		t.Fatal(err)
	}
	return p.Result()
}

func TestPanoptic(t *testing.T) {
	const truth = "ttss" + "ttss" + "ssss" + "ssss"
	same := panopticOf(t, truth, truth)
	if same.All != (PanopticQuality{1, 1, 1}) || same.Things.PQ != 1 || same.Stuff.PQ != 1 {
		t.Errorf("%+v", same)
	}
	shifted := panopticOf(t, "stts"+"stts"+"ssss"+"ssss", truth)
	near(t, "stuff PQ", shifted.Stuff.PQ, 0.714286)
	near(t, "all PQ", shifted.All.PQ, 0.357143)
	near(t, "all SQ", shifted.All.SQ, 0.357143)
	near(t, "all RQ", shifted.All.RQ, 0.5)
	if k := shifted.PerClass[0]; k.Right != 0 || k.Wrong != 1 || k.Missed != 1 {
		t.Errorf("%+v", k)
	}
	// Void in the truth is no part of the union: the original had 0.5 here, and no match.
	near(t, "over void", panopticOf(t, "tttt"+"tttt"+"...."+"....", "tttt"+"...."+"...."+"....").All.PQ, 1)
	// A segment mostly over void, and one mostly over a crowd of its class, are not wrong; a missed crowd is not missed.
	for _, tt := range []struct{ predicted, truth string }{
		{"ssss" + "ssss" + "tttt" + "....", "ssss" + "ssss" + "...." + "...."},
		{"ssss" + "ssss" + "tttt" + "....", "ssss" + "ssss" + "cccc" + "...."},
		{"ssss" + "ssss" + "...." + "....", "ssss" + "ssss" + "cccc" + "cccc"},
	} {
		if r := panopticOf(t, tt.predicted, tt.truth); r.PerClass[0] != (PanopticClass{}) || r.All.PQ != 1 {
			t.Errorf("%s for %s: %+v", tt.predicted, tt.truth, r)
		}
	}
	// Half over a crowd is wrong.
	if r := panopticOf(t, "ttts"+"ttts"+"ssss"+"ssss", "sccs"+"scss"+"ssss"+"ssss"); r.PerClass[0].Wrong != 1 {
		t.Errorf("half over a crowd: %+v", r.PerClass[0])
	}
	// An overlap of exactly a half is none.
	if r := panopticOf(t, "tt..ss"+"ssssssssss", "tsttss"+"ssssssssss"); r.PerClass[0].Right != 0 {
		t.Errorf("a half: %+v", r.PerClass[0])
	}
}

func TestPanopticErrors(t *testing.T) {
	one := PanopticImage{[]int32{1}, []Segment{{1, 0, false}}}
	for want, im := range map[string]PanopticImage{
		"predicted segment 2 of the map is not listed": {[]int32{2}, nil},
		"predicted segment 3 has no pixel in the map":  {[]int32{0}, []Segment{{3, 0, false}}},
		"predicted segment 1 is listed twice":          {[]int32{1}, []Segment{{1, 0, false}, {1, 0, false}}},
		"predicted segment 1 has class 9 of 2":         {[]int32{1}, []Segment{{1, 9, false}}},
		"predicted segment -1: numbers are above 0":    {[]int32{1}, []Segment{{-1, 0, false}}},
		"a map of 2 pixels for one of 1":               {[]int32{1, 1}, nil},
	} {
		if err := NewPanoptic(make([]bool, 2)).Add(im, one); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestRegress(t *testing.T) {
	r := Regress([]float64{.5, .7, .9}, []float64{.2, .3, .4})
	near(t, "mae", r.MAE, .4)
	near(t, "rmse", r.RMSE, .408248)
	near(t, "bias", r.Bias, .4)
	near(t, "r2", *r.R2, -24)
	near(t, "corr", *r.Pearson, 1)
	if r := Regress([]float64{1, 2}, []float64{1, 1}); r.R2 != nil || r.Pearson != nil || r.ExactMatch != 0.5 {
		t.Errorf("equal targets: %+v", r)
	}
	if d := Describe([]float64{1, 3}); d != (Spread{2, 1, 1, 3}) {
		t.Errorf("%+v", d)
	}
}

// naive computes PQ of one class by sets of pixels, straight from the rules.
func naive(class int, images [][2]PanopticImage) (quality float64, any bool) {
	var overlap, right, wrong, missed float64
	for _, im := range images {
		predicted, truth := im[0], im[1]
		count := func(t, p func(id int32) bool) (n float64) {
			for i := range truth.Map {
				if t(truth.Map[i]) && p(predicted.Map[i]) {
					n++
				}
			}
			return n
		}
		is := func(id int32) func(int32) bool { return func(other int32) bool { return other == id } }
		all := func(int32) bool { return true }
		matched := map[int32]bool{}
		for _, t := range truth.Segments {
			if t.Class != class || t.Crowd {
				continue
			}
			found := false
			for _, p := range predicted.Segments {
				both := count(is(t.ID), is(p.ID))
				either := count(is(t.ID), all) + count(all, is(p.ID)) - both - count(is(0), is(p.ID))
				if p.Class == class && both/either > 0.5 {
					found, matched[p.ID] = true, true
					overlap += both / either
				}
			}
			if found {
				right++
			} else {
				missed++
			}
		}
		for _, p := range predicted.Segments {
			if p.Class != class || matched[p.ID] {
				continue
			}
			excused := count(is(0), is(p.ID))
			for _, t := range truth.Segments {
				if t.Crowd && t.Class == class {
					excused += count(is(t.ID), is(p.ID))
				}
			}
			if excused/count(all, is(p.ID)) <= 0.5 {
				wrong++
			}
		}
	}
	if right+wrong+missed == 0 {
		return 0, false
	}
	return overlap / (right + wrong/2 + missed/2), true
}

// TestPanopticEqualsTheRules compares random maps with naive.
func TestPanopticEqualsTheRules(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for trial := range 100 {
		const classes = 3
		p := NewPanoptic([]bool{false, false, true})
		var images [][2]PanopticImage
		for range 3 {
			truth := randomSegments(rnd, classes, true)
			predicted := PanopticImage{Map: slices.Clone(truth.Map)}
			for i := range predicted.Map {
				if rnd.IntN(4) == 0 {
					predicted.Map[i] = int32(rnd.IntN(8))
				}
			}
			predicted.Segments = segmentsOf(predicted.Map, func(id int32) Segment {
				for _, s := range truth.Segments {
					if s.ID == id && rnd.IntN(5) > 0 {
						return Segment{id, s.Class, false}
					}
				}
				return Segment{id, rnd.IntN(classes), false}
			})
			if err := p.Add(predicted, truth); err != nil {
				t.Fatal(err)
			}
			images = append(images, [2]PanopticImage{predicted, truth})
		}
		r := p.Result()
		var total, seen float64
		for class, got := range r.PerClass {
			want, any := naive(class, images)
			if !(math.Abs(got.PQ-want) <= equal) {
				t.Errorf("trial %d, class %d: %+v, want PQ %v", trial, class, got, want)
			}
			if any {
				total, seen = total+want, seen+1
			}
		}
		near(t, "PQ of all", r.All.PQ, total/max(seen, 1))
	}
}

// randomSegments draws a map of rectangles; number 0 is void.
func randomSegments(rnd *rand.Rand, classes int, crowds bool) PanopticImage {
	const side = 12
	im := PanopticImage{Map: make([]int32, side*side)}
	for id := range int32(7) {
		x, y, w, h := rnd.IntN(side), rnd.IntN(side), 1+rnd.IntN(8), 1+rnd.IntN(8)
		for i := range im.Map {
			if i%side >= x && i%side < x+w && i/side >= y && i/side < y+h {
				im.Map[i] = id
			}
		}
	}
	im.Segments = segmentsOf(im.Map, func(id int32) Segment { return Segment{id, rnd.IntN(classes), crowds && rnd.IntN(4) == 0} })
	return im
}

func segmentsOf(ids []int32, of func(id int32) Segment) []Segment {
	var list []Segment
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		if id > 0 {
			list = append(list, of(id))
		}
	}
	return list
}
