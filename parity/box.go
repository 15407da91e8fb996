package parity

import "math"

// box is x1, y1, x2, y2 in pixels.
type box [4]float64

// canonical sorts the corners, as the suppression does before it measures an overlap.
func (a box) canonical() box {
	return box{min(a[0], a[2]), min(a[1], a[3]), max(a[0], a[2]), max(a[1], a[3])}
}

func (a box) area() float64 { return max(a[2]-a[0], 0) * max(a[3]-a[1], 0) }

// iou is intersection over union, the union at least 1e-9 (spec/model.md 3.18).
func iou(a, b box) float64 {
	a, b = a.canonical(), b.canonical()
	inter := max(min(a[2], b[2])-max(a[0], b[0]), 0) * max(min(a[3], b[3])-max(a[1], b[1]), 0)
	return inter / max(a.area()+b.area()-inter, 1e-9)
}

// iouRounding bounds how far float32 arithmetic moves an overlap: a few roundings of areas, each by 6e-8.
const iouRounding = 2e-6

// iouSlack bounds how far the overlap of a and b can move when every coordinate moves by at most move: the intersection
// changes by at most 2·move·(width + height) + 4·move² of the smaller box, the union by that of both boxes.
func iouSlack(a, b box, move float64) float64 {
	a, b = a.canonical(), b.canonical()
	perimeter := func(c box) float64 { return 2*move*(c[2]-c[0]+c[3]-c[1]) + 4*move*move }
	da, db := perimeter(a), perimeter(b)
	union := max(max(a.area(), b.area())-max(da, db), 1e-9)
	return min((min(da, db)+da+db)/union, 1) + iouRounding
}

// near reports whether every coordinate of b is within pixels of a's.
func (a box) near(b box, pixels float64) bool { return a.move(b) <= pixels }

// move returns the largest move of a coordinate from a to b; NaN where one is not finite.
func (a box) move(b box) float64 {
	var most float64
	for i := range a {
		d := math.Abs(b[i] - a[i])
		if math.IsNaN(d) {
			return d
		}
		most = max(most, d)
	}
	return most
}

// cells returns the half-open range of cells that a side from low to high covers on an axis of size cells over extent pixels:
// floor and ceiling of the scaled coordinates, clamped to the axis (spec/model.md 3.19). The scale is float32; wide tells whether the product
// is float64, as in an execution whose boxes are: just beside an integer that is another cell.
func cells(low, high float64, size, extent int, wide bool) [2]int {
	scale := float32(float64(size) / float64(extent))
	scaled := func(v float64) float64 {
		if wide {
			return v * float64(scale)
		}
		return float64(float32(v) * scale)
	}
	clamp := func(v float64) float64 { return min(max(scaled(v), 0), float64(size)) }
	return [2]int{int(math.Floor(clamp(min(low, high)))), int(math.Ceil(clamp(max(low, high))))}
}

// inside reports whether the corners are in order and within an image of that size, as the decoder clamps them.
func (a box) inside(width, height int) bool {
	return 0 <= a[0] && a[0] <= a[2] && a[2] <= float64(width) && 0 <= a[1] && a[1] <= a[3] && a[3] <= float64(height)
}
