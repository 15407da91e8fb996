package reports

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/parity"
)

// plain is a dark grey picture.
func plain(w, h int) *picture.Picture {
	return &picture.Picture{Width: w, Height: h, Pix: bytes.Repeat([]byte{40}, 3*w*h)}
}

// found is a detection of class id with a full mask inside a picture, or without a mask.
func found(id int64, score float64, box [4]float64, masked *picture.Picture) Detection {
	d := Detection{Score: parity.Number(score), ClassID: id, Class: "moon"}
	for i, v := range box {
		d.Box[i] = parity.Number(v)
	}
	if p := masked; p != nil {
		fit := picture.Fit{PictureWidth: p.Width, PictureHeight: p.Height, Width: p.Width, Height: p.Height, InnerWidth: p.Width, InnerHeight: p.Height}
		mask := fit.Mask([]float32{1}, 1, 1, box)
		d.Mask = &mask
	}
	return d
}

// TestOverlayGolden compares every pixel of a small scene: two masks that overlap, the better one on top, a detection too
// weak to be drawn, tiles of two levels, and labels at the top edge and at the right edge.
func TestOverlayGolden(t *testing.T) {
	p := plain(160, 96)
	img := Overlay(Scene{
		Picture:    p,
		Detections: []Detection{found(0, 0.91, [4]float64{70.5, 40, 150, 90}, p), found(1, 0.5, [4]float64{10, 4, 90, 60}, p), found(2, 0.24, [4]float64{0, 0, 160, 96}, p)},
		Tiles:      []TileBox{{0, [4]float64{0, 0, 64, 64}}, {1, [4]float64{32, 32, 64, 64}}, {2, [4]float64{96, 0, 112, 16}}},
	})
	goldenPicture(t, "overlay.png", img)
	if got := img.NRGBAAt(159, 95); got != (color.NRGBA{40, 40, 40, 255}) {
		t.Errorf("the weak detection was drawn: %v", got)
	}
}

// goldenPicture compares every pixel with a file of testdata.
func goldenPicture(t *testing.T, name string, img *image.NRGBA) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *goldenfile.Update {
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if want.Bounds() != img.Bounds() {
		t.Fatalf("size %v, want %v", img.Bounds(), want.Bounds())
	}
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			if got := color.NRGBAModel.Convert(want.At(x, y)); got != img.At(x, y) {
				t.Fatalf("pixel %d,%d is %v, want %v (run with -update to accept, and look at %s)", x, y, img.At(x, y), got, path)
			}
		}
	}
}

// changed returns the smallest rectangle around the pixels that differ from the picture.
func changed(img *image.NRGBA, p *picture.Picture) image.Rectangle {
	var r image.Rectangle
	for y := range p.Height {
		for x := range p.Width {
			if red, green, blue := p.At(x, y); img.NRGBAAt(x, y) != (color.NRGBA{red, green, blue, 255}) {
				r = r.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return r
}

// TestLabelsStayInside checks that the whole plate is in the picture wherever the box is.
func TestLabelsStayInside(t *testing.T) {
	p := plain(200, 100)
	const w, h = 4 + 7*len("moon 0.90"), 14
	for name, tt := range map[string]struct {
		box  [4]float64
		want image.Rectangle // of the plate
	}{
		"middle":       {[4]float64{60, 50, 80, 60}, image.Rect(60, 50-h, 60+w, 50)},
		"top":          {[4]float64{60, 0, 80, 30}, image.Rect(60, 0, 60+w, h)},
		"near the top": {[4]float64{60, 5, 80, 30}, image.Rect(60, 5, 60+w, 5+h)},
		"bottom":       {[4]float64{60, 95, 80, 100}, image.Rect(60, 95-h, 60+w, 95)},
		"left":         {[4]float64{0, 50, 5, 60}, image.Rect(0, 50-h, w, 50)},
		"right":        {[4]float64{190, 50, 200, 60}, image.Rect(200-w, 50-h, 200, 50)},
		"bottom right": {[4]float64{200, 100, 200, 100}, image.Rect(200-w, 100-h, 200, 100)},
	} {
		img := Overlay(Scene{Picture: p, Detections: []Detection{found(3, 0.9, tt.box, nil)}})
		if got := changed(img, p); !tt.want.In(got) {
			t.Errorf("%s: painted %v, want the plate %v inside", name, got, tt.want)
		}
		if got := img.NRGBAAt(tt.want.Min.X, tt.want.Min.Y); got != palette[3] {
			t.Errorf("%s: the plate's corner is %v", name, got)
		}
	}
	low := plain(200, 20) // a box near the top whose label would end below the picture
	img := Overlay(Scene{Picture: low, Detections: []Detection{found(3, 0.9, [4]float64{60, 12, 80, 20}, nil)}})
	if got := changed(img, low); got.Max.Y != 20 || got.Min.Y > 6 {
		t.Errorf("in a low picture the label is in %v", got)
	}
}

func TestOverlayOfAnySize(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 300}, {300, 1}, {3, 3}, {3000, 40}, {2100, 2100}} {
		p := plain(size[0], size[1])
		whole := [4]float64{0, 0, float64(size[0]), float64(size[1])}
		img := Overlay(Scene{Picture: p, Detections: []Detection{found(0, 0.9, whole, p)}, Tiles: []TileBox{{0, whole}, {1, whole}}})
		if img.Rect.Dx() != size[0] || img.Rect.Dy() != size[1] {
			t.Errorf("%v became %v", size, img.Rect)
		}
		if changed(img, p).Empty() {
			t.Errorf("%v: nothing was drawn", size)
		}
	}
	// Lines and letters grow with the picture: four times here.
	p := plain(2048, 512)
	img := Overlay(Scene{Picture: p, Detections: []Detection{found(0, 0.9, [4]float64{100, 100, 900, 400}, nil)}})
	for x, inside := range map[int]bool{99: false, 100: true, 107: true, 108: false} {
		if drawn := img.NRGBAAt(x, 300) == palette[0]; drawn != inside {
			t.Errorf("column %d is drawn: %t", x, drawn)
		}
	}
}

func TestOverlayDrawsNothing(t *testing.T) {
	p := plain(64, 64)
	nan := math.NaN()
	for name, d := range map[string][]Detection{
		"no detections": nil,
		"weak":          {found(0, OverlayMinScore-0.001, [4]float64{1, 1, 60, 60}, p)},
		"NaN score":     {found(0, nan, [4]float64{1, 1, 60, 60}, p)},
		"NaN box":       {found(0, 0.9, [4]float64{nan, 1, 60, 60}, p)},
		"infinite box":  {found(0, 0.9, [4]float64{1, 1, math.Inf(1), 60}, nil)},
	} {
		if got := changed(Overlay(Scene{Picture: p, Detections: d}), p); !got.Empty() {
			t.Errorf("%s: %v was drawn", name, got)
		}
	}
	if !bytes.Equal(p.Pix, plain(64, 64).Pix) {
		t.Error("the picture itself was drawn on")
	}
}

func TestClassColours(t *testing.T) {
	n := int64(len(palette))
	for _, tt := range []struct{ id, same int64 }{{n, 0}, {5*n + 3, 3}, {-1, n - 1}, {math.MaxInt64, math.MaxInt64 % n}, {math.MinInt64, 0}} {
		if classColour(tt.id) != palette[tt.same] {
			t.Errorf("class %d has colour %v", tt.id, classColour(tt.id))
		}
	}
	for _, c := range palette {
		if text := textColour(c); (text == color.Black) == (c.B == 178 && c.R == 0) {
			t.Errorf("text on %v is %v", c, text)
		}
	}
}

// TestAnnotationsHaveNoScore draws what people annotated, with its class alone.
func TestAnnotationsHaveNoScore(t *testing.T) {
	d := found(3, 0, [4]float64{10, 10, 60, 60}, nil)
	if len(drawable([]Detection{d})) != 0 || d.caption() != "moon 0.00" {
		t.Error("a detection without a score is drawn, or told otherwise")
	}
	d.Annotated = true
	if len(drawable([]Detection{d})) != 1 || d.caption() != "moon" {
		t.Errorf("an annotation is drawn %d times as %q", len(drawable([]Detection{d})), d.caption())
	}
}
