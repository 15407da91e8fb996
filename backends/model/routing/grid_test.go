package routing

import (
	"slices"
	"testing"
)

func TestGridShape(t *testing.T) {
	if h, w, err := GridShape(16, 24, 8); err != nil || h != 2 || w != 3 {
		t.Errorf("GridShape(16,24,8) = %d, %d, %v, want 2, 3", h, w, err)
	}
	for _, c := range []struct {
		h, w, tile int
		sub        string
	}{
		{0, 8, 4, "must be > 0"}, {8, -1, 4, "must be > 0"}, {8, 8, 0, "must be > 0"},
		{30, 32, 8, "divisible"}, {32, 30, 8, "divisible"}, {1 << 20, 1 << 20, 1, "more than"},
	} {
		_, _, err := GridShape(c.h, c.w, c.tile)
		wantErr(t, err, c.sub)
	}
}

func TestTileIndex(t *testing.T) {
	if id := must(TileToIndex(1, 2, 2, 3))(t); id != 5 {
		t.Errorf("tile (1,2) of 2x3 is %d, want 5", id)
	}
	if c := must(IndexToTile(5, 2, 3))(t); c != (Coord{1, 2}) {
		t.Errorf("id 5 of 2x3 is %v, want {1 2}", c)
	}
	for _, id := range []int{-1, 6} {
		_, err := IndexToTile(id, 2, 3)
		wantErr(t, err, "out of bounds")
	}
	for _, c := range []Coord{{-1, 0}, {0, 3}, {2, 0}, {0, -1}} {
		_, err := TileToIndex(c.TY, c.TX, 2, 3)
		wantErr(t, err, "out of bounds")
	}
	_, err := IndexToTile(0, 0, 3)
	wantErr(t, err, "must be > 0")
}

func TestIndexArrays(t *testing.T) {
	ids := Array[int]{Data: []int{0, 5, 3, 2}, Shape: []int{2, 2}}
	coords := must(IndicesToCoords(ids, 2, 3))(t)
	if !slices.Equal(coords.Shape, []int{2, 2, 2}) || !slices.Equal(coords.Data, []int{0, 0, 1, 2, 1, 0, 0, 2}) {
		t.Errorf("coords = %v", coords)
	}
	back := must(CoordsToIndices(coords, 2, 3))(t)
	if !slices.Equal(back.Shape, ids.Shape) || !slices.Equal(back.Data, ids.Data) {
		t.Errorf("round trip = %v, want %v", back, ids)
	}
	_, err := IndicesToCoords(Array[int]{Data: []int{0}, Shape: []int{1}}, 2, 3)
	wantErr(t, err, "rank-2")
	_, err = IndicesToCoords(Array[int]{Data: []int{0}, Shape: []int{1, 2}}, 2, 3)
	wantErr(t, err, "values")
	_, err = IndicesToCoords(Array[int]{Data: []int{6}, Shape: []int{1, 1}}, 2, 3)
	wantErr(t, err, "out of bounds")
	_, err = IndicesToCoords(Array[int]{Shape: []int{1, 0}}, 0, 3)
	wantErr(t, err, "must be > 0")
	_, err = CoordsToIndices(ids, 2, 3)
	wantErr(t, err, "rank-3")
	_, err = CoordsToIndices(Array[int]{Data: []int{0, 0, 0}, Shape: []int{1, 1, 3}}, 2, 3)
	wantErr(t, err, "rank-3")
}

func TestArrayCheck(t *testing.T) {
	for _, c := range []struct {
		shape []int
		n     int
		ok    bool
	}{
		{[]int{2, 3}, 6, true}, {[]int{0, 1 << 62}, 0, true}, {[]int{1 << 62, 0}, 0, true}, {[]int{1 << 62, 1 << 62}, 0, false},
		{[]int{-1, -1}, 1, false}, {[]int{2, 3}, 5, false}, {[]int{2, 0}, 1, false},
	} {
		err := Array[int]{Data: make([]int, c.n), Shape: c.shape}.check("values", 2)
		if (err == nil) != c.ok {
			t.Errorf("shape %v with %d values: %v", c.shape, c.n, err)
		}
	}
}
