package augment

import (
	"errors"
	"image"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/mask"
	"github.com/apex-x/apexx/internal/picture"
)

// randomSample has objects at quarters of pixels, some of them without a mask and some crowds. Every pixel of the picture is another.
func randomSample(t *testing.T, rnd *rand.Rand, width, height int) Sample {
	t.Helper()
	p := &picture.Picture{Width: width, Height: height, Pix: make([]byte, 3*width*height)}
	for i := range p.Pix {
		p.Pix[i] = byte(i/3>>(i%3*8) + 1)
	}
	var list []*coco.Annotation
	for i := range rnd.IntN(6) {
		x, y := float64(rnd.IntN(4*width-8))/4, float64(rnd.IntN(4*height-8))/4
		w, h := 1+float64(rnd.IntN(4*width))/8, 1+float64(rnd.IntN(4*height))/8
		w, h = min(w, float64(width)-x), min(h, float64(height)-y)
		a := &coco.Annotation{ID: int64(i), Category: int64(i % 3), Box: [4]float64{x, y, w, h}, Area: w * h / 2, Crowd: rnd.IntN(8) == 0}
		if rnd.IntN(4) > 0 {
			a.Segmentation.Polygons = [][]float64{{x, y, x + w, y, x + w, y + h}}
		}
		list = append(list, a)
	}
	s, err := newSample(p, list)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFlip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		s := randomSample(t, rnd, 8+rnd.IntN(30), 8+rnd.IntN(30))
		once := s.Flip()
		if twice := once.Flip(); !reflect.DeepEqual(twice, s) {
			t.Fatalf("mirrored twice:\n%+v, was\n%+v", twice.Objects, s.Objects)
		}
		for x := range s.Picture.Width {
			r, g, b := s.Picture.At(x, 3)
			if r1, g1, b1 := once.Picture.At(s.Picture.Width-1-x, 3); r != r1 || g != g1 || b != b1 {
				t.Fatalf("the pixel in column %d is not on the other side", x)
			}
		}
		for i, o := range once.Objects {
			if was := s.Objects[i]; o.Area != was.Area || o.Mask != nil && !mirrored(*was.Mask, *o.Mask) {
				t.Fatalf("object %+v became %+v", was, o)
			}
		}
	}
}

// mirrored tells whether a mask has as many pixels as another, in a box on the other side.
func mirrored(was, is mask.RLE) bool {
	if was.Area() == 0 {
		return is.Area() == 0
	}
	return is.Area() == was.Area() && is.Box()[0] == float64(was.Size[1])-was.Box()[0]-was.Box()[2]
}

// TestCrop holds every object to what the window shows of its mask, pixel by pixel.
func TestCrop(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 1))
	kept, lost := 0, 0
	for range 400 {
		s := randomSample(t, rnd, 8+rnd.IntN(30), 8+rnd.IntN(30))
		width, height := 1+rnd.IntN(s.Picture.Width), 1+rnd.IntN(s.Picture.Height)
		at := image.Pt(rnd.IntN(s.Picture.Width-width+1), rnd.IntN(s.Picture.Height-height+1))
		limits := Limits{MinArea: 2, MinVisibility: 0.3}
		cut := s.Crop(image.Rectangle{at, at.Add(image.Pt(width, height))}, limits)
		if r, g, b := s.Picture.At(at.X, at.Y); cut.Picture.Width != width || cut.Picture.Pix[0] != r || cut.Picture.Pix[1] != g || cut.Picture.Pix[2] != b {
			t.Fatal("the picture is of another place")
		}
		place := 0
		for _, o := range s.Objects {
			want, visible := seen(o, at, width, height)
			if keep := visible > 0 && (o.Crowd || visible >= limits.MinVisibility && want[2]*want[3] >= limits.MinArea); !keep {
				lost++
				continue
			}
			kept++
			if place == len(cut.Objects) {
				t.Fatalf("%+v is not in %v+%d×%d", o, at, width, height)
			}
			got := cut.Objects[place]
			place++
			if got.Box != want || got.Category != o.Category {
				t.Fatalf("%+v seen from %v of %d×%d has the box %v, want %v", o, at, width, height, got.Box, want)
			}
			if got.Mask != nil && visible < 1 && (got.Area != float64(got.Mask.Area()) || got.Box != got.Mask.Box()) {
				t.Fatalf("area %v and box %v of a mask of %d and %v", got.Area, got.Box, got.Mask.Area(), got.Mask.Box())
			}
			if visible == 1 && got.Area != o.Area {
				t.Fatalf("area %v of a whole object of %v", got.Area, o.Area)
			}
		}
		if place != len(cut.Objects) {
			t.Fatalf("%d objects are left, want %d", len(cut.Objects), place)
		}
	}
	if kept < 200 || lost < 200 {
		t.Errorf("%d objects are kept and %d lost: the test shows little", kept, lost)
	}
}

// seen computes the box and the visible part of an object from its pixels.
func seen(o Object, at image.Point, width, height int) (box [4]float64, visible float64) {
	x, y := max(o.Box[0]-float64(at.X), 0), max(o.Box[1]-float64(at.Y), 0)
	right, bottom := min(o.Box[0]+o.Box[2]-float64(at.X), float64(width)), min(o.Box[1]+o.Box[3]-float64(at.Y), float64(height))
	box = [4]float64{x, y, max(right-x, 0), max(bottom-y, 0)}
	if o.Mask == nil {
		return box, box[2] * box[3] / (o.Box[2] * o.Box[3])
	}
	var left []byte
	count := 0
	pixels := o.Mask.Decode()
	for i := range height {
		for j := range width {
			v := pixels[(i+at.Y)*o.Mask.Size[1]+j+at.X]
			left = append(left, v)
			count += int(v)
		}
	}
	if count < o.Mask.Area() {
		box = mask.Encode(left, height, width).Box()
	}
	if o.Mask.Area() == 0 {
		return box, 0
	}
	return box, float64(count) / float64(o.Mask.Area())
}

// square is a picture of one grey with one object without a mask.
func square(side int, grey byte, objects ...Object) Sample {
	p := &picture.Picture{Width: side, Height: side, Pix: make([]byte, 3*side*side)}
	for i := range p.Pix {
		p.Pix[i] = grey
	}
	for i := range objects {
		objects[i].whole = objects[i].Box[2] * objects[i].Box[3]
	}
	return Sample{p, objects}
}

// TestMosaicProtects is the check of spec/train-eval.md 11: the important object of each picture survives whole. Without importance it
// does not.
func TestMosaicProtects(t *testing.T) {
	visible := func(category int64) (sum float64) {
		for seed := range uint64(40) {
			var four [4]Sample
			for i := range four {
				four[i] = square(96, byte(i+1), Object{Category: category, Box: [4]float64{60, 60, 32, 32}, Area: 1024, Crowd: category == 2})
			}
			m := NewMosaic(128, 128)
			m.SplitJitter = 0
			out := m.Combine(four, Limits{}, rand.New(rand.NewPCG(seed, 0)))
			for _, o := range out.Objects {
				sum += o.Box[2] * o.Box[3] / 1024
			}
			for i, at := range []image.Point{{0, 0}, {127, 0}, {0, 127}, {127, 127}} {
				if r, _, _ := out.Picture.At(at.X, at.Y); r != byte(i+1) {
					t.Fatalf("corner %d shows picture %d", i, r)
				}
			}
		}
		return sum / 160
	}
	if v := visible(1); v != 1 {
		t.Errorf("%v of the important objects is visible", v)
	}
	if v := visible(2); v > 0.8 {
		t.Errorf("%v of what is not important is visible", v)
	}
}

// TestMosaicKeepsBoxesWhole has important objects between pixels, which the original's rounding cut.
func TestMosaicKeepsBoxesWhole(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		w, h := 4+20*rnd.Float64(), 4+20*rnd.Float64()
		box := [4]float64{rnd.Float64() * (96 - w), rnd.Float64() * (96 - h), w, h}
		four := [4]Sample{square(96, 1, Object{Box: box}), square(96, 2), square(96, 3), square(96, 4)}
		out := NewMosaic(64, 64).Combine(four, MosaicLimits, rnd)
		if len(out.Objects) != 1 || math.Abs(out.Objects[0].Box[2]-w) > 1e-12 || math.Abs(out.Objects[0].Box[3]-h) > 1e-12 {
			t.Fatalf("%v became %+v", box, out.Objects)
		}
	}
}

// TestMosaicLimits leaves out what is seen too little of, measured against the whole object.
func TestMosaicLimits(t *testing.T) {
	large := Object{Category: 1, Box: [4]float64{0, 0, 64, 64}, Area: 4096}
	edge := Object{Category: 2, Box: [4]float64{24, 24, 64, 8}, Area: 512} // an eighth of it is in the first 32 columns
	crowd := Object{Category: 3, Crowd: true, Box: [4]float64{31, 24, 64, 8}, Area: 512}
	four := [4]Sample{square(96, 1, edge, crowd, large), square(8, 2), square(8, 3), square(8, 4)}
	m := NewMosaic(64, 64)
	m.SplitJitter, m.ImportantArea = 0, 0.3
	found := map[int64]int{}
	for seed := range uint64(400) {
		for _, o := range m.Combine(four, Limits{MinVisibility: 0.15}, rand.New(rand.NewPCG(seed, 0))).Objects {
			found[o.Category]++
			if o.Category == 2 && o.Box[2]*o.Box[3] < 0.15*512 {
				t.Fatalf("%+v is less than its least visible part", o)
			}
		}
	}
	if found[1] != 400 || found[3] == 0 {
		t.Errorf("found %v", found)
	}
}

// TestMosaicSmall leaves black what a picture does not fill, and numbers objects from the corner of their quadrant.
func TestMosaicSmall(t *testing.T) {
	object := func() Object { return Object{Box: [4]float64{1, 2, 3, 4}, Area: 12} }
	four := [4]Sample{square(8, 1, object()), square(8, 2, object()), square(8, 3, object()), square(8, 4, object())}
	m := NewMosaic(32, 48)
	m.SplitJitter = 0
	out := m.Combine(four, MosaicLimits, rand.New(rand.NewPCG(0, 0)))
	for i, want := range [][4]float64{{1, 2, 3, 4}, {25, 2, 3, 4}, {1, 18, 3, 4}, {25, 18, 3, 4}} {
		if out.Objects[i].Box != want {
			t.Errorf("object %d is at %v, want %v", i, out.Objects[i].Box, want)
		}
	}
	if r, _, _ := out.Picture.At(8, 0); r != 0 {
		t.Errorf("the pixel beside the first picture is %d", r)
	}
}

func TestRecipe(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	var all []Sample
	for range 6 {
		all = append(all, randomSample(t, rnd, 40, 30))
	}
	load := func(i int) (Sample, error) { return all[i], nil }
	r := Recipe{Flip: 0.5, Mosaic: NewMosaic(32, 32), Limits: MosaicLimits, Seed: 5}
	flips := 0
	for number := range 40 {
		a, err := r.Make(number, len(all), load)
		b, _ := r.Make(number, len(all), load)
		if err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("sample %d is another the second time: %v", number, err)
		}
		one, err := Recipe{Flip: 0.5, Seed: 5}.Make(number, len(all), load)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(one.Picture, all[number%6].Picture) {
			flips++
		}
		for _, o := range a.Objects {
			if o.Mask != nil && (o.Mask.Size != [2]int{32, 32} || o.Mask.Check() != nil) {
				t.Fatalf("a mask of %v", o.Mask.Size)
			}
		}
	}
	if flips < 10 || flips > 30 {
		t.Errorf("%d of 40 pictures are mirrored", flips)
	}
	other := r
	other.Seed = 6
	a, _ := r.Make(0, len(all), load)
	if b, _ := other.Make(0, len(all), load); reflect.DeepEqual(a, b) {
		t.Error("another seed makes the same sample")
	}
	if _, err := r.Make(0, 3, load); err == nil || err.Error() != "a sample is made of 4 pictures, and there are 3" {
		t.Errorf("%v", err)
	}
	failed := errors.New("no picture")
	if _, err := r.Make(0, 6, func(i int) (Sample, error) { return Sample{}, failed }); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
}

func TestNewSampleRefuses(t *testing.T) {
	p := &picture.Picture{Width: 4, Height: 4, Pix: make([]byte, 48)}
	_, err := newSample(p, []*coco.Annotation{{ID: 7, Segmentation: coco.Segmentation{Size: [2]int{4, 5}, Counts: []uint32{20}}}})
	if err == nil || err.Error() != "annotation 7: the mask has 4×5 pixels, and the picture 4×4 (height×width)" {
		t.Errorf("%v", err)
	}
}
