package reports

import (
	"image/color"
	"testing"

	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/parity"
)

// TestFlipImage draws what one scene alone has, in its colour, and nothing that both have.
func TestFlipImage(t *testing.T) {
	p := &picture.Picture{Width: 64, Height: 64, Pix: make([]byte, 3*64*64)}
	box := func(x1, y1, x2, y2 parity.Number, class int64) Detection {
		return Detection{Box: [4]parity.Number{x1, y1, x2, y2}, ClassID: class, Score: 0.1}
	}
	tile := func(x float64) TileBox { return TileBox{0, [4]float64{x, 32, x + 16, 48}} }
	ref := Scene{Picture: p, Detections: []Detection{box(4, 20, 12, 28, 1), box(40, 20, 60, 28, 2)}, Tiles: []TileBox{tile(0), tile(16)}}
	cand := Scene{Picture: p, Detections: []Detection{box(40, 20, 60, 28.1, 2), box(4, 20, 12, 28, 3)}, Tiles: []TileBox{tile(16), tile(32)}}
	img := FlipImage(ref, cand)
	if img == nil {
		t.Fatal("nothing is drawn")
	}
	count := func(c color.NRGBA, x0, x1 int) (n int) {
		for y := 32; y < 48; y++ {
			for x := x0; x < x1; x++ {
				if img.NRGBAAt(x, y) == c {
					n++
				}
			}
		}
		return n
	}
	for name, tt := range map[string]struct{ got, least, most int }{
		"the reference's tile":                   {count(referenceOnly, 0, 16), 20, 200},
		"the candidate's tile":                   {count(candidateOnly, 32, 48), 20, 200},
		"the tile of both":                       {count(referenceOnly, 16, 32) + count(candidateOnly, 16, 32), 0, 0},
		"the frame of the box of another class":  {min(1, countIn(img.NRGBAAt, candidateOnly, 4, 20, 12, 28)), 1, 1},
		"the frame of the box in the same place": {countIn(img.NRGBAAt, candidateOnly, 50, 20, 60, 28), 0, 0},
	} {
		if tt.got < tt.least || tt.got > tt.most {
			t.Errorf("%s: %d pixels, want %d to %d", name, tt.got, tt.least, tt.most)
		}
	}
	if FlipImage(ref, ref) != nil {
		t.Error("two equal scenes differ")
	}
}

func countIn(at func(x, y int) color.NRGBA, c color.NRGBA, x0, y0, x1, y1 int) (n int) {
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			if at(x, y) == c {
				n++
			}
		}
	}
	return n
}
