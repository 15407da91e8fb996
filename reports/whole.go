package reports

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// Limits of what a page shows whole, so that it opens in a moment however many cases there are. matrix.json has all numbers.
const (
	mostWhole      = 100      // cases
	mostPassing    = 24       // of them, cases in which everything passed
	mostImageBytes = 12 << 20 // of all pictures, as encoded; a third more in the page
	mostDecisions  = 50       // of a cell
)

// wholeCases chooses the cases that a page shows with numbers and pictures, by their places: those with a cell that does not hold
// first, then those with one that did not simply pass, then the others, each in their order.
func wholeCases(m *parity.Matrix) map[int]bool {
	rank := make([]int, len(m.Cases))
	order := make([]int, len(m.Cases))
	passing := 0
	for i := range m.Cases {
		order[i] = i
		for j := range m.Pairs {
			switch s := cell(m, i, j).State; {
			case !s.Holds():
				rank[i] = 2
			case s != evidence.Pass:
				rank[i] = max(rank[i], 1)
			}
		}
		if rank[i] == 0 {
			passing++
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank[b], rank[a]) })
	whole := map[int]bool{}
	for _, i := range order[:min(len(order), mostWhole, len(order)-passing+mostPassing)] {
		whole[i] = true
	}
	return whole
}

// leftOut says which cases a page does not show whole, "" where there are none.
func leftOut(total, whole int) string {
	if whole == total {
		return ""
	}
	return fmt.Sprintf("Below are %d of the %d cases with their numbers and pictures: those that did not simply pass, %d at most, and the first %d that did. matrix.json has the numbers of all.",
		whole, total, mostWhole, mostPassing)
}
