package body

import (
	"fmt"
	"slices"
	"testing"
)

// The expectations come from spec/routing.md 17.1.

func TestWindows(t *testing.T) {
	for _, c := range []struct {
		features, tile, size int
		want                 string // first cell and end of every window
	}{
		{8, 4, 4, "[0 2] [2 4] "},
		{10, 5, 3, "[0 2] [1 3] "},
		{24, 8, 3, "[0 1] [1 2] [2 3] "},
		{16, 4, 2, "[0 1] [0 1] [1 2] [1 2] "},
		{12, 4, 5, "[0 2] [1 4] [3 5] "},
	} {
		s, got := windows(c.features, c.tile, c.size), ""
		for i, first := range s.first {
			got += fmt.Sprint([]int{first, first + s.count[i]}, " ")
		}
		if got != c.want || s.most != slices.Max(s.count) {
			t.Errorf("%d/%d on %d: %s(most %d), want %s", c.features, c.tile, c.size, got, s.most, c.want)
		}
	}
}

func TestDivisorNearRoot(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 1, 12: 3, 13: 1, 16: 4, 4 << 20: 2048, 96 * 60: 72} {
		if got := divisorNearRoot(n); got != want {
			t.Errorf("divisorNearRoot(%d) = %d, want %d", n, got, want)
		}
	}
}
