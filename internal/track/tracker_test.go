package track

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// at is a detection of a 10×10 box with its left edge at x, of class 0 and an embedding of its own.
func at(x float64) Detection {
	return Detection{Box: Box{x, 0, x + 10, 10}, Score: 0.9, Embedding: []float32{1, 0}}
}

func (d Detection) scored(s float64) Detection             { d.Score = s; return d }
func (d Detection) of(class int64) Detection               { d.Class = class; return d }
func (d Detection) looking(embedding ...float32) Detection { d.Embedding = embedding; return d }
func mustNew(t *testing.T, change func(*Options)) *Tracker {
	t.Helper()
	o := DefaultOptions()
	if change != nil {
		change(&o)
	}
	tr, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// text writes a step on one line.
func (s Step) text() string {
	out := fmt.Sprint("ids ", s.IDs)
	for _, l := range s.Lost {
		out += fmt.Sprintf(" lost %d for %d", l.ID, l.Age)
	}
	if len(s.Confirmed) > 0 {
		out += fmt.Sprint(" confirmed ", s.Confirmed)
	}
	if s.Tentative > 0 {
		out += fmt.Sprint(" tentative ", s.Tentative)
	}
	if len(s.Ended) > 0 {
		out += fmt.Sprint(" ended ", s.Ended)
	}
	return out
}

// TestLifecycle walks through every change of a track's state.
func TestLifecycle(t *testing.T) {
	tr := mustNew(t, func(o *Options) { o.MaxAge = 2 })
	for _, f := range []struct {
		frame      int
		detections []Detection
		want       string
	}{
		{1, []Detection{at(0), at(100)}, "ids [1 2] confirmed [1 2]"},                                 // there is no frame before that could have seen them
		{2, []Detection{at(101), at(1), at(200)}, "ids [2 1 0] tentative 1"},                          // in another order, and a new one
		{3, []Detection{at(2), at(102)}, "ids [1 2]"},                                                 // tentative and unseen: gone
		{4, []Detection{at(3), at(200)}, "ids [1 0] lost 2 for 1 tentative 1"},                        //
		{5, []Detection{at(4), at(200)}, "ids [1 0] lost 2 for 2 tentative 1"},                        //
		{6, []Detection{at(105), at(5), at(200)}, "ids [2 1 3] confirmed [3]"},                        // found again; seen three times in a row
		{7, []Detection{at(6).scored(0.25), at(106), at(50).scored(0.3)}, "ids [1 2 0] lost 3 for 1"}, // weak: goes on, but does not start
		{8, []Detection{at(7).scored(0.19), at(107)}, "ids [0 2] lost 1 for 1 lost 3 for 2"},          // too weak to go on
		{9, []Detection{at(8).scored(0.3), at(108)}, "ids [0 2] lost 1 for 2 ended [3]"},              // a lost track needs a strong one
		{10, nil, "ids [] lost 2 for 1 ended [1]"},
		{20, []Detection{at(119)}, "ids [0] tentative 1 ended [2]"}, // frames were left out
		{21, []Detection{at(120)}, "ids [0] tentative 1"},
		{22, []Detection{at(121)}, "ids [4] confirmed [4]"}, // no id comes back
	} {
		s, err := tr.Update(f.frame, f.detections)
		if err != nil || s.text() != f.want {
			t.Errorf("frame %d: %s, %v; want %s", f.frame, s.text(), err, f.want)
		}
	}
}

// TestIDsAreNeverReused ends every track again and again.
func TestIDsAreNeverReused(t *testing.T) {
	tr := mustNew(t, func(o *Options) { o.MaxAge, o.ConfirmHits = 0, 1 })
	given := map[int64]bool{}
	for frame := 1; frame < 200; frame += 2 {
		s, err := tr.Update(frame, []Detection{at(0), at(50)})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range s.IDs {
			if given[id] || id == 0 {
				t.Fatalf("frame %d: ids %v came before", frame, s.IDs)
			}
			given[id] = true
		}
		if s, err = tr.Update(frame+1, nil); err != nil || len(s.Ended) != 2 {
			t.Fatalf("frame %d: %+v, %v", frame+1, s, err)
		}
	}
}

// TestAppearanceAndClass keeps tracks apart that lie on each other.
func TestAppearanceAndClass(t *testing.T) {
	tr := mustNew(t, nil)
	frame := func(n int, ds ...Detection) string {
		s, err := tr.Update(n, ds)
		if err != nil {
			t.Fatal(err)
		}
		return s.text()
	}
	red, blue := at(0).looking(1, 0, 0), at(0).looking(0, 1, 0)
	if got := frame(1, red, blue, at(0).of(5).looking(0, 0, 1)); got != "ids [1 2 3] confirmed [1 2 3]" {
		t.Error(got)
	}
	if got := frame(2, blue, red); got != "ids [2 1] lost 3 for 1" {
		t.Error(got)
	}
	if got := frame(3, at(0).of(5).looking(1, 0, 0), blue); got != "ids [0 2] lost 1 for 1 lost 3 for 2 tentative 1" {
		t.Errorf("looks like 1 and is of the class of 3: %s", got)
	}
}

// TestOcclusion lets two equal objects walk towards each other, meet behind an obstacle, and come out on the other side. Only
// their motion tells them apart.
func TestOcclusion(t *testing.T) {
	for _, a := range Associations {
		tr := mustNew(t, func(o *Options) { o.Association = a })
		for frame := 1; frame <= 60; frame++ {
			left, right := at(float64(3*frame)), at(float64(200-3*frame))
			var ds []Detection
			if frame < 25 || frame > 40 {
				ds = []Detection{left, right}
			}
			s, err := tr.Update(frame, ds)
			if err != nil {
				t.Fatal(err)
			}
			if len(ds) > 0 && !slices.Equal(s.IDs, []int64{1, 2}) {
				t.Fatalf("%s, frame %d: %s", a, frame, s.text())
			}
		}
	}
}

// TestOrderOfDetectionsDoesNotMatter shuffles the detections of a crowd.
func TestOrderOfDetectionsDoesNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	speed := make([]float64, 30)
	for i := range speed {
		speed[i] = r.Float64()*6 - 3
	}
	straight, shuffled := mustNew(t, nil), mustNew(t, nil)
	names := map[int64]int64{} // by the id of one tracker: that of the other
	for frame := 1; frame <= 40; frame++ {
		var ds []Detection
		for i, v := range speed {
			if d := at(float64(40*i) + v*float64(frame)); r.Float64() > 0.2 {
				d.Box[0], d.Embedding = d.Box[0]+r.Float64(), []float32{float32(i % 3), 1, r.Float32()}
				ds = append(ds, d)
			}
		}
		order := r.Perm(len(ds))
		mixed := make([]Detection, len(ds))
		for i, j := range order {
			mixed[i] = ds[j]
		}
		a, err := straight.Update(frame, ds)
		b, err2 := shuffled.Update(frame, mixed)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		for i, j := range order {
			id := a.IDs[j]
			if name, seen := names[id]; seen && name != b.IDs[i] || (id == 0) != (b.IDs[i] == 0) {
				t.Fatalf("frame %d, detection %d: id %d is %d in another order, and was %d", frame, j, id, b.IDs[i], name)
			}
			names[id] = b.IDs[i]
		}
	}
}

func TestUpdateRejects(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for want, d := range map[string]Detection{
		"frame 3: detection 1 has the box [0 NaN 10 10] and the score 0.9: must be finite": {Box: Box{0, nan, 10, 10}, Score: 0.9, Embedding: []float32{1, 0}},
		"frame 3: detection 1 has the box [0 0 10 10] and the score +Inf: must be finite":  at(0).scored(inf),
		"frame 3: detection 1 has the box [9 0 0 10]: want x1 ≤ x2 and y1 ≤ y2":            {Box: Box{9, 0, 0, 10}, Embedding: []float32{1, 0}},
		"frame 3: detection 1 has an embedding of 3 values, want 2":                        at(0).looking(1, 0, 0),
		"frame 3: detection 1 has an embedding of 0 values, want 2":                        at(0).looking(),
		"frame 3: detection 1 has an embedding with NaN at 1: must be finite":              at(0).looking(1, float32(nan)),
	} {
		tr := mustNew(t, nil)
		if _, err := tr.Update(2, []Detection{at(0)}); err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Update(3, []Detection{at(1), d}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		if s, err := tr.Update(3, []Detection{at(1)}); err != nil || s.text() != "ids [1]" {
			t.Errorf("after %q: %s, %v", want, s.text(), err)
		}
	}
	tr := mustNew(t, nil)
	if _, err := tr.Update(0, nil); err == nil || err.Error() != "frame 0 after frame 0: frames must ascend from 1" {
		t.Error(err)
	}
	if _, err := tr.Update(1, []Detection{at(0).looking()}); err == nil || !strings.HasSuffix(err.Error(), "an embedding of 0 values, want 1") {
		t.Error(err)
	}
}

// TestExtremeBoxes takes boxes without area and of astronomical size.
func TestExtremeBoxes(t *testing.T) {
	tr := mustNew(t, nil)
	dot := Detection{Box: Box{5, 5, 5, 5}, Score: 1, Embedding: []float32{0, 0}}
	huge := Detection{Box: Box{-1e300, -1e300, 1e300, 1e300}, Score: 1, Embedding: []float32{3e38, 3e38}}
	for frame := 1; frame < 5; frame++ {
		s, err := tr.Update(frame, []Detection{dot, huge})
		if err != nil || frame == 1 && s.text() != "ids [1 2] confirmed [1 2]" {
			t.Errorf("frame %d: %s, %v", frame, s.text(), err)
		}
	}
}

func TestOptionsValidate(t *testing.T) {
	o := DefaultOptions()
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	_, err := New(Options{Association: "nearest", IoUGate: 2, DistanceGate: -1, IoUWeight: math.Inf(1), Buffer: math.NaN(), StartScore: 0.1, KeepScore: 0.2, MaxAge: -1})
	want := `association "nearest" is unknown (known: hungarian, greedy)
IoU gate 2 is outside [-1, 1]
embedding distance gate -1 is outside [0, 2]
weights +Inf, 0 and 0: want them in [0, 1] and not all 0
buffer NaN is below 0 or infinite
scores 0.2 to keep and 0.1 to start a track: want 0 ≤ keep ≤ start ≤ 1
0 hits to confirm a track: want at least 1
greatest age -1 is below 0
bank size 0 is below 1`
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}
