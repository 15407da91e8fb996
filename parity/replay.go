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
func (r *caseRun) replay(ctx context.Context, cell *Cell, policy Policy, budgets *Budgets) {
	if r.spec.Replayer == nil || cell.Report == nil || cell.State == evidence.Fail || !cell.Report.Diverged() {
		return
	}
	ref := r.side(cell.Pair.Reference)
	if ref.Decisions == nil { // of stored expectations nobody knows all decisions
		return
	}
	e, known := r.replays[cell.Pair]
	if !known {
		col := cell.Pair.Candidate
		e = r.safely(ctx, func() evidence.Run {
			return r.spec.Replayer.Replay(ctx, r.of, col.Backend, col.Precision, ref.Decisions)
		})
		r.replays[cell.Pair] = e
	}
	switch {
	case e.State == evidence.Measured:
		cell.Replay = r.compare(cell.Pair, ref.Outputs, e.Outputs, Options{Policy: policy, Replayed: true, Budgets: budgets})
		cell.State, cell.Detail = cell.Report.Settle(cell.Replay)
	case e.State == evidence.Unsupported:
		cell.Detail += fmt.Sprintf("; not replayed: %s: %s", e.Reason, e.Detail)
	default:
		cell.Outcome = e.Outcome
		cell.Detail = "under the reference's decisions: " + e.Detail
	}
}

// Diverged tells whether nothing wrong was found, the candidate decided otherwise, and a comparison of what followed is worth a run under
// the reference's decisions. Edges of boxes round under any decisions.
func (r *Report) Diverged() bool {
	return (r.State == evidence.Explained || r.State == evidence.Unverified) &&
		slices.ContainsFunc(r.Decisions, func(d Decision) bool { return d.Kind != EdgeRounding })
}

// Settle concludes from the comparison of a free run, which diverged, and that of a run under the reference's decisions: the state, and why.
// Replay verifies what was left out because other things were computed; it does not prove why they were.
func (r *Report) Settle(replay *Report) (evidence.State, string) {
	unproven := slices.ContainsFunc(r.Decisions, func(d Decision) bool { return d.Verdict == Unproven })
	switch {
	case !replay.State.Holds():
		return replay.State, replay.replayText()
	case !unproven:
		return evidence.Explained, replay.replayText() + "; " + r.Summary()
	}
	return r.State, r.Summary()
}

// ReplayText says what replay has verified, or why it has not; "" where the candidate did not run again.
func (c *Cell) ReplayText() string {
	if c.Replay == nil {
		return ""
	}
	return c.Replay.replayText()
}

// replayText is ReplayText of the report of a replay.
func (r *Report) replayText() string {
	if !r.State.Holds() {
		return "under the reference's decisions: " + r.Summary()
	}
	return fmt.Sprintf("verified by replay: under the reference's decisions %d of %d elements were compared, largest absolute error %.2g",
		r.Coverage.Compared, r.Coverage.Expected, float64(r.MaxAbsErr))
}
