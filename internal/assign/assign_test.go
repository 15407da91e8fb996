package assign

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func TestSolve(t *testing.T) {
	for _, c := range []struct {
		rows, cols int
		cost       []float64
		want       []Pair
	}{
		{2, 2, []float64{.1, .2, .11, .9}, []Pair{{0, 1}, {1, 0}}}, // the greedy choice (0,0) costs more
		{2, 2, []float64{1, 1, 1, 1}, []Pair{{0, 0}, {1, 1}}},
		{2, 3, slices.Repeat([]float64{7}, 6), []Pair{{0, 0}, {1, 1}}},
		{3, 2, slices.Repeat([]float64{7}, 6), []Pair{{0, 0}, {1, 1}}},
		{3, 3, slices.Repeat([]float64{-2}, 9), []Pair{{0, 0}, {1, 1}, {2, 2}}},
		{3, 3, []float64{4, 1, 3, 2, 0, 5, 3, 2, 2}, []Pair{{0, 1}, {1, 0}, {2, 2}}},
		{1, 3, []float64{3, -1, 2}, []Pair{{0, 1}}},
		{0, 3, nil, []Pair{}},
		{3, 0, nil, []Pair{}},
	} {
		got, err := Solve(c.cost, c.rows, c.cols)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%d×%d %v: %v, %v; want %v", c.rows, c.cols, c.cost, got, err, c.want)
		}
	}
}

func TestSolveRejects(t *testing.T) {
	for want, c := range map[string]struct {
		rows, cols int
		cost       []float64
	}{
		"assignment: 3 costs for 2 rows and 2 columns":                       {2, 2, make([]float64, 3)},
		"assignment: 0 costs for -1 rows and 0 columns":                      {-1, 0, nil},
		"assignment: the cost of row 1 and column 0 is NaN: must be finite":  {2, 2, []float64{0, 1, math.NaN(), 2}},
		"assignment: the cost of row 0 and column 1 is -Inf: must be finite": {1, 2, []float64{0, math.Inf(-1)}},
	} {
		if _, err := Solve(c.cost, c.rows, c.cols); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// cheapest tries every assignment.
func cheapest(cost []float64, rows, cols int) float64 {
	if rows > cols {
		cost, rows, cols = transpose(cost, rows, cols), cols, rows
	}
	var from func(row int, taken uint) float64
	from = func(row int, taken uint) float64 {
		if row == rows {
			return 0
		}
		best := math.Inf(1)
		for j := range cols {
			if taken>>j&1 == 0 {
				best = min(best, cost[row*cols+j]+from(row+1, taken|1<<j))
			}
		}
		return best
	}
	return from(0, 0)
}

// TestSolveIsCheapest compares with every assignment of small matrices. The costs are small integers, so that sums are exact
// and ties are frequent.
func TestSolveIsCheapest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for rows := 1; rows <= 6; rows++ {
		for cols := 1; cols <= 6; cols++ {
			for range 60 {
				cost := make([]float64, rows*cols)
				for i := range cost {
					cost[i] = float64(r.IntN(9) - 3)
				}
				pairs, err := Solve(cost, rows, cols)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := total(t, cost, rows, cols, pairs), cheapest(cost, rows, cols); got != want {
					t.Fatalf("%d×%d %v: %v costs %v, the cheapest %v", rows, cols, cost, pairs, got, want)
				}
			}
		}
	}
}

// total checks that the pairs are an assignment, in order, and sums their costs.
func total(t *testing.T, cost []float64, rows, cols int, pairs []Pair) float64 {
	t.Helper()
	if len(pairs) != min(rows, cols) {
		t.Fatalf("%d×%d: %d pairs", rows, cols, len(pairs))
	}
	taken, sum, last := map[int]bool{}, 0.0, -1
	for _, p := range pairs {
		if p.Row <= last || p.Row >= rows || p.Col < 0 || p.Col >= cols || taken[p.Col] {
			t.Fatalf("%d×%d: pairs %v", rows, cols, pairs)
		}
		taken[p.Col], last = true, p.Row
		sum += cost[p.Row*cols+p.Col]
	}
	return sum
}

// TestPotentialsCertify checks large matrices by duality: potentials that are nowhere above the cost, and equal to it on the
// chosen pairs, prove that no assignment is cheaper. Free columns have the greatest potential, 0.
func TestPotentialsCertify(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, shape := range [][2]int{{1, 50}, {40, 40}, {60, 90}, {100, 101}} {
		rows, cols := shape[0], shape[1]
		for _, levels := range []int{0, 3, 50} { // continuous costs, and many ties
			cost := make([]float64, rows*cols)
			for i := range cost {
				if cost[i] = r.Float64(); levels > 0 {
					cost[i] = float64(r.IntN(levels))
				}
			}
			if err := certify(cost, solve(cost, rows, cols)); err != nil {
				t.Errorf("%d×%d, %d levels: %v", rows, cols, levels, err)
			}
		}
	}
}

func certify(cost []float64, s solution) error {
	const rounding = 1e-12
	cols := len(s.v)
	for i, c := range cost {
		gap := c - s.u[i/cols] - s.v[i%cols]
		if gap < -rounding || s.rowOf[i%cols] == i/cols && gap > rounding {
			return fmt.Errorf("the reduced cost of row %d and column %d is %g, taken by row %d", i/cols, i%cols, gap, s.rowOf[i%cols])
		}
	}
	for j, row := range s.rowOf {
		if s.v[j] > 0 || row < 0 && s.v[j] != 0 {
			return fmt.Errorf("the potential of column %d is %g, taken by row %d", j, s.v[j], row)
		}
	}
	return nil
}

func BenchmarkSolve(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	cost := make([]float64, 100*100)
	for i := range cost {
		cost[i] = r.Float64()
	}
	for b.Loop() {
		if _, err := Solve(cost, 100, 100); err != nil {
			b.Fatal(err)
		}
	}
}
