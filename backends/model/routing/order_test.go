package routing

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/must"
)

func parseInts(t *testing.T, s string) []int {
	t.Helper()
	out := []int{}
	for _, f := range strings.Fields(s) {
		v, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// fullOrder puts all ids of a grid in order.
func fullOrder(t *testing.T, h, w int, mode OrderMode) []int {
	t.Helper()
	ids := make([]int, h*w)
	for i := range ids {
		ids[i] = i
	}
	return must.Get(OrderTiles(ids, h, w, mode))(t)
}

func TestFullOrder(t *testing.T) {
	for _, c := range []struct {
		h, w int
		mode OrderMode
		want string
	}{
		{1, 1, Hilbert, "0"},
		{1, 4, Hilbert, "0 1 2 3"},
		{2, 2, Hilbert, "0 2 3 1"},
		{2, 3, Hilbert, "0 1 4 3 5 2"},
		{3, 3, Hilbert, "0 1 4 3 6 7 8 5 2"},
		{3, 4, Hilbert, "0 1 5 4 8 9 10 11 7 6 2 3"},
		{4, 4, Hilbert, "0 1 5 4 8 12 13 9 10 14 15 11 7 6 2 3"},
		{3, 5, Hilbert, "0 5 6 1 2 3 8 7 12 13 11 10 14 9 4"},
		{5, 3, Hilbert, "0 3 4 1 2 5 8 11 10 7 6 9 12 13 14"},
		{6, 4, Hilbert, "0 4 5 1 2 3 7 6 10 11 15 14 13 9 8 12 16 17 21 20 23 22 18 19"},
		{8, 8, Hilbert, `0 8 9 1 2 3 11 10 18 19 27 26 25 17 16 24 32 33 41 40 48 56 57 49 50 58 59 51 43 42 34 35
			36 37 45 44 52 60 61 53 54 62 63 55 47 46 38 39 31 23 22 30 29 28 20 21 13 12 4 5 6 14 15 7`},
		{6, 10, Hilbert, `0 1 11 10 20 30 31 21 22 32 33 23 13 12 2 3 4 14 15 5 6 7 17 16 26 27 37 36 35 25
			24 34 44 54 55 45 46 47 57 56 53 43 42 52 51 41 40 50 59 58 48 49 39 38 28 29 19 18 8 9`},
		{3, 5, L2R, "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14"},
		{3, 5, R2L, "4 3 2 1 0 9 8 7 6 5 14 13 12 11 10"},
		{3, 5, U2D, "0 5 10 1 6 11 2 7 12 3 8 13 4 9 14"},
		{3, 5, D2U, "10 5 0 11 6 1 12 7 2 13 8 3 14 9 4"},
		{3, 5, MultiDirection, "0 1 5 2 6 3 10 7 4 11 8 12 9 13 14"},
	} {
		got := fullOrder(t, c.h, c.w, c.mode)
		if want := parseInts(t, c.want); !slices.Equal(got, want) {
			t.Errorf("%v %dx%d: %v, want %v", c.mode, c.h, c.w, got, want)
		}
	}
}

func TestHilbertOrderHashes(t *testing.T) {
	for _, c := range []struct {
		h, w int
		want string
	}{
		{16, 16, "0a7c9e07a8de799bb178df23fb9f8a8042b689492a2a37e8e029be286861ceec"},
		{32, 32, "940ec8dbe43234196258054eda06673c9d911aae438bf303a356f0c176faa248"},
		{6, 10, "a62953abc6d08050abbf346c64d968d3a91438390bb6b3aaf306fb65016ee8a1"},
	} {
		text := must.Get(json.Marshal(fullOrder(t, c.h, c.w, Hilbert)))(t)
		if got := fmt.Sprintf("%x", sha256.Sum256(text)); got != c.want {
			t.Errorf("%dx%d: hash %s, want %s", c.h, c.w, got, c.want)
		}
	}
}

func TestOrderTiles(t *testing.T) {
	for _, c := range []struct {
		h, w     int
		mode     OrderMode
		in, want string
	}{
		{4, 4, Hilbert, "15 0 10 5 3 3 12", "0 5 12 10 15 3 3"},
		{4, 4, Hilbert, "2 7 15 10 13 8 5 0", "0 5 8 13 10 15 7 2"},
		{4, 5, L2R, "6 1 6 0 9 1", "0 1 1 6 6 9"},
		{4, 5, R2L, "6 1 6 0 9 1", "1 1 0 9 6 6"},
		{4, 5, U2D, "6 1 6 0 9 1", "0 1 1 6 6 9"},
		{4, 5, D2U, "6 1 6 0 9 1", "0 6 6 1 1 9"},
		{4, 5, L2R, "8 1 9 0 2 4", "0 1 2 4 8 9"},
		{4, 5, R2L, "8 1 9 0 2 4", "4 2 1 0 9 8"},
		{4, 5, U2D, "8 1 9 0 2 4", "0 1 2 8 4 9"},
		{4, 5, D2U, "8 1 9 0 2 4", "0 1 2 8 9 4"},
		{2, 2, MultiDirection, "1 2 0 3", "0 1 2 3"},
		{2, 2, MultiDirection, "2 1 0 3", "0 2 1 3"},
		{2, 2, Hilbert, "3 1 0 2", "0 2 3 1"},
		{2, 2, Hilbert, "", ""},
	} {
		in := parseInts(t, c.in)
		got := must.Get(OrderTiles(in, c.h, c.w, c.mode))(t)
		if want := parseInts(t, c.want); !slices.Equal(got, want) {
			t.Errorf("%v %dx%d of %v: %v, want %v", c.mode, c.h, c.w, in, got, want)
		}
		if !slices.Equal(in, parseInts(t, c.in)) {
			t.Errorf("%v changed its input", c.mode)
		}
	}
	for _, mode := range allModes {
		_, err := OrderTiles([]int{4}, 2, 2, mode)
		must.Fail(t, err, "out of bounds")
		_, err = OrderTiles(nil, 0, 2, mode)
		must.Fail(t, err, "must be > 0")
	}
	_, err := OrderTiles(nil, 2, 2, OrderMode(6))
	must.Fail(t, err, "unknown tile order mode")
}

var allModes = []OrderMode{Hilbert, MultiDirection, L2R, R2L, U2D, D2U}

// On random grids every order holds all tiles, and any list of tiles is in the order that they have there; not so in
// multi_direction, where ties are in the order of the list.
func TestOrderFollowsTheGrid(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		h, w := 1+rng.IntN(17), 1+rng.IntN(17)
		for _, mode := range allModes {
			full := fullOrder(t, h, w, mode)
			position := make([]int, h*w)
			for i, id := range full {
				position[id] = i
			}
			for i, id := range slices.Sorted(slices.Values(full)) {
				if id != i {
					t.Fatalf("%v %dx%d is not a permutation", mode, h, w)
				}
			}
			ids := make([]int, rng.IntN(20))
			for i := range ids {
				ids[i] = rng.IntN(h * w)
			}
			got := must.Get(OrderTiles(ids, h, w, mode))(t)
			if mode != MultiDirection && !slices.IsSortedFunc(got, func(a, b int) int { return position[a] - position[b] }) {
				t.Fatalf("%v %dx%d: %v is ordered as %v", mode, h, w, ids, got)
			}
		}
	}
}
