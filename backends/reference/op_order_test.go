package reference

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// ordered runs TileOrder on one row of ids.
func ordered(t *testing.T, h, w int, mode string, ids []int64) []int64 {
	t.Helper()
	g, inputs := single(t, graph.TileOrder{GridHeight: h, GridWidth: w, Mode: mode}, in(i64s([]int{1, len(ids)}, ids...)))
	return tensor.Data[int64](outputs(t, g, inputs, fp32())[0].Tensor)
}

func allTiles(n int) []int64 {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = int64(n - 1 - i) // not in the order of ids
	}
	return ids
}

// The tables of spec/routing.md 2.2 to 2.4.
func TestTileOrders(t *testing.T) {
	for _, c := range []struct {
		h, w int
		mode string
		ids  []int64 // nil for the whole grid
		want string
	}{
		{1, 1, "hilbert", nil, "0"},
		{1, 4, "hilbert", nil, "0 1 2 3"},
		{2, 2, "hilbert", nil, "0 2 3 1"},
		{2, 3, "hilbert", nil, "0 1 4 3 5 2"},
		{4, 4, "hilbert", nil, "0 1 5 4 8 12 13 9 10 14 15 11 7 6 2 3"},
		{3, 5, "hilbert", nil, "0 5 6 1 2 3 8 7 12 13 11 10 14 9 4"},
		{5, 3, "hilbert", nil, "0 3 4 1 2 5 8 11 10 7 6 9 12 13 14"},
		{6, 4, "hilbert", nil, "0 4 5 1 2 3 7 6 10 11 15 14 13 9 8 12 16 17 21 20 23 22 18 19"},
		{4, 4, "hilbert", []int64{15, 0, 10, 5, 3, 3, 12}, "0 5 12 10 15 3 3"},
		{3, 5, "l2r", nil, "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14"},
		{3, 5, "r2l", nil, "4 3 2 1 0 9 8 7 6 5 14 13 12 11 10"},
		{3, 5, "u2d", nil, "0 5 10 1 6 11 2 7 12 3 8 13 4 9 14"},
		{3, 5, "d2u", nil, "10 5 0 11 6 1 12 7 2 13 8 3 14 9 4"},
		{4, 5, "d2u", []int64{6, 1, 6, 0, 9, 1}, "0 6 6 1 1 9"},
		{3, 5, "multi_direction", nil, "0 1 5 2 6 3 10 7 4 11 8 12 9 13 14"},
		{2, 2, "multi_direction", []int64{1, 2, 0, 3}, "0 1 2 3"},
		{2, 2, "multi_direction", []int64{2, 1, 0, 3}, "0 2 1 3"},
	} {
		ids := c.ids
		if ids == nil {
			ids = allTiles(c.h * c.w)
		}
		if got := strings.Trim(fmt.Sprint(ordered(t, c.h, c.w, c.mode, ids)), "[]"); got != c.want {
			t.Errorf("%s of %d×%d: %s, want %s", c.mode, c.h, c.w, got, c.want)
		}
	}
}

// SHA-256 of the Hilbert orders of large grids as JSON (spec/routing.md 2.2).
func TestLargeHilbertOrders(t *testing.T) {
	for _, c := range []struct {
		h, w int
		want string
	}{
		{16, 16, "0a7c9e07a8de799bb178df23fb9f8a8042b689492a2a37e8e029be286861ceec"},
		{32, 32, "940ec8dbe43234196258054eda06673c9d911aae438bf303a356f0c176faa248"},
		{6, 10, "a62953abc6d08050abbf346c64d968d3a91438390bb6b3aaf306fb65016ee8a1"},
	} {
		list, err := json.Marshal(ordered(t, c.h, c.w, "hilbert", allTiles(c.h*c.w)))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(list); hex.EncodeToString(sum[:]) != c.want {
			t.Errorf("%d×%d: %s", c.h, c.w, list)
		}
	}
}

// Windows of spec/routing.md 17.1, one axis each.
func TestTileWindows(t *testing.T) {
	for _, c := range []struct {
		tile, feature, cells int
		want                 []int // lo, hi of every tile
	}{
		{4, 8, 4, []int{0, 2, 2, 4}},
		{5, 10, 3, []int{0, 2, 1, 3}},
		{8, 24, 3, []int{0, 1, 1, 2, 2, 3}},
		{4, 16, 2, []int{0, 1, 0, 1, 1, 2, 1, 2}},
	} {
		var got []int
		for i := range c.feature / c.tile {
			lo, hi := tileWindow(i, c.tile, c.feature, c.cells)
			got = append(got, lo, hi)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("tiles of %d on %d over %d cells: %v, want %v", c.tile, c.feature, c.cells, got, c.want)
		}
	}
}
