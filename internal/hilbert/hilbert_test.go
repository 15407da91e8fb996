package hilbert

import "testing"

// TestCurve: every cell of the square is visited once, and each step goes to a neighbour.
func TestCurve(t *testing.T) {
	for n := 1; n <= 64; n *= 2 {
		cells := make([][2]int, n*n)
		seen := make([]bool, n*n)
		for y := range n {
			for x := range n {
				d := Distance(x, y, n)
				if d < 0 || d >= n*n || seen[d] {
					t.Fatalf("side %d: cell (%d,%d) has the position %d, which is outside or taken", n, x, y, d)
				}
				cells[d], seen[d] = [2]int{x, y}, true
			}
		}
		for d := 1; d < n*n; d++ {
			dx, dy := cells[d][0]-cells[d-1][0], cells[d][1]-cells[d-1][1]
			if dx*dx+dy*dy != 1 {
				t.Fatalf("side %d: the curve jumps from %v to %v", n, cells[d-1], cells[d])
			}
		}
		if cells[0] != [2]int{0, 0} || cells[n*n-1] != [2]int{n - 1, 0} {
			t.Errorf("side %d: the curve goes from %v to %v", n, cells[0], cells[n*n-1])
		}
	}
}

func TestSide(t *testing.T) {
	for _, c := range [][3]int{{1, 1, 1}, {1, 2, 2}, {3, 2, 4}, {4, 4, 4}, {5, 1, 8}, {16, 17, 32}} {
		if got := Side(c[0], c[1]); got != c[2] {
			t.Errorf("the curve around %d×%d has the side %d, want %d", c[0], c[1], got, c[2])
		}
	}
}
