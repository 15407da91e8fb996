package mask

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// randomMask is one of some blocks, so that runs are of every kind: over the foot of a column, at both ends, of none and of all.
func randomMask(rnd *rand.Rand) (RLE, []byte) {
	height, width := 1+rnd.IntN(9), 1+rnd.IntN(9)
	pixels := make([]byte, height*width)
	for range rnd.IntN(5) {
		x, y := rnd.IntN(width), rnd.IntN(height)
		right, bottom := x+1+rnd.IntN(width-x), y+1+rnd.IntN(height-y)
		for i := y; i < bottom; i++ {
			for j := x; j < right; j++ {
				pixels[i*width+j] ^= 1
			}
		}
	}
	return Encode(pixels, height, width), pixels
}

func TestGeometry(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		m, pixels := randomMask(rnd)
		height, width := m.Size[0], m.Size[1]
		mirrored := make([]byte, len(pixels))
		for i := range pixels {
			mirrored[i] = pixels[i/width*width+width-1-i%width]
		}
		if got := m.Flip(); !reflect.DeepEqual(got, Encode(mirrored, height, width)) || !reflect.DeepEqual(got.Flip(), m) {
			t.Fatalf("%v mirrored is %v", m, got)
		}
		left, top, h, w := rnd.IntN(13)-6, rnd.IntN(13)-6, 1+rnd.IntN(12), 1+rnd.IntN(12)
		seen := make([]byte, h*w)
		for y := range h {
			for x := range w {
				if i, j := y+top, x+left; i >= 0 && i < height && j >= 0 && j < width {
					seen[y*w+x] = pixels[i*width+j]
				}
			}
		}
		if got := m.Window(left, top, h, w); !reflect.DeepEqual(got, Encode(seen, h, w)) {
			t.Fatalf("%v from (%d,%d), %d×%d is %v", m, left, top, h, w, got)
		}
	}
}

// TestGeometryOfLooseRuns takes runs of length 0, which files have.
func TestGeometryOfLooseRuns(t *testing.T) {
	loose := RLE{[2]int{2, 3}, []uint32{0, 1, 0, 2, 3, 0}}
	if got, want := loose.Flip(), (RLE{[2]int{2, 3}, []uint32{2, 1, 1, 2}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := loose.Window(0, 0, 2, 3), (RLE{[2]int{2, 3}, []uint32{0, 3, 3}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
