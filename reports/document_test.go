package reports

import (
	"testing"

	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// TestShareOfBudget keeps a share beyond the budget from being rounded to 100 %, which would be within.
func TestShareOfBudget(t *testing.T) {
	for ratio, want := range map[float64]string{0: " 0%", 0.304: " 30%", 0.996: " 100%", 1: " 100%", 1.0026: " 101%(!)", 1.234: " 123%(!)", 99: " 9900%(!)", 99.5: " ≫(!)"} {
		c := &parity.Cell{Outcome: evidence.Outcome{State: evidence.Pass}, Report: &parity.Report{Budget: &parity.BudgetSummary{Output: "boxes", Ratio: parity.Number(ratio)}}}
		if got := ofBudget(c); got != want {
			t.Errorf("%g is told as %q, want %q", ratio, got, want)
		}
	}
}
