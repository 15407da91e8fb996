package routing

import "fmt"

// MaxTiles bounds the number of tiles of a grid and the capacity of a selection, so that a lying size is an error instead
// of an exhausted memory.
const MaxTiles = 1 << 26

// Coord is the position of a tile in its grid, row first.
type Coord struct{ TY, TX int }

// GridShape returns how many tiles of edge tile (in cells) cover a feature map of featureH x featureW cells. Sizes must be
// > 0 and divisible by tile. It serves every level. Source: spec 1.
func GridShape(featureH, featureW, tile int) (gridH, gridW int, err error) {
	if featureH <= 0 || featureW <= 0 {
		return 0, 0, fmt.Errorf("feature size %dx%d: both sides must be > 0", featureH, featureW)
	}
	if tile <= 0 {
		return 0, 0, fmt.Errorf("tile size %d: must be > 0", tile)
	}
	if featureH%tile != 0 || featureW%tile != 0 {
		return 0, 0, fmt.Errorf("feature size %dx%d must be divisible by the tile size %d; pad or resize the map",
			featureH, featureW, tile)
	}
	gridH, gridW = featureH/tile, featureW/tile
	return gridH, gridW, checkGrid(gridH, gridW)
}

// TileToIndex returns the id of tile (ty, tx).
func TileToIndex(ty, tx, gridH, gridW int) (int, error) {
	if err := checkGrid(gridH, gridW); err != nil {
		return 0, err
	}
	if ty < 0 || ty >= gridH || tx < 0 || tx >= gridW {
		return 0, fmt.Errorf("tile (%d,%d) is out of bounds of the %dx%d grid", ty, tx, gridH, gridW)
	}
	return ty*gridW + tx, nil
}

// IndexToTile returns the coordinates of tile id.
func IndexToTile(id, gridH, gridW int) (Coord, error) {
	if err := checkGrid(gridH, gridW); err != nil {
		return Coord{}, err
	}
	if err := checkID(id, gridH, gridW); err != nil {
		return Coord{}, err
	}
	return Coord{id / gridW, id % gridW}, nil
}

// IndicesToCoords maps ids [B,K] to coordinates [B,K,2], last axis (ty, tx). Unlike the original it checks the grid even
// when there are no ids.
func IndicesToCoords(ids Array[int], gridH, gridW int) (Array[int], error) {
	if err := ids.check("tile indices", 2); err != nil {
		return Array[int]{}, err
	}
	if err := checkGrid(gridH, gridW); err != nil {
		return Array[int]{}, err
	}
	out := NewArray[int](ids.Shape[0], ids.Shape[1], 2)
	for i, id := range ids.Data {
		if err := checkID(id, gridH, gridW); err != nil {
			return Array[int]{}, err
		}
		out.Data[2*i], out.Data[2*i+1] = id/gridW, id%gridW
	}
	return out, nil
}

// CoordsToIndices is the inverse of [IndicesToCoords]: coordinates [B,K,2] to ids [B,K].
func CoordsToIndices(coords Array[int], gridH, gridW int) (Array[int], error) {
	if err := coords.check("tile coordinates", 3); err != nil {
		return Array[int]{}, err
	}
	if coords.Shape[2] != 2 {
		return Array[int]{}, fmt.Errorf("tile coordinates of shape %v: want rank-3 with a last axis of 2 (ty, tx)", coords.Shape)
	}
	if err := checkGrid(gridH, gridW); err != nil {
		return Array[int]{}, err
	}
	out := NewArray[int](coords.Shape[0], coords.Shape[1])
	for i := range out.Data {
		id, err := TileToIndex(coords.Data[2*i], coords.Data[2*i+1], gridH, gridW)
		if err != nil {
			return Array[int]{}, err
		}
		out.Data[i] = id
	}
	return out, nil
}

// checkGrid rejects empty grids and those of more than MaxTiles tiles.
func checkGrid(gridH, gridW int) error {
	if gridH <= 0 || gridW <= 0 {
		return fmt.Errorf("tile grid %dx%d: both sides must be > 0", gridH, gridW)
	}
	if gridH > MaxTiles/gridW {
		return fmt.Errorf("tile grid %dx%d has more than %d tiles", gridH, gridW, MaxTiles)
	}
	return nil
}

func checkID(id, gridH, gridW int) error {
	if id < 0 || id >= gridH*gridW {
		return fmt.Errorf("tile id %d is out of bounds of the %dx%d grid: want 0 to %d", id, gridH, gridW, gridH*gridW-1)
	}
	return nil
}

// checkCapacity rejects a selection capacity that is negative or larger than MaxTiles.
func checkCapacity(name string, kmax int) error {
	if kmax < 0 || kmax > MaxTiles {
		return fmt.Errorf("%s is %d: must be >= 0 and at most %d", name, kmax, MaxTiles)
	}
	return nil
}
