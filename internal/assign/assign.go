// Package assign solves the linear assignment problem: which row takes which column, each at most once, so that the sum of
// costs is least.
//
// The method is that of shortest augmenting paths with potentials (Jonker and Volgenant, "A shortest augmenting path
// algorithm for dense and sparse linear assignment problems", Computing 38, 1987), in O(min² · max) steps of float64. The
// potentials certify the result: where u[i] + v[j] ≤ cost[i][j] everywhere, with equality on the chosen pairs, no other
// assignment is cheaper.
package assign

import (
	"fmt"
	"math"
	"slices"
)

// Pair is a row and the column that it takes.
type Pair struct{ Row, Col int }

// Solve returns min(rows, cols) pairs of least total cost in ascending order of rows. cost is row-major, rows·cols finite
// values. Among equally cheap assignments the choice follows from a fixed order: the shorter side is inserted index by index,
// and of columns with equal slack the lowest is taken, so that equal costs everywhere give the diagonal. It is an error if
// the cost has another size or a value that is not finite.
func Solve(cost []float64, rows, cols int) ([]Pair, error) {
	if rows < 0 || cols < 0 || len(cost) != rows*cols {
		return nil, fmt.Errorf("assignment: %d costs for %d rows and %d columns", len(cost), rows, cols)
	}
	for i, c := range cost {
		if math.IsNaN(c) || math.IsInf(c, 0) {
			return nil, fmt.Errorf("assignment: the cost of row %d and column %d is %v: must be finite", i/cols, i%cols, c)
		}
	}
	turned := rows > cols
	if turned {
		cost, rows, cols = transpose(cost, rows, cols), cols, rows
	}
	s := solve(cost, rows, cols)
	pairs := make([]Pair, 0, rows)
	for col, row := range s.rowOf {
		switch {
		case row < 0:
		case turned:
			pairs = append(pairs, Pair{col, row})
		default:
			pairs = append(pairs, Pair{row, col})
		}
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return a.Row - b.Row })
	return pairs, nil
}

func transpose(cost []float64, rows, cols int) []float64 {
	out := make([]float64, len(cost))
	for i, c := range cost {
		out[i%cols*rows+i/cols] = c
	}
	return out
}

// solution is an assignment of every row, rows ≤ columns, with the potentials that certify it.
type solution struct {
	rowOf []int // by column; -1 for a free one
	u, v  []float64
}

func solve(cost []float64, rows, cols int) solution {
	s := solution{rowOf: slices.Repeat([]int{-1}, cols), u: make([]float64, rows), v: make([]float64, cols)}
	for row := range rows {
		s.insert(cost, row)
	}
	return s
}

// insert assigns one more row: it grows a tree of shortest paths of reduced costs from the row until it meets a free column,
// moves the potentials of what it passed, and shifts the rows along the path.
func (s *solution) insert(cost []float64, row int) {
	cols := len(s.v)
	slack := slices.Repeat([]float64{math.Inf(1)}, cols) // to the tree
	from := slices.Repeat([]int{-1}, cols)               // the column before, -1 for the row itself
	passed := make([]bool, cols)
	at, here := row, -1 // the row and the column that were reached last
	for {
		best, next := math.Inf(1), -1
		for j := range cols {
			if passed[j] {
				continue
			}
			if reduced := cost[at*cols+j] - s.u[at] - s.v[j]; reduced < slack[j] {
				slack[j], from[j] = reduced, here
			}
			if slack[j] < best {
				best, next = slack[j], j
			}
		}
		s.u[row] += best
		for j := range cols {
			if passed[j] {
				s.u[s.rowOf[j]] += best
				s.v[j] -= best
			} else {
				slack[j] -= best
			}
		}
		if here = next; s.rowOf[here] < 0 {
			break
		}
		passed[here], at = true, s.rowOf[here]
	}
	for here >= 0 {
		before := from[here]
		if before < 0 {
			s.rowOf[here] = row
		} else {
			s.rowOf[here] = s.rowOf[before]
		}
		here = before
	}
}
