package sweep

import (
	"fmt"
	"maps"
	"slices"

	"github.com/apex-x/apexx/parity/evidence"
)

// ExitCode applies evidence.ExitCode to a sweep. A cell speaks by how it Ended. A backend of the plan that has no cell of which the speed counts is missing.
func (r *Result) ExitCode() int {
	states := make([]evidence.State, len(r.Cells))
	counts := map[string]bool{}
	for i, c := range r.Cells {
		states[i] = c.Ended()
		counts[c.Cell.Backend] = counts[c.Cell.Backend] || states[i].Holds()
	}
	missing := false
	for _, c := range r.Cells {
		missing = missing || !counts[c.Cell.Backend]
	}
	return evidence.ExitCode(states, missing)
}

// Ended is the worst of how the cell was measured, how it was compared and how it was evaluated. What was timed and never compared is
// unverified, and an overspent budget is a failure.
func (c *CellResult) Ended() evidence.State {
	ended := c.timed()
	if c.Quality != nil && c.Quality.State.Worse(ended) {
		return c.Quality.State
	}
	return ended
}

func (c *CellResult) timed() evidence.State {
	if c.Overspent() != "" {
		return evidence.Fail
	}
	if c.State == evidence.Measured && c.Parity.State == evidence.NotRun {
		return evidence.Unverified
	}
	if c.State == evidence.Measured || c.Parity.State.Worse(c.State) {
		return c.Parity.State
	}
	return c.State
}

// Overspent says which budget of the routing a sample of the cell overspent, "" where none.
func (c *CellResult) Overspent() string {
	if c.Work == nil {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(c.Work.Budgets)) {
		if b := c.Work.Budgets[name]; b.Over {
			return fmt.Sprintf("%s: %g spent of %g", name, b.Spent, b.Limit)
		}
	}
	return ""
}
