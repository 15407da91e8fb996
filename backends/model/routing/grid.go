package routing

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/internal/hilbert"
)

// MaxTiles bounds the number of tiles of a grid and the capacity of a selection, so that a lying size is an error instead
// of an exhausted memory.
const MaxTiles = 1 << 26

// Children returns the ids of the four children of tile id, in the grid of 2*gridH x 2*gridW tiles, in the order top-left,
// top-right, bottom-left, bottom-right. gridH and gridW are the grid of the parent. Source: spec 3.2.
func Children(id, gridH, gridW int) ([4]int, error) {
	if err := checkGrid(gridH, gridW); err != nil {
		return [4]int{}, err
	}
	if err := checkID(id, gridH, gridW); err != nil {
		return [4]int{}, err
	}
	top := 2*(id/gridW)*2*gridW + 2*(id%gridW)
	bottom := top + 2*gridW
	return [4]int{top, top + 1, bottom, bottom + 1}, nil
}

// OrderTiles returns the ids along the Hilbert curve of the power-of-two square that encloses the grid, the order of the tiles of L1 and
// L2. ids is not changed; equal ones stay adjacent. Source: spec 2.2.
func OrderTiles(ids []int, gridH, gridW int) ([]int, error) {
	if err := checkGrid(gridH, gridW); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := checkID(id, gridH, gridW); err != nil {
			return nil, err
		}
	}
	side := hilbert.Side(gridH, gridW)
	distance := func(id int) int { return hilbert.Distance(id%gridW, id/gridW, side) }
	ordered := append(make([]int, 0, len(ids)), ids...)
	slices.SortFunc(ordered, func(a, b int) int { return cmp.Compare(distance(a), distance(b)) })
	return ordered, nil
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
