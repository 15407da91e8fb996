package evaluate

import (
	"math"
	"testing"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/coco/synthetic"
)

// TestScoreStrata counts by hand: scores on the bounds, beyond them, on a crowd, and an overlap between 0.5 and 0.75.
func TestScoreStrata(t *testing.T) {
	box := func(x float64) [4]float64 { return [4]float64{x, 0, 10, 10} }
	d := &coco.Dataset{Images: []coco.Image{{ID: 1, Width: 500, Height: 20}}, Categories: []coco.Category{{ID: 1, Name: "a"}, {ID: 2, Name: "b"}}, Annotations: []coco.Annotation{
		{ID: 1, Image: 1, Category: 1, Box: box(0), Area: 100}, {ID: 2, Image: 1, Category: 1, Box: box(100), Area: 1024}, {ID: 3, Image: 1, Category: 1, Box: box(200), Area: 9999},
		{ID: 4, Image: 1, Category: 1, Box: box(300), Area: 100, Crowd: true}, {ID: 5, Image: 1, Category: 2, Box: box(0), Area: 100}}}
	found := func(category int64, x, score float64) coco.Detection {
		return coco.Detection{Image: 1, Category: category, Box: box(x), Score: score}
	}
	m := MatchBoxes(d, []coco.Detection{found(1, 0, 1), found(1, 100, 1e300), found(1, 202, 0.5), found(1, 300, 0.55), found(1, 400, 0.59), found(1, 420, -2), found(2, 0, 0.5)})
	got := m.ScoreStrata()
	for i, want := range []ScoreStratum{
		0: {Found: 1, MeanScore: -2, Precision50: 0, Precision75: 0},
		5: {Found: 3, MeanScore: (0.5 + 0.59 + 0.5) / 3, Right50: 2, Right75: 1, Precision50: 2. / 3, Precision75: 1. / 3},
		9: {Found: 2, MeanScore: (1 + 1e300) / 2, Right50: 2, Right75: 2, Precision50: 1, Precision75: 1},
	} {
		if want.Found == 0 {
			want.Precision50, want.Precision75 = -1, -1
		}
		if want.Low, want.High = float64(i)/10, float64(i+1)/10; math.Abs(got[i].MeanScore-want.MeanScore) > 1e-12 {
			t.Errorf("stratum %d has the mean score %v, want %v", i, got[i].MeanScore, want.MeanScore)
		}
		if want.MeanScore = got[i].MeanScore; got[i] != want {
			t.Errorf("stratum %d: %+v, want %+v", i, got[i], want)
		}
	}
	classes := m.PerClass()
	if want := (SizeCounts{Small: 2, Medium: 1, Large: 1}); classes[0].Sizes != want { // 1024 pixels are small and medium
		t.Errorf("sizes %+v, want %+v", classes[0].Sizes, want)
	}
	if n := classes[1].Scores[5].Found; n != 1 {
		t.Errorf("class b has %d detections of scores from 0.5", n)
	}
}

// TestStrataAddUp holds strata to what they are parts of.
func TestStrataAddUp(t *testing.T) {
	d, list := synthesized(t, synthetic.Spec{Images: 60, Classes: 5, Objects: 7, Detections: 20, Noise: 0.1, Miss: 0.1, Ties: true, Seed: 9})
	m := MatchBoxes(d, list)
	all := m.ScoreStrata()
	var sum [scoreStrata]ScoreStratum
	for class, c := range m.PerClass() {
		right := 0
		for _, f := range m.series[class][0].found {
			if f.right&^f.ignored&1 != 0 {
				right++
			}
		}
		for i, s := range c.Scores {
			sum[i].Found, sum[i].Right50, sum[i].Right75 = sum[i].Found+s.Found, sum[i].Right50+s.Right50, sum[i].Right75+s.Right75
			right -= s.Right50
		}
		if right != 0 {
			t.Errorf("class %d has %d right detections that are in no stratum", class, right)
		}
		if n := c.Sizes.Small + c.Sizes.Medium + c.Sizes.Large; n != c.Objects {
			t.Errorf("class %d has %d objects, and by size %d", class, c.Objects, n)
		}
	}
	for i, s := range all {
		if s.Found != sum[i].Found || s.Right50 != sum[i].Right50 || s.Right75 != sum[i].Right75 || s.Right75 > s.Right50 {
			t.Errorf("stratum %d: %+v, and of the classes %+v", i, s, sum[i])
		}
	}
}
