package routing

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/must"
)

func TestChildren(t *testing.T) {
	for _, c := range []struct {
		id, h, w int
		want     [4]int
	}{
		{11, 3, 4, [4]int{38, 39, 46, 47}}, {0, 3, 4, [4]int{0, 1, 8, 9}}, {5, 3, 4, [4]int{18, 19, 26, 27}},
		{47, 6, 8, [4]int{174, 175, 190, 191}}, {0, 6, 8, [4]int{0, 1, 16, 17}},
	} {
		if got := must.Get(Children(c.id, c.h, c.w))(t); got != c.want {
			t.Errorf("Children(%d, %d, %d) = %v, want %v", c.id, c.h, c.w, got, c.want)
		}
	}
	for _, c := range []struct {
		id, h, w int
		sub      string
	}{{12, 3, 4, "out of bounds"}, {-1, 3, 4, "out of bounds"}, {0, 0, 4, "must be > 0"}, {0, 1 << 20, 1 << 20, "more than"}} {
		_, err := Children(c.id, c.h, c.w)
		must.Fail(t, err, c.sub)
	}
}

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
func fullOrder(t *testing.T, h, w int) []int {
	t.Helper()
	ids := make([]int, h*w)
	for i := range ids {
		ids[i] = i
	}
	return must.Get(OrderTiles(ids, h, w))(t)
}

func TestOrderTiles(t *testing.T) {
	for _, c := range []struct {
		h, w     int
		in, want string
	}{
		{4, 4, "15 0 10 5 3 3 12", "0 5 12 10 15 3 3"},
		{4, 4, "2 7 15 10 13 8 5 0", "0 5 8 13 10 15 7 2"},
		{2, 2, "3 1 0 2", "0 2 3 1"},
		{2, 2, "", ""},
	} {
		in := parseInts(t, c.in)
		got := must.Get(OrderTiles(in, c.h, c.w))(t)
		if want := parseInts(t, c.want); !slices.Equal(got, want) {
			t.Errorf("%dx%d of %v: %v, want %v", c.h, c.w, in, got, want)
		}
		if !slices.Equal(in, parseInts(t, c.in)) {
			t.Error("the input was changed")
		}
	}
	if want := parseInts(t, "0 5 6 1 2 3 8 7 12 13 11 10 14 9 4"); !slices.Equal(fullOrder(t, 3, 5), want) {
		t.Errorf("3x5: %v, want %v", fullOrder(t, 3, 5), want)
	}
	_, err := OrderTiles([]int{4}, 2, 2)
	must.Fail(t, err, "out of bounds")
	_, err = OrderTiles(nil, 0, 2)
	must.Fail(t, err, "must be > 0")
}

// On random grids the order holds all tiles, and any list of tiles is in the order that they have there.
func TestOrderFollowsTheGrid(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		h, w := 1+rng.IntN(17), 1+rng.IntN(17)
		full := fullOrder(t, h, w)
		position := make([]int, h*w)
		for i, id := range full {
			position[id] = i
		}
		for i, id := range slices.Sorted(slices.Values(full)) {
			if id != i {
				t.Fatalf("%dx%d is not a permutation", h, w)
			}
		}
		ids := make([]int, rng.IntN(20))
		for i := range ids {
			ids[i] = rng.IntN(h * w)
		}
		got := must.Get(OrderTiles(ids, h, w))(t)
		if !slices.IsSortedFunc(got, func(a, b int) int { return position[a] - position[b] }) {
			t.Fatalf("%dx%d: %v is ordered as %v", h, w, ids, got)
		}
	}
}
