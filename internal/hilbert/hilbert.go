// Package hilbert numbers the cells of a grid along the Hilbert curve. The curve is the one of spec/routing.md 2.2: it fills a square
// whose side is a power of two, starts at (0,0) and ends at the far end of the row y = 0.
package hilbert

import "math/bits"

// Side returns the side of the curve that encloses a grid, neither side of which is 0: the smallest power of two not below either.
func Side(height, width int) int { return 1 << bits.Len(uint(max(height, width)-1)) }

// Distance returns the position of the cell (x, y) on the curve of side n, a power of two up to 2^30, with x and y in [0, n).
func Distance(x, y, n int) int {
	d := 0
	for s := n / 2; s > 0; s /= 2 {
		quadrantX, quadrantY := x/s, y/s // 0 or 1 each
		d += s * s * ((3 * quadrantX) ^ quadrantY)
		x, y = x%s, y%s
		if quadrantY == 0 {
			if quadrantX == 1 {
				x, y = s-1-x, s-1-y
			}
			x, y = y, x
		}
	}
	return d
}
