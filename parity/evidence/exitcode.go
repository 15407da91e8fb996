package evidence

import "github.com/apex-x/apexx/internal/exit"

// ExitCode is the one rule from the states of all cells of a command to its exit code: 130 where one was interrupted, else 1 with a
// failing cell, else 6 with one that crashed, hung or ended in an error, else 3 with an unverified one, else 5 where something that
// was named (a backend, a precision, a case) has no cell that could be compared, or there is no such cell at all, else 0.
func ExitCode(cells []State, missing bool) int {
	has := func(is func(State) bool) bool {
		for _, s := range cells {
			if is(s) {
				return true
			}
		}
		return false
	}
	switch {
	case has(func(s State) bool { return s == Cancelled }):
		return exit.Interrupted
	case has(func(s State) bool { return s == Fail }):
		return exit.Failed
	case has(State.Broken):
		return exit.Internal
	case has(func(s State) bool { return s == Unverified }):
		return exit.Inconclusive
	case missing || !has(State.Holds):
		return exit.Unavailable
	}
	return exit.OK
}

// Verdict is the word for an exit code of ExitCode, as it is printed and stored. PASS belongs to 0 alone.
func Verdict(code int) string {
	switch code {
	case exit.OK:
		return "PASS"
	case exit.Failed:
		return "FAIL"
	case exit.Inconclusive:
		return "UNVERIFIED"
	case exit.Unavailable:
		return "UNAVAILABLE"
	case exit.Interrupted:
		return "INCOMPLETE"
	}
	return "BROKEN"
}
