package evaluate

import (
	"math"
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
