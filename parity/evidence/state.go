package evidence

import (
	"fmt"
	"slices"
	"strings"
)

// State says how a run of a session, or the comparison of two, ended.
type State string

// The states. A run that finished is Measured; a comparison then passes, is explained, is unverified or fails. The others say why
// there is nothing to compare.
const (
	Measured    State = "measured"    // ran to its end: outputs, and where it was timed samples, are recorded
	Pass        State = "pass"        // everything expected was compared, and equal within its tolerance
	Explained   State = "explained"   // as Pass, and every discrete difference is accounted for by the candidate's own scores
	Unverified  State = "unverified"  // nothing wrong was found, and an essential output was left out of the comparison
	Fail        State = "fail"        // something else was computed
	Unsupported State = "unsupported" // the backend or the precision cannot be had here; the reason is a code of backends.Reasons
	NotRun      State = "not-run"     // nothing was asked of it; the reason says why
	Errored     State = "error"       // it answered with an error, or with what its graph does not promise
	Crashed     State = "crashed"     // its process ended or panicked
	Hung        State = "hung"        // it did not answer before its deadline
	Cancelled   State = "cancelled"   // interrupted before it ended
)

// States lists every state in the order of reports.
var States = []State{Measured, Pass, Explained, Unverified, Fail, Unsupported, NotRun, Errored, Crashed, Hung, Cancelled}

// Parse returns the state of that name.
func Parse(name string) (State, error) {
	if s := State(name); slices.Contains(States, s) {
		return s, nil
	}
	names := make([]string, len(States))
	for i, s := range States {
		names[i] = string(s)
	}
	return "", fmt.Errorf("unknown state %q (known: %s)", name, strings.Join(names, ", "))
}

// Compared tells whether a comparison was made at all.
func (s State) Compared() bool {
	return s == Pass || s == Explained || s == Unverified || s == Fail
}

// Holds tells whether the comparison covered everything and found nothing wrong: only then the speed of a cell counts.
func (s State) Holds() bool { return s == Pass || s == Explained }

// Broken tells whether a run was begun and ended by a fault: an error, a crash, a hang.
func (s State) Broken() bool { return s == Errored || s == Crashed || s == Hung }

// severity orders states, mildest first: of several, the worst speaks for all.
var severity = []State{Measured, Pass, Explained, NotRun, Unsupported, Unverified, Cancelled, Errored, Hung, Crashed, Fail}

// Worse reports whether s is worse than other. A fault is worse than what is merely not there, and a wrong result is worse than
// everything.
func (s State) Worse(other State) bool {
	return slices.Index(severity, s) > slices.Index(severity, other)
}
