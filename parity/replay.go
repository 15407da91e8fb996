package parity

import (
	"context"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/parity/evidence"
)

// replay runs the candidate of a cell again under the reference's decisions, where it decided otherwise and nothing is wrong with
// that, and lets the comparison of everything that follows settle the cell: it fails, is explained, or stays unverified. What the
// candidate decided for itself has been judged before, by the free runs.
func (r *run) replay(ctx context.Context, at int, cell *Cell) {
	if r.spec.Replayer == nil || !cell.diverged() {
		return
	}
	ref := r.side(at, cell.Pair.Reference)
	if ref.Decisions == nil { // of stored expectations nobody knows all decisions
		return
	}
	c, col := &r.spec.Cases[at], cell.Pair.Candidate
	e := safely(ctx, func() evidence.Run { return r.spec.Replayer.Replay(ctx, c, col.Backend, col.Precision, ref.Decisions) })
	switch {
	case e.State == evidence.Measured:
		cell.Replay = r.compare(c, cell.Pair, ref.Outputs, e.Outputs, true)
		cell.settle()
	case e.State == evidence.Unsupported:
		cell.Detail += fmt.Sprintf("; not replayed: %s: %s", e.Reason, e.Detail)
	default:
		cell.Outcome = e.Outcome
		cell.Detail = "under the reference's decisions: " + e.Detail
	}
}

// diverged tells whether the candidate decided otherwise, and a comparison of what followed is worth a run. Edges of boxes round
// under any decisions.
func (c *Cell) diverged() bool {
	return (c.State == evidence.Explained || c.State == evidence.Unverified) &&
		slices.ContainsFunc(c.Report.Decisions, func(d Decision) bool { return d.Kind != EdgeRounding })
}

// settle concludes from both comparisons. Replay verifies what was left out because other things were computed; it does not prove
// why they were.
func (c *Cell) settle() {
	unproven := slices.ContainsFunc(c.Report.Decisions, func(d Decision) bool { return d.Verdict == Unproven })
	switch {
	case !c.Replay.State.Holds():
		c.State, c.Detail = c.Replay.State, c.ReplayText()
	case !unproven:
		c.State, c.Detail = evidence.Explained, c.ReplayText()+"; "+c.Detail
	}
}

// ReplayText says what replay has verified, or why it has not; "" where the candidate did not run again.
func (c *Cell) ReplayText() string {
	switch {
	case c.Replay == nil:
		return ""
	case !c.Replay.State.Holds():
		return "under the reference's decisions: " + c.Replay.Summary()
	}
	return fmt.Sprintf("verified by replay: under the reference's decisions %d of %d elements were compared, largest absolute error %.2g",
		c.Replay.Coverage.Compared, c.Replay.Coverage.Expected, float64(c.Replay.MaxAbsErr))
}
