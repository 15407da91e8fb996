package routing

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
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

func TestHilbertDistance(t *testing.T) {
	for _, c := range []struct {
		n, h, w int
		want    string
	}{
		{4, 4, 4, "0 1 14 15  3 2 13 12  4 7 8 11  5 6 9 10"},
		{8, 3, 5, "0 3 4 5 58  1 2 7 6 57  14 13 8 9 54"},
	} {
		var got []int
		for ty := range c.h {
			for tx := range c.w {
				got = append(got, must(HilbertDistance(tx, ty, c.n))(t))
			}
		}
		if want := parseInts(t, c.want); !slices.Equal(got, want) {
			t.Errorf("side %d: %v, want %v", c.n, got, want)
		}
	}
	for _, c := range []struct {
		x, y, n int
		sub     string
	}{
		{0, 0, 0, "must be > 0"}, {0, 0, 3, "power of two"}, {0, 0, 12, "power of two"}, {-1, 0, 4, "out of bounds"}, {4, 0, 4, "out of bounds"}, {0, 4, 4, "out of bounds"},
	} {
		_, err := HilbertDistance(c.x, c.y, c.n)
		wantErr(t, err, c.sub)
	}
}

// The curve visits neighbours only, starts at the origin and ends at the right end of the first row.
func TestHilbertIsContinuous(t *testing.T) {
	for _, n := range []int{1, 2, 4, 8, 16, 32} {
		order := must(FullOrder(n, n, Hilbert))(t)
		if order[0] != 0 || order[n*n-1] != n-1 {
			t.Errorf("side %d runs from %d to %d, want 0 to %d", n, order[0], order[n*n-1], n-1)
		}
		for i := 1; i < len(order); i++ {
			dy, dx := order[i]/n-order[i-1]/n, order[i]%n-order[i-1]%n
			if dy*dy+dx*dx != 1 {
				t.Fatalf("side %d jumps from %d to %d", n, order[i-1], order[i])
			}
		}
	}
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
		got := must(FullOrder(c.h, c.w, c.mode))(t)
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
		text := strings.ReplaceAll(fmt.Sprint(must(FullOrder(c.h, c.w, Hilbert))(t)), " ", ",")
		if got := sha([]byte(text)); got != c.want {
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
		got := must(OrderTiles(in, c.h, c.w, c.mode))(t)
		if want := parseInts(t, c.want); !slices.Equal(got, want) {
			t.Errorf("%v %dx%d of %v: %v, want %v", c.mode, c.h, c.w, in, got, want)
		}
		if !slices.Equal(in, parseInts(t, c.in)) {
			t.Errorf("%v changed its input", c.mode)
		}
	}
	for _, mode := range allModes {
		_, err := OrderTiles([]int{4}, 2, 2, mode)
		wantErr(t, err, "out of bounds")
		_, err = OrderTiles(nil, 0, 2, mode)
		wantErr(t, err, "must be > 0")
	}
	_, err := OrderTiles(nil, 2, 2, OrderMode(6))
	wantErr(t, err, "unknown tile order mode")
}

var allModes = []OrderMode{Hilbert, MultiDirection, L2R, R2L, U2D, D2U}

func TestMultiDirectionRanks(t *testing.T) {
	want := parseInts(t, "6 12 18 24 30 16 22 28 34 40 26 32 38 44 50")
	if got := must(Ranks(3, 5, MultiDirection))(t); !slices.Equal(got, want) {
		t.Errorf("3x5: %v, want %v", got, want)
	}
	sum := make([]int, 15)
	for _, mode := range []OrderMode{L2R, R2L, U2D, D2U} {
		for id, r := range must(Ranks(3, 5, mode))(t) {
			sum[id] += r
		}
	}
	if !slices.Equal(sum, want) {
		t.Errorf("sum of the scan ranks: %v, want %v", sum, want)
	}
}

// On random grids: the full order is a permutation, ranks of Hilbert and scans are its positions, and any list sorted stably
// by rank is the order of OrderTiles.
func TestRanksGiveOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		h, w := 1+rng.IntN(17), 1+rng.IntN(17)
		for _, mode := range allModes {
			ranks := must(Ranks(h, w, mode))(t)
			full := must(FullOrder(h, w, mode))(t)
			sorted := slices.Sorted(slices.Values(full))
			for i := range sorted {
				if sorted[i] != i {
					t.Fatalf("%v %dx%d is not a permutation", mode, h, w)
				}
				if mode != MultiDirection && ranks[full[i]] != i {
					t.Fatalf("%v %dx%d: rank of id %d is %d, want %d", mode, h, w, full[i], ranks[full[i]], i)
				}
			}
			ids := make([]int, rng.IntN(20))
			for i := range ids {
				ids[i] = rng.IntN(h * w)
			}
			got := must(OrderTiles(ids, h, w, mode))(t)
			slices.SortStableFunc(ids, func(a, b int) int { return ranks[a] - ranks[b] })
			if !slices.Equal(got, ids) {
				t.Fatalf("%v %dx%d: %v, by rank %v", mode, h, w, got, ids)
			}
		}
	}
}

func TestInverseScanMirrors(t *testing.T) {
	const h, w = 3, 5
	for _, mode := range []OrderMode{L2R, R2L, U2D, D2U} {
		inverse := must(InverseScan(mode))(t)
		a, b := must(FullOrder(h, w, mode))(t), must(FullOrder(h, w, inverse))(t)
		for p := range a {
			ty, tx := a[p]/w, a[p]%w
			if mode == L2R || mode == R2L {
				tx = w - 1 - tx
			} else {
				ty = h - 1 - ty
			}
			if b[p] != ty*w+tx {
				t.Fatalf("%v at %d is %d, its inverse %d is not the mirror image", mode, p, a[p], b[p])
			}
		}
	}
	for _, mode := range []OrderMode{Hilbert, MultiDirection, OrderMode(9)} {
		_, err := InverseScan(mode)
		wantErr(t, err, "not a scan ordering mode")
	}
}

func TestNormalizeOrderMode(t *testing.T) {
	for mode, names := range map[OrderMode][]string{
		Hilbert: {"hilbert", " Hilbert\n"}, MultiDirection: {"multi_direction"}, L2R: {"l2r", "LR", "scan_lr"},
		R2L: {"r2l", "rl", "scan_rl"}, U2D: {"u2d", "ud", "scan_ud"}, D2U: {"d2u", "du", "Scan_Du"},
	} {
		for _, name := range names {
			if got := must(NormalizeOrderMode(name))(t); got != mode {
				t.Errorf("%q is %v, want %v", name, got, mode)
			}
		}
		if mode.IsScan() != (mode != Hilbert && mode != MultiDirection) {
			t.Errorf("IsScan of %v is %v", mode, mode.IsScan())
		}
	}
	for _, name := range []string{"", "zigzag", "l 2r"} {
		_, err := NormalizeOrderMode(name)
		wantErr(t, err, "unknown tile order mode")
	}
}
