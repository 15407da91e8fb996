package routing

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/internal/hilbert"
)

// maxHilbertSide keeps distances within an int64.
const maxHilbertSide = 1 << 30

// HilbertDistance returns the position of cell (tx, ty), x first, on the Hilbert curve that fills the n x n square. The
// curve starts at (0,0) and ends at x = n-1, y = 0. Source: spec 2.2.
//
// n must be a power of two. The original accepts any n and returns colliding distances.
func HilbertDistance(tx, ty, n int) (int, error) {
	if n <= 0 || n > maxHilbertSide {
		return 0, fmt.Errorf("hilbert curve of side %d: must be > 0 and at most %d", n, maxHilbertSide)
	}
	if n&(n-1) != 0 {
		return 0, fmt.Errorf("hilbert curve of side %d: must be a power of two", n)
	}
	if tx < 0 || ty < 0 || tx >= n || ty >= n {
		return 0, fmt.Errorf("cell x=%d y=%d is out of bounds of a hilbert curve of side %d", tx, ty, n)
	}
	return hilbert.Distance(tx, ty, n), nil
}

// hilbertRanks numbers the cells of the grid in curve order, skipping the part of the curve outside.
func hilbertRanks(gridH, gridW int) []int {
	n := hilbert.Side(gridH, gridW)
	distances := make([]int, gridH*gridW)
	order := make([]int, gridH*gridW)
	for id := range order {
		order[id] = id
		distances[id] = hilbert.Distance(id%gridW, id/gridW, n)
	}
	slices.SortFunc(order, func(a, b int) int { return distances[a] - distances[b] })
	ranks := distances // every distance has been read
	for rank, id := range order {
		ranks[id] = rank
	}
	return ranks
}
