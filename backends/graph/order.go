package graph

import "github.com/apex-x/apexx/internal/hilbert"

// Ranks gives every tile of the grid its key in the scan (spec/routing.md 2.2 to 2.4): tiles are visited by ascending key. Only
// multi_direction, the sum of the ranks of the four scans, has equal keys. The mode must be one that Infer accepts.
func (o TileOrder) Ranks() []int64 {
	h, w := o.GridHeight, o.GridWidth
	key := map[string]func(y, x int) int{
		"hilbert":         func(y, x int) int { return hilbert.Distance(x, y, hilbert.Side(h, w)) },
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
