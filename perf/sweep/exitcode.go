package sweep

import "github.com/apex-x/apexx/parity/evidence"

// ExitCode applies evidence.ExitCode to a sweep. A cell speaks by how its measurement ended, and where it was measured by its parity,
// which an overspent budget fails. A backend of the plan that has no cell of which the speed counts is missing.
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

// Ended is the worse of how the cell was measured and how it was compared. What was timed and never compared is unverified.
func (c *CellResult) Ended() evidence.State {
	if c.State == evidence.Measured && c.Parity.State == evidence.NotRun {
		return evidence.Unverified
	}
	if c.State == evidence.Measured || c.Parity.State.Worse(c.State) {
		return c.Parity.State
	}
	return c.State
}
