package routing

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestWindowBounds(t *testing.T) {
	for _, c := range []struct {
		ffH, ffW, tile, pvH, pvW int
		want                     [][4]int
	}{
		{8, 8, 4, 4, 4, [][4]int{{0, 2, 0, 2}, {0, 2, 2, 4}, {2, 4, 0, 2}, {2, 4, 2, 4}}},
		{10, 10, 5, 3, 3, [][4]int{{0, 2, 0, 2}, {0, 2, 1, 3}, {1, 3, 0, 2}, {1, 3, 1, 3}}},
		{16, 24, 8, 3, 3, [][4]int{{0, 2, 0, 1}, {0, 2, 1, 2}, {0, 2, 2, 3}, {1, 3, 0, 1}, {1, 3, 1, 2}, {1, 3, 2, 3}}},
		{16, 16, 4, 2, 2, [][4]int{{0, 1, 0, 1}, {0, 1, 0, 1}, {0, 1, 1, 2}, {0, 1, 1, 2}, {0, 1, 0, 1}, {0, 1, 0, 1}}},
		{8, 12, 4, 5, 7, [][4]int{{0, 3, 0, 3}, {0, 3, 2, 5}, {0, 3, 4, 7}, {2, 5, 0, 3}, {2, 5, 2, 5}, {2, 5, 4, 7}}},
	} {
		got := must(WindowBounds(c.ffH, c.ffW, c.tile, c.pvH, c.pvW))(t)
		if len(got) < len(c.want) || !slices.Equal(got[:len(c.want)], c.want) {
			t.Errorf("%dx%d/%d on %dx%d: %v, want %v", c.ffH, c.ffW, c.tile, c.pvH, c.pvW, got, c.want)
		}
	}
	for _, c := range []struct {
		ffH, ffW, tile, pvH, pvW int
		sub                      string
	}{
		{0, 8, 4, 4, 4, "must be > 0"}, {8, 8, 0, 4, 4, "must be > 0"}, {8, 8, 4, 0, 4, "must be > 0"},
		{8, 9, 4, 4, 4, "divisible"}, {8, 8, 4, 1 << 40, 4, "at most"},
	} {
		_, err := WindowBounds(c.ffH, c.ffW, c.tile, c.pvH, c.pvW)
		wantErr(t, err, c.sub)
	}
}

// Windows lie in the PV grid, are not empty, and together cover every PV cell.
func TestWindowBoundsCover(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		tile, pvH, pvW := 1+rng.IntN(6), 1+rng.IntN(12), 1+rng.IntN(12)
		ffH, ffW := tile*(1+rng.IntN(6)), tile*(1+rng.IntN(6))
		covered := make([]bool, pvH*pvW)
		for _, b := range must(WindowBounds(ffH, ffW, tile, pvH, pvW))(t) {
			if b[0] < 0 || b[1] > pvH || b[0] >= b[1] || b[2] < 0 || b[3] > pvW || b[2] >= b[3] {
				t.Fatalf("window %v on %dx%d", b, pvH, pvW)
			}
			for y := b[0]; y < b[1]; y++ {
				for x := b[2]; x < b[3]; x++ {
					covered[y*pvW+x] = true
				}
			}
		}
		if slices.Contains(covered, false) {
			t.Fatalf("%dx%d/%d leaves cells of %dx%d uncovered", ffH, ffW, tile, pvH, pvW)
		}
	}
}
