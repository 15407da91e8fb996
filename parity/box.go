package parity

import "math"

// box is x1, y1, x2, y2 in pixels.
type box [4]float64

// canonical sorts the corners, as the suppression does before it measures an overlap.
func (b box) canonical() box {
	return box{min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])}
}

func (b box) area() float64 { return max(b[2]-b[0], 0) * max(b[3]-b[1], 0) }

// iou is intersection over union, the union at least 1e-9 (spec/model.md 3.18).
func iou(a, b box) float64 {
	a, b = a.canonical(), b.canonical()
	inter := max(min(a[2], b[2])-max(a[0], b[0]), 0) * max(min(a[3], b[3])-max(a[1], b[1]), 0)
	return inter / max(a.area()+b.area()-inter, 1e-9)
}

// iouSlack bounds how far the overlap of a and b can move when every coordinate moves by at most move: the intersection
// changes by at most 2·move·(width + height) + 4·move² of the smaller box, the union by that of both boxes.
func iouSlack(a, b box, move float64) float64 {
	a, b = a.canonical(), b.canonical()
	perimeter := func(c box) float64 { return 2*move*(c[2]-c[0]+c[3]-c[1]) + 4*move*move }
	da, db := perimeter(a), perimeter(b)
	union := max(max(a.area(), b.area())-max(da, db), 1e-9)
	return min((min(da, db)+da+db)/union+roundingFloor, 1)
}

// move returns the largest move of a coordinate from a to b; NaN where one is not finite.
func (b box) move(to box) float64 {
	var most float64
	for i := range b {
		d := math.Abs(to[i] - b[i])
		if math.IsNaN(d) {
			return d
		}
		most = max(most, d)
	}
	return most
}

// cells returns the half-open range of cells that a side from low to high covers on an axis of size cells over extent pixels:
// floor and ceiling of the scaled coordinates, clamped to the axis (spec/model.md 3.19).
func cells(low, high float64, size, extent int) [2]int {
	scale := float64(float32(float64(size) / float64(extent)))
	clamp := func(v float64) float64 { return min(max(float64(float32(v)*float32(scale)), 0), float64(size)) }
	return [2]int{int(math.Floor(clamp(min(low, high)))), int(math.Ceil(clamp(max(low, high))))}
}
