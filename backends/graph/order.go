package graph

// Ranks gives every tile of the grid its key in the scan (spec/routing.md 2.2 to 2.4): tiles are visited by ascending key. Only
// multi_direction, the sum of the ranks of the four scans, has equal keys. The mode must be one that Infer accepts.
func (o TileOrder) Ranks() []int64 {
	h, w := o.GridHeight, o.GridWidth
	key := map[string]func(y, x int) int{
		"hilbert":         func(y, x int) int { return hilbertDistance(y, x, max(h, w)) },
		"l2r":             func(y, x int) int { return y*w + x },
		"r2l":             func(y, x int) int { return y*w + w - 1 - x },
		"u2d":             func(y, x int) int { return x*h + y },
		"d2u":             func(y, x int) int { return x*h + h - 1 - y },
		"multi_direction": func(y, x int) int { return 2*(y*w+x*h) + w + h - 2 },
	}[o.Mode]
	ranks := make([]int64, 0, h*w)
	for y := range h {
		for x := range w {
			ranks = append(ranks, int64(key(y, x)))
		}
	}
	return ranks
}

// hilbertDistance returns the position of the cell (x, y) on the Hilbert curve that starts at (0, 0), ends at the far end
// of the row y = 0, and fills the smallest square of a power of two that holds side cells a side.
func hilbertDistance(y, x, side int) int {
	n := 1
	for n < side {
		n *= 2
	}
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
