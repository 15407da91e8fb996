package attest

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/apex-x/apexx/internal/printable"
)

// WriteMarkdown writes the document for people, with the checklist of spec/perf.md 14.4: what is checked was shown by evidence, and
// nobody can check anything by hand.
func (d *Document) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("# Apex-X Release Evidence\n\n## Metadata\n\n")
	for _, f := range d.facts() {
		p("- %s: %s\n", f[0], code(f[1]))
	}
	p("\n## Artifact Evidence\n\n| Artifact | Path | Producer | Required | Exists | SHA256 | Status | Finding |\n|---|---|---|---|---|---|---|---|\n")
	for _, a := range d.Artifacts {
		p("| %s | %s | %s | %s | %s | %s | %s | %s |\n", a.Label, orDash(a.Path), code(a.Producer), yes(a.Required), yes(a.Exists), orDash(a.SHA256), a.Status, cellText(a.Finding))
	}
	p("\n## Gate Evidence\n\n| Gate | Evidence | Required | Status | Finding |\n|---|---|---|---|---|\n")
	for _, g := range d.Gates {
		p("| %s | %s | %s | %s | %s |\n", g.Label, code(g.Evidence), yes(g.Required), g.Status, cellText(g.Finding))
	}
	p("\n## Released files\n\n| File | Bytes | SHA256 |\n|---|---|---|\n")
	for _, s := range d.Subjects {
		p("| %s | %d | %s |\n", code(s.Name), s.Size, code(s.SHA256))
	}
	d.checklist(p)
	s := d.Summary
	p("\n## Summary\n\n- overall status: **%s** (statement: %s)\n- required artifacts passed: %d/%d (failed: %d)\n- gates passed: %d/%d (failed: %d, pending: %d)\n",
		s.Overall, s.Result, s.RequiredPassed, s.RequiredTotal, s.RequiredFailed, s.GatesPassed, s.GatesTotal, s.GatesFailed, s.GatesPending)
	p("\nWritten by `apexx attest create`. The signed statement names this file; `apexx attest verify` judges the evidence again.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (d *Document) facts() [][2]string {
	facts := [][2]string{{"release", d.Release.Tag}, {"commit", d.Release.Commit}}
	if d.Release.CommitTime != nil {
		facts = append(facts, [2]string{"committed", *d.Release.CommitTime})
	}
	facts = append(facts, [2]string{"attested", d.GeneratedAt.Format(time.RFC3339)}, [2]string{"owner", d.Release.Owner},
		[2]string{"runtime target", d.Release.RuntimeTarget},
		[2]string{"policy", fmt.Sprintf("%s, sha256 %.12s, until %s", d.Policy.Name, d.Policy.SHA256, d.Policy.Expires.Format(time.DateOnly))})
	if d.Release.RunURL != nil {
		facts = append(facts, [2]string{"CI run", *d.Release.RunURL})
	}
	return facts
}

// checklist lists everything that the release is blocked by until it is shown.
func (d *Document) checklist(p func(string, ...any)) {
	p("\n## Checklist\n\n")
	for _, a := range d.Artifacts {
		if a.Required {
			p("- [%s] %s: %s\n", tick(a.Status), a.Label, a.Status)
		}
	}
	for _, g := range append(append([]GateStatus{}, d.Gates...), d.SignOffs...) {
		if g.Required || g.Status != NA {
			p("- [%s] %s: %s\n", tick(g.Status), g.Label, g.Status)
		}
	}
	p("\nRoll back to:\n\n")
	if len(d.RollBack.Bases) == 0 {
		p("- nothing: no gate compared this release with an earlier build\n")
	}
	for _, b := range d.RollBack.Bases {
		p("- %s, commit %s, which %s measured beside this release\n", code(b.Version), code(b.Commit), code(b.Gate))
	}
	p("\nwhen parity fails by `apexx matrix`, a gate finds a regression, or workers crash. Then publish that release again, run `apexx matrix` and\n"+
		"`apexx replay verify` on it, and write down what happened.\n\nDecision: **%s**\n", d.Summary.Decision)
}

func tick(s Status) string {
	if s == Pass {
		return "x"
	}
	return " "
}

func yes(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}

func orDash(s *string) string {
	if s == nil {
		return "-"
	}
	return code(*s)
}

// code sets text from outside in backticks, which it cannot leave.
func code(s string) string {
	s = printable.Line(s)
	return "`" + strings.NewReplacer("`", "'", "|", "¦").Replace(s) + "`"
}

// cellText makes text from outside fit for a cell of a table.
func cellText(s string) string {
	s = printable.Line(s)
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "`", "'", "[", `\[`).Replace(s)
}
