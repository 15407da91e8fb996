package routing

import (
	"fmt"
	"math/bits"
	"slices"
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
	return hilbertDistance(tx, ty, n), nil
}

// hilbertDistance descends the quadrants from the largest. Complemented coordinates go negative; only the bits below s are
// read afterwards, so two's complement is right.
func hilbertDistance(x, y, n int) int {
	d := 0
	for s := n / 2; s > 0; s /= 2 {
		rx, ry := 0, 0
		if x&s != 0 {
			rx = 1
		}
		if y&s != 0 {
			ry = 1
		}
		d += s * s * ((3 * rx) ^ ry)
		if ry == 0 {
			if rx == 1 {
				x, y = s-1-x, s-1-y
			}
			x, y = y, x
		}
	}
	return d
}

// hilbertSide returns the side of the curve that encloses a grid: the smallest power of two not below either side.
func hilbertSide(gridH, gridW int) int {
	return 1 << bits.Len(uint(max(gridH, gridW)-1))
}

// hilbertRanks numbers the cells of the grid in curve order, skipping the part of the curve outside.
func hilbertRanks(gridH, gridW int) []int {
	n := hilbertSide(gridH, gridW)
	distances := make([]int, gridH*gridW)
	order := make([]int, gridH*gridW)
	for id := range order {
		order[id] = id
		distances[id] = hilbertDistance(id%gridW, id/gridW, n)
	}
	slices.SortFunc(order, func(a, b int) int { return distances[a] - distances[b] })
	ranks := distances // every distance has been read
	for rank, id := range order {
		ranks[id] = rank
	}
	return ranks
}
