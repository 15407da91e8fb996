package routing

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/apex-x/apexx/internal/hilbert"
)

// OrderMode is a rule that puts the tiles of a grid in sequence. The zero value is Hilbert, the default.
type OrderMode uint8

// The order modes. The scans are named by the direction in which they walk: R2L goes row by row from the top, each row
// right to left; U2D goes column by column from the left, each column downwards. So R2L mirrors L2R and does not reverse it.
const (
	Hilbert        OrderMode = iota // along the Hilbert curve of the enclosing power-of-two square
	MultiDirection                  // by the sum of the ranks in the four scans
	L2R                             // rows from the top, left to right
	R2L                             // rows from the top, right to left
	U2D                             // columns from the left, downwards
	D2U                             // columns from the left, upwards
)

var orderModeNames = [...]string{"hilbert", "multi_direction", "l2r", "r2l", "u2d", "d2u"}

// String returns the canonical name, such as "multi_direction".
func (m OrderMode) String() string {
	if int(m) >= len(orderModeNames) {
		return fmt.Sprintf("OrderMode(%d)", uint8(m))
	}
	return orderModeNames[m]
}

// OrderTiles returns the ids in the order of mode; ids is not changed. The sort is stable: equal ids stay adjacent, and
// MultiDirection breaks its ties by input position, so there two permutations of one set can give two orders (the
// original's behaviour, pinned by spec 2.4). Unlike the original, MultiDirection checks the grid of an empty list too.
func OrderTiles(ids []int, gridH, gridW int, mode OrderMode) ([]int, error) {
	if err := checkOrder(gridH, gridW, mode); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := checkID(id, gridH, gridW); err != nil {
			return nil, err
		}
	}
	key := orderKey(gridH, gridW, mode)
	ordered := append(make([]int, 0, len(ids)), ids...)
	slices.SortStableFunc(ordered, func(a, b int) int { return cmp.Compare(key(a), key(b)) })
	return ordered, nil
}

func checkOrder(gridH, gridW int, mode OrderMode) error {
	if int(mode) >= len(orderModeNames) {
		return fmt.Errorf("unknown tile order mode %v: want one of %s", mode, strings.Join(orderModeNames[:], ", "))
	}
	return checkGrid(gridH, gridW)
}

// orderKey returns the function from id to sort key for a checked mode and grid.
func orderKey(gridH, gridW int, mode OrderMode) func(id int) int {
	switch mode {
	case L2R:
		return func(id int) int { return id }
	case R2L:
		return func(id int) int { return id/gridW*gridW + gridW - 1 - id%gridW }
	case U2D:
		return func(id int) int { return id%gridW*gridH + id/gridW }
	case D2U:
		return func(id int) int { return id%gridW*gridH + gridH - 1 - id/gridW }
	case MultiDirection:
		return func(id int) int { return 2*(id/gridW*gridW+id%gridW*gridH) + gridW + gridH - 2 }
	default:
		n := hilbert.Side(gridH, gridW)
		return func(id int) int { return hilbert.Distance(id%gridW, id/gridW, n) }
	}
}
