package parity

import (
	"fmt"
	"io"
	"strings"
)

// Text renders a report: one line for the case, one per tensor (spec/runtime.md 6.8), one per problem and decision.
func Text(w io.Writer, r *Report) error {
	var s strings.Builder
	fmt.Fprintf(&s, "case=%s ref=%s cand=%s pass=%t mismatch=%d/%d ratio=%.6f state=%s\n", r.CaseName, r.ReferenceBackend,
		r.CandidateBackend, r.Passed, r.MismatchCount, r.TotalCount, float64(r.MismatchRatio), r.State)
	for i := range r.Outputs {
		writeTensor(&s, &r.Outputs[i])
	}
	if r.Unverified != "" {
		fmt.Fprintf(&s, "  unverified: %s\n", r.Unverified)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&s, "  problem: %s\n", p)
	}
	for _, d := range r.Decisions {
		fmt.Fprintf(&s, "  decision: %s\n", d)
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func writeTensor(s *strings.Builder, t *TensorReport) {
	fmt.Fprintf(s, "  %s ref=%s cand=%s shape=%v pass=%t mismatch=%d/%d max_abs=%.6e mean_abs=%.6e max_rel=%.6e mean_rel=%.6e max_ulp=%d atol=%.3e rtol=%.3e",
		t.Name, t.ReferenceDType, t.CandidateDType, t.Shape, t.Passed, t.MismatchCount, t.TotalCount, float64(t.MaxAbsErr),
		float64(t.MeanAbsErr), float64(t.MaxRelErr), float64(t.MeanRelErr), t.MaxULPErr, float64(t.Atol), float64(t.Rtol))
	if t.Smallest != nil {
		fmt.Fprintf(s, " would_pass=%q", t.Smallest.String())
	}
	if t.Worst != nil {
		fmt.Fprintf(s, " worst=%v (%g against %g)", t.Worst.Index, float64(t.Worst.Candidate), float64(t.Worst.Reference))
	}
	if t.Note != "" {
		fmt.Fprintf(s, " (%s)", t.Note)
	}
	if c := t.Coverage.String(); c != "" {
		fmt.Fprintf(s, " (%s)", c)
	}
	s.WriteByte('\n')
	if f := t.failure(); f != "" {
		fmt.Fprintf(s, "    %s\n", f)
	}
}

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
