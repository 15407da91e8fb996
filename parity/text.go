package parity

import (
	"fmt"
	"strings"
)

// Summary says in one line why a comparison did not simply pass: the first problem, bug or failing output, else what was left
// unverified, else how many differences were explained. It is "" for a pass.
func (r *Report) Summary() string {
	if len(r.Problems) > 0 {
		return r.Problems[0]
	}
	for _, d := range r.Decisions {
		if d.Verdict == Bug {
			return d.String()
		}
	}
	for i := range r.Outputs {
		if f := r.Outputs[i].failure(); f != "" {
			return r.Outputs[i].Name + ": " + f
		}
	}
	return r.differences()
}

// differences sums up what was decided otherwise and what was left out by a comparison that found nothing wrong.
func (r *Report) differences() string {
	var parts []string
	if r.Unverified != "" {
		parts = append(parts, r.Unverified)
	}
	if n := len(r.Decisions); n > 0 {
		text := r.Decisions[0].String()
		if n > 1 {
			text += fmt.Sprintf(" (and %d more)", n-1)
		}
		if text != r.Unverified {
			parts = append(parts, text)
		}
	}
	if len(r.Coverage.LeftOut) > 0 {
		parts = append(parts, r.Coverage.String())
	}
	return strings.Join(parts, "; ")
}
