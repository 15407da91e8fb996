package graph

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
)

// The tables of spec/routing.md 2.2 to 2.4.
func TestTileOrderRanks(t *testing.T) {
	for _, c := range []struct {
		mode string
		h, w int
		want string
	}{
		{"hilbert", 1, 1, "[0]"},
		{"hilbert", 1, 4, "[0 1 2 3]"},
		{"hilbert", 2, 2, "[0 2 3 1]"},
		{"hilbert", 2, 3, "[0 1 4 3 5 2]"},
		{"hilbert", 5, 3, "[0 3 4 1 2 5 8 11 10 7 6 9 12 13 14]"},
		{"hilbert", 6, 4, "[0 4 5 1 2 3 7 6 10 11 15 14 13 9 8 12 16 17 21 20 23 22 18 19]"},
		{"l2r", 3, 5, "[0 1 2 3 4 5 6 7 8 9 10 11 12 13 14]"},
		{"r2l", 3, 5, "[4 3 2 1 0 9 8 7 6 5 14 13 12 11 10]"},
		{"u2d", 3, 5, "[0 5 10 1 6 11 2 7 12 3 8 13 4 9 14]"},
		{"d2u", 3, 5, "[10 5 0 11 6 1 12 7 2 13 8 3 14 9 4]"},
		{"multi_direction", 3, 5, "[0 1 5 2 6 3 10 7 4 11 8 12 9 13 14]"},
	} {
		ranks := TileOrder{GridHeight: c.h, GridWidth: c.w, Mode: c.mode}.Ranks()
		ids := make([]int, len(ranks))
		for i := range ids {
			ids[i] = i
		}
		slices.SortStableFunc(ids, func(i, j int) int { return cmp.Compare(ranks[i], ranks[j]) })
		if got := fmt.Sprint(ids); got != c.want {
			t.Errorf("%s %d×%d: %s, want %s", c.mode, c.h, c.w, got, c.want)
		}
	}
}
