package reports

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// Limits of what there are pages of, so that a report is written and opened in a moment however many cases there are. matrix.json has all numbers.
const (
	mostWhole     = 100 // cases
	mostPassing   = 24  // of them, cases in which everything passed
	mostDecisions = 50  // of a cell
)

// wholeCases chooses the cases whose cells have pages with numbers and pictures, by their places: those with the worst cells first, and
// the first of those in which nothing went wrong. What was not run or not there has no numbers to show.
func wholeCases(m *parity.Matrix) map[int]bool {
	worst := make([]evidence.State, len(m.Cases))
	order := make([]int, len(m.Cases))
	passing := 0
	for i := range m.Cases {
		order[i], worst[i] = i, evidence.Pass
		for j := range perCase(m) {
			if s := cell(m, i, j).State; (s.Compared() || s.Broken()) && s.Worse(worst[i]) {
				worst[i] = s
			}
		}
		if worst[i] == evidence.Pass {
			passing++
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case worst[a].Worse(worst[b]):
			return -1
		case worst[b].Worse(worst[a]):
			return 1
		}
		return 0
	})
	whole := map[int]bool{}
	for _, i := range order[:min(len(order), mostWhole, len(order)-passing+mostPassing)] {
		whole[i] = true
	}
	return whole
}

// leftOut says which cases have no pages, "" where there are none.
func leftOut(total, whole int) string {
	if whole == total {
		return ""
	}
	return fmt.Sprintf("There are pages of %d of the %d cases, with their numbers and pictures: the worst of those that did not simply pass, %d at most, and the first %d others. matrix.json has the numbers of all.",
		whole, total, mostWhole, mostPassing)
}
