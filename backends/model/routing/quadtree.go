package routing

import "fmt"

// Grid is the size of a tile grid.
type Grid struct{ H, W int }

// Finer returns the grid one level down, with twice the tiles per side.
func (g Grid) Finer() Grid { return Grid{2 * g.H, 2 * g.W} }

// NestedGrids returns the tile grids of a feature map for tile edges given coarse to fine, at most three (L0, L1, L2), each
// half of the one before. Source: spec 3.1.
func NestedGrids(featureH, featureW int, tiles ...int) ([]Grid, error) {
	if len(tiles) == 0 || len(tiles) > len(Levels) {
		return nil, fmt.Errorf("nested grids for %d tile sizes: want 1 to %d", len(tiles), len(Levels))
	}
	for i, t := range tiles {
		if t <= 0 {
			return nil, fmt.Errorf("tile_size_l%d is %d: must be > 0", i, t)
		}
		if i > 0 && (tiles[i-1]%2 != 0 || t != tiles[i-1]/2) {
			return nil, fmt.Errorf("tile_size_l%d is %d: must be exactly tile_size_l%d/2, tile_size_l%d is %d", i, t, i-1, i-1, tiles[i-1])
		}
	}
	grids := make([]Grid, len(tiles))
	for i, t := range tiles {
		h, w, err := GridShape(featureH, featureW, t)
		if err != nil {
			return nil, fmt.Errorf("grid of level l%d: %w", i, err)
		}
		grids[i] = Grid{h, w} // exactly twice the one before: the edges halve and all divide the map
	}
	return grids, nil
}

// Children returns the ids of the four children of tile id, in the grid of 2*gridH x 2*gridW tiles, in the order top-left,
// top-right, bottom-left, bottom-right. gridH and gridW are the grid of the parent. Source: spec 3.2.
func Children(id, gridH, gridW int) ([4]int, error) {
	c, err := IndexToTile(id, gridH, gridW)
	if err != nil {
		return [4]int{}, err
	}
	top := 2*c.TY*2*gridW + 2*c.TX
	bottom := top + 2*gridW
	return [4]int{top, top + 1, bottom, bottom + 1}, nil
}

// ChildCoords returns the coordinates of the children of tile (ty, tx), in the order of [Children].
func ChildCoords(ty, tx, gridH, gridW int) ([4]Coord, error) {
	if _, err := TileToIndex(ty, tx, gridH, gridW); err != nil {
		return [4]Coord{}, err
	}
	y, x := 2*ty, 2*tx
	return [4]Coord{{y, x}, {y, x + 1}, {y + 1, x}, {y + 1, x + 1}}, nil
}

// Parent returns the id of the parent of child id. gridH and gridW are the grid of the parent; the child lies in twice that.
func Parent(id, gridH, gridW int) (int, error) {
	if err := checkGrid(gridH, gridW); err != nil {
		return 0, err
	}
	if err := checkID(id, 2*gridH, 2*gridW); err != nil {
		return 0, fmt.Errorf("child tile: %w", err)
	}
	return id/(2*gridW)/2*gridW + id%(2*gridW)/2, nil
}

// ParentCoord returns the coordinates of the parent of child (ty, tx); see [Parent].
func ParentCoord(ty, tx, gridH, gridW int) (Coord, error) {
	if err := checkGrid(gridH, gridW); err != nil {
		return Coord{}, err
	}
	if ty < 0 || ty >= 2*gridH || tx < 0 || tx >= 2*gridW {
		return Coord{}, fmt.Errorf("child tile (%d,%d) is out of bounds of the %dx%d grid", ty, tx, 2*gridH, 2*gridW)
	}
	return Coord{ty / 2, tx / 2}, nil
}

// Descendants returns the 16 tiles two levels below tile id: for each child in order, its four children.
func Descendants(id, gridH, gridW int) ([16]int, error) {
	var out [16]int
	children, err := Children(id, gridH, gridW)
	if err != nil {
		return out, err
	}
	for i, child := range children {
		grand, err := Children(child, 2*gridH, 2*gridW)
		if err != nil {
			return out, fmt.Errorf("grandchildren of tile %d: %w", id, err)
		}
		copy(out[4*i:], grand[:])
	}
	return out, nil
}

// QuadtreeMeta relates K parent tiles to their children one level down. Rows follow the given ids, duplicates included.
// Source: spec 3.3.
type QuadtreeMeta struct {
	ParentGrid, ChildGrid Grid
	ParentIndices         []int      // [K]
	ParentCoords          []Coord    // [K]
	ChildIndices          [][4]int   // [K], in the order of Children
	ChildCoords           [][4]Coord // [K]
}

// NewQuadtreeMeta builds the record for parents in a grid of gridH x gridW; it serves L0 to L1 and L1 to L2.
func NewQuadtreeMeta(parents []int, gridH, gridW int) (QuadtreeMeta, error) {
	if err := checkGrid(gridH, gridW); err != nil {
		return QuadtreeMeta{}, err
	}
	grid := Grid{gridH, gridW}
	m := QuadtreeMeta{
		ParentGrid: grid, ChildGrid: grid.Finer(),
		ParentIndices: append([]int{}, parents...),
		ParentCoords:  make([]Coord, len(parents)),
		ChildIndices:  make([][4]int, len(parents)),
		ChildCoords:   make([][4]Coord, len(parents)),
	}
	for i, id := range parents {
		c, err := IndexToTile(id, gridH, gridW)
		if err != nil {
			return QuadtreeMeta{}, err
		}
		m.ParentCoords[i] = c
		if m.ChildIndices[i], err = Children(id, gridH, gridW); err != nil {
			return QuadtreeMeta{}, err
		}
		if m.ChildCoords[i], err = ChildCoords(c.TY, c.TX, gridH, gridW); err != nil {
			return QuadtreeMeta{}, err
		}
	}
	return m, nil
}

// NewDeepQuadtreeMeta builds both records below the given L0 tiles. The parents of the second are the flattened children of
// the first.
func NewDeepQuadtreeMeta(l0 []int, gridH, gridW int) (l0l1, l1l2 QuadtreeMeta, err error) {
	if l0l1, err = NewQuadtreeMeta(l0, gridH, gridW); err != nil {
		return QuadtreeMeta{}, QuadtreeMeta{}, err
	}
	var l1 []int
	for _, c := range l0l1.ChildIndices {
		l1 = append(l1, c[:]...)
	}
	if l1l2, err = NewQuadtreeMeta(l1, 2*gridH, 2*gridW); err != nil {
		return QuadtreeMeta{}, QuadtreeMeta{}, fmt.Errorf("level l1 to l2: %w", err)
	}
	return l0l1, l1l2, nil
}
