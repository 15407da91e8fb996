package reports

import (
	"fmt"
	"io"
	"strings"

	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// Markdown writes the matrix as GitHub-flavoured Markdown: verdict, circumstances, the matrix at a glance, and the numbers of
// every output of each cell that did not simply pass.
func Markdown(w io.Writer, d *Document) error {
	var s strings.Builder
	d = clean(d)
	m := d.Matrix
	fmt.Fprintf(&s, "# %s: %s\n\n%s, judged by %s.\n\n", escapeMarkdown(d.title()), evidence.Verdict(d.ExitCode()), d.tally(), judgedBy(m))
	for _, f := range circumstances(d) {
		fmt.Fprintf(&s, "- %s: %s\n", f.Key, escapeMarkdown(f.Value))
	}
	g := glanceOf(m)
	markdownGlance(&s, m, g)
	fmt.Fprintf(&s, "\nNumbers are the %s.\n", numbersAre(m))
	if heading := g.heading(m); heading != "" {
		fmt.Fprintf(&s, "\n%s\n\n", heading)
	}
	for _, l := range g.lacks {
		fmt.Fprintf(&s, "- %s %s\n", symbol(evidence.Unsupported), escapeMarkdown(l.String()))
	}
	for i, v := range m.Sets {
		if i == 0 {
			s.WriteString("\nDetections as sets:\n\n")
		}
		fmt.Fprintf(&s, "- %s %s\n", symbol(v.State), escapeMarkdown(v.String()))
	}
	heading, lines := d.qualityLines()
	if heading != "" {
		fmt.Fprintf(&s, "\n%s\n", escapeMarkdown(heading))
	}
	for i, line := range lines {
		if i == 0 {
			s.WriteByte('\n')
		}
		fmt.Fprintf(&s, "- %s\n", escapeMarkdown(line))
	}
	if text := d.Certificate.String(); text != "" {
		fmt.Fprintf(&s, "\n%s\n", escapeMarkdown(text))
	}
	for i := range m.Cells {
		if c := &m.Cells[i]; c.State != evidence.Pass && g.shows(m, i) {
			markdownCell(&s, m, c)
		}
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// markdownGlance is a table with a row per case, and per policy where there are several, and a column per pair; nothing where no pair is shown.
func markdownGlance(s *strings.Builder, m *parity.Matrix, g glance) {
	if len(g.pairs) == 0 {
		return
	}
	several := len(m.Policies) > 1
	head, rule := "\n| case |", "\n|---|"
	if several {
		head, rule = head+" policy |", rule+"---|"
	}
	s.WriteString(head)
	for _, i := range g.pairs {
		fmt.Fprintf(s, " %s<br>vs %s |", m.Pairs[i].Candidate, m.Pairs[i].Reference)
	}
	s.WriteString(rule + strings.Repeat("---|", len(g.pairs)) + "\n")
	for caseAt, name := range m.Cases {
		for policyAt, policy := range m.Policies {
			fmt.Fprintf(s, "| %s |", escapeMarkdown(name))
			if several {
				fmt.Fprintf(s, " %s |", escapeMarkdown(policy))
			}
			for _, i := range g.pairs {
				fmt.Fprintf(s, " %s |", cellText(cell(m, caseAt, policyAt*len(m.Pairs)+i)))
			}
			s.WriteByte('\n')
		}
	}
}

func markdownCell(s *strings.Builder, m *parity.Matrix, c *parity.Cell) {
	fmt.Fprintf(s, "\n## %s %s: %s\n\n", symbol(c.State), escapeMarkdown(m.Key(c)), c.State)
	if c.Report == nil {
		fmt.Fprintln(s, escapeMarkdown(why(c)))
		return
	}
	if text := c.ReplayText(); text != "" {
		fmt.Fprintf(s, "- %s\n", escapeMarkdown(text))
	}
	if b := c.Report.Budget.String(); b != "" {
		fmt.Fprintf(s, "- %s\n", escapeMarkdown(b))
	}
	if u := c.Report.Unverified; u != "" {
		fmt.Fprintf(s, "- %s: %s\n", leftOpen(c), escapeMarkdown(u))
	}
	if left := c.Report.Coverage.String(); left != "" {
		fmt.Fprintf(s, "- %s\n", escapeMarkdown(left))
	}
	for _, p := range c.Report.Problems {
		fmt.Fprintf(s, "- problem: %s\n", escapeMarkdown(p))
	}
	const most = 20
	for i, d := range c.Report.Decisions {
		if i == most {
			fmt.Fprintf(s, "- and %d more decisions\n", len(c.Report.Decisions)-most)
			break
		}
		fmt.Fprintf(s, "- %s\n", escapeMarkdown(d.String()))
	}
	s.WriteString("\n| output | passed | max abs | max rel | max ULP | RMS | of budget | compared | mismatches | would pass with | rule |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, o := range c.Report.Outputs {
		smallest := "equality"
		if o.Smallest != nil {
			smallest = o.Smallest.String()
		}
		fmt.Fprintf(s, "| %s | %t | %.3g | %.3g | %d | %.3g | %s | %d of %d | %d | %s | %s |\n", escapeMarkdown(o.Name), o.Passed, float64(o.MaxAbsErr),
			float64(o.MaxRelErr), o.MaxULPErr, float64(o.RMSErr), derivedText(o.Budget), o.Coverage.Compared, o.Coverage.Expected, o.MismatchCount, smallest, escapeMarkdown(o.Tolerance))
	}
}

// derivedText is the worst error of an output over its budget, "–" where it has none.
func derivedText(b *parity.BudgetReport) string {
	if b == nil {
		return "–"
	}
	return b.Share()
}

// leftOpen names what the free runs did not verify.
func leftOpen(c *parity.Cell) string {
	if c.State.Holds() {
		return "left to replay"
	}
	return "unverified"
}

var markdownSpecial = strings.NewReplacer(`\`, `\\`, `|`, `\|`, `<`, `&lt;`, `*`, `\*`, `_`, `\_`, "`", "\\`", "\n", " ")

// escapeMarkdown keeps names and messages from being read as markup.
func escapeMarkdown(s string) string { return markdownSpecial.Replace(s) }
