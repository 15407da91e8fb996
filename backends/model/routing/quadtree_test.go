package routing

import (
	"slices"
	"testing"
)

func TestNestedGrids(t *testing.T) {
	for _, c := range []struct {
		h, w  int
		tiles []int
		want  []Grid
	}{
		{32, 32, []int{8, 4}, []Grid{{4, 4}, {8, 8}}},
		{48, 64, []int{16, 8}, []Grid{{3, 4}, {6, 8}}},
		{96, 160, []int{16, 8}, []Grid{{6, 10}, {12, 20}}},
		{96, 160, []int{16, 8, 4}, []Grid{{6, 10}, {12, 20}, {24, 40}}},
	} {
		if got := must(NestedGrids(c.h, c.w, c.tiles...))(t); !slices.Equal(got, c.want) {
			t.Errorf("NestedGrids(%d, %d, %v) = %v, want %v", c.h, c.w, c.tiles, got, c.want)
		}
	}
	for _, c := range []struct {
		h, w  int
		tiles []int
		sub   string
	}{
		{32, 32, []int{8, 3}, "exactly tile_size_l0/2"}, {32, 32, []int{9, 4}, "exactly tile_size_l0/2"},
		{32, 32, []int{8, 4, 3}, "exactly tile_size_l1/2"}, {30, 32, []int{8, 4}, "divisible"}, {32, 32, []int{0}, "must be > 0"}, {32, 32, nil, "want 1 to 3"},
	} {
		_, err := NestedGrids(c.h, c.w, c.tiles...)
		wantErr(t, err, c.sub)
	}
}

func TestChildren(t *testing.T) {
	for _, c := range []struct {
		id, h, w int
		want     [4]int
	}{
		{11, 3, 4, [4]int{38, 39, 46, 47}}, {0, 3, 4, [4]int{0, 1, 8, 9}}, {5, 3, 4, [4]int{18, 19, 26, 27}},
		{47, 6, 8, [4]int{174, 175, 190, 191}}, {0, 6, 8, [4]int{0, 1, 16, 17}},
	} {
		if got := must(Children(c.id, c.h, c.w))(t); got != c.want {
			t.Errorf("Children(%d, %d, %d) = %v, want %v", c.id, c.h, c.w, got, c.want)
		}
	}
	if got := must(ChildCoords(2, 3, 3, 4))(t); got != [4]Coord{{4, 6}, {4, 7}, {5, 6}, {5, 7}} {
		t.Errorf("ChildCoords(2, 3, 3, 4) = %v", got)
	}
	_, err := Children(12, 3, 4)
	wantErr(t, err, "out of bounds")
	_, err = ChildCoords(3, 0, 3, 4)
	wantErr(t, err, "out of bounds")
	_, err = Parent(48, 3, 4)
	wantErr(t, err, "out of bounds")
	_, err = ParentCoord(0, 8, 3, 4)
	wantErr(t, err, "out of bounds")
}

func TestDescendants(t *testing.T) {
	for _, c := range []struct {
		id, h, w int
		want     string
	}{
		{11, 3, 4, "140 141 156 157 142 143 158 159 172 173 188 189 174 175 190 191"},
		{0, 2, 2, "0 1 8 9 2 3 10 11 16 17 24 25 18 19 26 27"},
		{3, 2, 2, "36 37 44 45 38 39 46 47 52 53 60 61 54 55 62 63"},
	} {
		got := must(Descendants(c.id, c.h, c.w))(t)
		if want := parseInts(t, c.want); !slices.Equal(got[:], want) {
			t.Errorf("Descendants(%d, %d, %d) = %v, want %v", c.id, c.h, c.w, got, want)
		}
	}
}

// Children and Parent are inverse, in ids and in coordinates, and the children of all tiles cover the finer grid once.
func TestQuadtreeInverse(t *testing.T) {
	for _, g := range []Grid{{1, 1}, {1, 5}, {3, 4}, {7, 2}} {
		seen := make([]int, 4*g.H*g.W)
		for id := range g.H * g.W {
			c := must(IndexToTile(id, g.H, g.W))(t)
			coords := must(ChildCoords(c.TY, c.TX, g.H, g.W))(t)
			for i, child := range must(Children(id, g.H, g.W))(t) {
				seen[child]++
				if p := must(Parent(child, g.H, g.W))(t); p != id {
					t.Errorf("%v: parent of %d is %d, want %d", g, child, p, id)
				}
				if p := must(ParentCoord(coords[i].TY, coords[i].TX, g.H, g.W))(t); p != c {
					t.Errorf("%v: parent of %v is %v, want %v", g, coords[i], p, c)
				}
				if want := must(TileToIndex(coords[i].TY, coords[i].TX, 2*g.H, 2*g.W))(t); child != want {
					t.Errorf("%v: child %d has coordinates %v", g, child, coords[i])
				}
			}
		}
		if slices.Min(seen) != 1 || slices.Max(seen) != 1 {
			t.Errorf("%v: children cover the finer grid %v times", g, seen)
		}
	}
}

func TestQuadtreeMeta(t *testing.T) {
	l0l1, l1l2, err := NewDeepQuadtreeMeta([]int{11, 0, 11}, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	if l0l1.ChildGrid != (Grid{6, 8}) || l1l2.ChildGrid != (Grid{12, 16}) || l1l2.ParentGrid != l0l1.ChildGrid {
		t.Errorf("grids %v %v %v", l0l1.ParentGrid, l0l1.ChildGrid, l1l2.ChildGrid)
	}
	if !slices.Equal(l0l1.ParentIndices, []int{11, 0, 11}) || l0l1.ParentCoords[0] != (Coord{2, 3}) || l0l1.ChildIndices[1] != [4]int{0, 1, 8, 9} {
		t.Errorf("l0 to l1: %+v", l0l1)
	}
	var flat []int
	for _, c := range l1l2.ChildIndices[:4] {
		flat = append(flat, c[:]...)
	}
	if want := must(Descendants(11, 3, 4))(t); !slices.Equal(flat, want[:]) {
		t.Errorf("l1 to l2 below tile 11: %v, want %v", flat, want)
	}
	if m := must(NewQuadtreeMeta(nil, 3, 4))(t); len(m.ParentIndices) != 0 {
		t.Errorf("no parents give %v", m.ParentIndices)
	}
	_, err = NewQuadtreeMeta(nil, 0, 4)
	wantErr(t, err, "must be > 0")
	_, err = NewQuadtreeMeta([]int{12}, 3, 4)
	wantErr(t, err, "out of bounds")
}

func TestOverlapPriority(t *testing.T) {
	for i, name := range []string{"l0", " L1", "l2\n"} {
		level := must(ParseLevel(name))(t)
		if level != Levels[i] || level.OverlapPriority() != int8(i+1) {
			t.Errorf("%q is %v with priority %d", name, level, level.OverlapPriority())
		}
	}
	_, err := ParseLevel("l3")
	wantErr(t, err, "Unsupported tile level")
}
