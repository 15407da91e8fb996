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

var orderModeAliases = map[string]OrderMode{
	"lr": L2R, "scan_lr": L2R, "rl": R2L, "scan_rl": R2L,
	"ud": U2D, "scan_ud": U2D, "du": D2U, "scan_du": D2U,
}

// String returns the canonical name, such as "multi_direction".
func (m OrderMode) String() string {
	if int(m) >= len(orderModeNames) {
		return fmt.Sprintf("OrderMode(%d)", uint8(m))
	}
	return orderModeNames[m]
}

// IsScan reports whether m is one of the four scans.
func (m OrderMode) IsScan() bool { return m >= L2R && m <= D2U }

// NormalizeOrderMode returns the mode of a name or alias, ignoring case and surrounding space. The empty name is an error.
// Source: spec 2.1.
func NormalizeOrderMode(s string) (OrderMode, error) {
	name := strings.ToLower(strings.TrimSpace(s))
	if i := slices.Index(orderModeNames[:], name); i >= 0 {
		return OrderMode(i), nil
	}
	if m, ok := orderModeAliases[name]; ok {
		return m, nil
	}
	return 0, fmt.Errorf("unknown tile order mode %q: want one of %s", s, strings.Join(orderModeNames[:], ", "))
}

// InverseScan returns the mirrored scan: position p of one order holds the mirror image of position p of the other. Hilbert
// and MultiDirection have none and give an error.
func InverseScan(m OrderMode) (OrderMode, error) {
	switch m {
	case L2R:
		return R2L, nil
	case R2L:
		return L2R, nil
	case U2D:
		return D2U, nil
	case D2U:
		return U2D, nil
	}
	return 0, fmt.Errorf("%v is not a scan ordering mode: want one of l2r, r2l, u2d, d2u", m)
}

// Ranks returns the sort key of every tile id of the grid: sorting ids stably by rank gives the order of [OrderTiles].
// For Hilbert and the scans the rank is the position in the full order, 0 to gridH*gridW-1. For MultiDirection it is
// 2*(ty*gridW + tx*gridH) + gridW + gridH - 2, which ties between tiles. Source: spec 2.2 to 2.4.
func Ranks(gridH, gridW int, mode OrderMode) ([]int, error) {
	if err := checkOrder(gridH, gridW, mode); err != nil {
		return nil, err
	}
	if mode == Hilbert {
		return hilbertRanks(gridH, gridW), nil
	}
	key := orderKey(gridH, gridW, mode)
	ranks := make([]int, gridH*gridW)
	for id := range ranks {
		ranks[id] = key(id)
	}
	return ranks, nil
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

// FullOrder returns all ids of the grid in the order of mode.
func FullOrder(gridH, gridW int, mode OrderMode) ([]int, error) {
	if err := checkGrid(gridH, gridW); err != nil {
		return nil, err
	}
	ids := make([]int, gridH*gridW)
	for id := range ids {
		ids[id] = id
	}
	return OrderTiles(ids, gridH, gridW, mode)
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
