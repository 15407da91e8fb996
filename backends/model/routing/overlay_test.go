package routing

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func rampImage() RGB {
	pix := make([]uint8, 32*32*3)
	for i := range pix {
		pix[i] = uint8(i)
	}
	return RGB{32, 32, pix}
}

func style(fill, edge float64, line int) OverlayStyle {
	s := DefaultOverlayStyle()
	s.FillAlpha, s.EdgeAlpha, s.LineWidth = fill, edge, line
	return s
}

func TestDrawTilesHashes(t *testing.T) {
	image := rampImage()
	for _, ids := range [][]int{{15, 0, 10, 5}, {0, 0, 5, 10, 15, 15}} {
		out := must(DrawTiles(image, ids, 4, 4, 8, style(.25, 1, 1)))(t)
		if got := sha(out.Pix); got != "b12b4139b38a8d8b3f5aa8435e9271a35b58a27741fd2132b6dde25a67ca3009" {
			t.Errorf("ids %v: pixels hash to %s", ids, got)
		}
	}
	if !slices.Equal(image.Pix, rampImage().Pix) {
		t.Error("the image was drawn into")
	}
	path := filepath.Join(t.TempDir(), "sub", "overlay.PPM")
	if err := SavePPM(path, must(DrawTiles(image, []int{1, 2, 6}, 4, 4, 8, style(.35, 1, 2)))(t)); err != nil {
		t.Fatal(err)
	}
	if got := sha(must(os.ReadFile(path))(t)); got != "9934395ff46d983fa08798cf3548e77be0ce48078e862033d4983ca2f6cdaeab" {
		t.Errorf("the file hashes to %s", got)
	}
	wantErr(t, SavePPM(filepath.Join(t.TempDir(), "x.png"), image), ".ppm")
}

func TestDrawTiles(t *testing.T) {
	grey := RGB{4, 4, slices.Repeat([]uint8{100}, 48)}
	out := must(DrawTiles(grey, []int{0}, 1, 1, 4, style(.35, .5, 1)))(t)
	for at, want := range map[int][]uint8{0: {230, 213, 213}, 1: {205, 171, 171}, 5: {154, 87, 87}} {
		if got := out.Pix[at*3 : at*3+3]; !slices.Equal(got, want) {
			t.Errorf("pixel %d is %v, want %v", at, got, want)
		}
	}
	out = must(DrawTiles(RGB{4, 5, make([]uint8, 60)}, []int{3}, 2, 2, 2, style(.35, 0, 9)))(t)
	for i := range 20 {
		want := []uint8{0, 0, 0}
		if y, x := i/5, i%5; y >= 2 && x >= 2 && x < 4 {
			want = []uint8{89, 22, 22}
		}
		if got := out.Pix[i*3 : i*3+3]; !slices.Equal(got, want) {
			t.Errorf("pixel %d is %v, want %v", i, got, want)
		}
	}
	for alpha, want := range map[float64]int{.25: 64, .35: 89, .5: 128, .1: 26, .3: 76, .7: 178, .9: 230, .05: 13, .001: 0, 0: 0, 1: 255} {
		if got := byteAlpha(alpha); got != want {
			t.Errorf("alpha %v is %d of 255, want %d", alpha, got, want)
		}
	}
}

func TestDrawTilesErrors(t *testing.T) {
	image := rampImage()
	for _, c := range []struct {
		image              RGB
		ids                []int
		gridH, gridW, tile int
		style              OverlayStyle
		sub                string
	}{
		{image, nil, 0, 4, 8, DefaultOverlayStyle(), "must be > 0"}, {image, nil, 4, 4, 0, DefaultOverlayStyle(), "must be > 0"}, {image, nil, 4, 4, 8, style(.5, 1, 0), "must be > 0"},
		{image, nil, 4, 4, 8, style(math.NaN(), 1, 1), "alpha"}, {image, nil, 4, 4, 8, style(.5, 1.1, 1), "alpha"}, {image, nil, 4, 5, 8, DefaultOverlayStyle(), "too small"},
		{image, []int{16}, 4, 4, 8, DefaultOverlayStyle(), "out of bounds"}, {RGB{4, 4, nil}, nil, 1, 1, 4, DefaultOverlayStyle(), "image pixels"},
	} {
		_, err := DrawTiles(c.image, c.ids, c.gridH, c.gridW, c.tile, c.style)
		wantErr(t, err, c.sub)
	}
	_, err := RGB{1, 1, nil}.EncodePPM()
	wantErr(t, err, "image pixels")
}

func TestToRGB(t *testing.T) {
	// Two pixels, channels last and channels first.
	last := Array[float32]{Data: []float32{0, .5, 1, .25, -3, .999}, Shape: []int{1, 1, 2, 3}}
	first := Array[float32]{Data: []float32{0, .25, .5, -3, 1, .999}, Shape: []int{3, 1, 2}}
	want := []uint8{0, 127, 255, 63, 0, 254}
	for _, image := range []Array[float32]{last, first} {
		if got := must(ToRGB(image))(t); got.H != 1 || got.W != 2 || !slices.Equal(got.Pix, want) {
			t.Errorf("%v converts to %v, want %v", image.Shape, got, want)
		}
	}
	bright := Array[float32]{Data: []float32{0, 1.5, 300, 2.9, 1, -1}, Shape: []int{1, 2, 3}}
	if got := must(ToRGB(bright))(t); !slices.Equal(got.Pix, []uint8{0, 1, 255, 2, 1, 0}) {
		t.Errorf("0 to 255 floats convert to %v", got.Pix)
	}
	whole := Array[int]{Data: []int{-1, 0, 1, 255, 256, 7}, Shape: []int{1, 2, 3}}
	if got := must(ToRGB(whole))(t); !slices.Equal(got.Pix, []uint8{0, 0, 1, 255, 255, 7}) {
		t.Errorf("integers convert to %v", got.Pix)
	}
	both := counting(3, 1, 3) // taken as channels last
	if got := must(ToRGB(both))(t); got.H != 3 || got.W != 1 || got.Pix[1] != 1 {
		t.Errorf("3x1x3 converts to %+v", got)
	}
	for _, c := range []struct {
		image Array[float32]
		sub   string
	}{{filled(0, 2, 1, 2, 3), "rank-3"}, {filled(0, 2, 2), "rank-3"}, {filled(0, 2, 2, 4), "three channels"},
		{filled(float32(math.NaN()), 1, 1, 3), "finite"}, {Array[float32]{Shape: []int{1, 1, 3}}, "values"}} {
		_, err := ToRGB(c.image)
		wantErr(t, err, c.sub)
	}
}
