package reports

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/reports/plots"
)

// SummaryLimit is the most bytes that GitHub takes as the summary of one step; it drops a greater one whole.
const SummaryLimit = 1 << 20

// mostAnnotations is how many annotations of a kind GitHub shows of one step.
const mostAnnotations = 10

// WriteGitHub reports a gate to GitHub Actions where it runs there, that is where env gives a GITHUB_STEP_SUMMARY: it appends
// the summary to that file, as far as the step's limit leaves room, and writes annotations of the ten worst cells to stdout.
// Elsewhere it does nothing.
func WriteGitHub(env func(string) string, stdout io.Writer, r *gate.Record) error {
	path := env("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	r = gateRecord(r)
	if err := annotate(stdout, r.Verdict); err != nil {
		return fmt.Errorf("write annotations: %w", err)
	}
	if err := appendSummary(path, r); err != nil {
		return fmt.Errorf("append to the job summary (GITHUB_STEP_SUMMARY): %w", err)
	}
	return nil
}

// appendSummary adds to a file that earlier commands of the step may have begun.
func appendSummary(path string, r *gate.Record) (err error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	text := ""
	if info.Size() > 0 {
		text = "\n\n" // a heading begins a paragraph
	}
	text += summary(r, SummaryLimit-int(min(info.Size(), SummaryLimit))-len(text))
	if strings.TrimSpace(text) == "" {
		return nil
	}
	_, err = file.WriteString(text)
	return err
}

// summary returns as many of the parts, in the order of their weight, as fit the limit, each of them whole. It is empty where
// not even the verdict fits.
func summary(r *gate.Record, limit int) string {
	var bad, clear []gate.Cell
	for _, c := range r.Verdict.Worst() {
		if c.State == gate.CellClear {
			clear = append(clear, c)
		} else {
			bad = append(bad, c)
		}
	}
	var verdict, controls, rest strings.Builder
	markdownVerdict(&verdict, r)
	markdownControls(&controls, r.Verdict)
	markdownList(&rest, "### Warnings", r.Verdict.Warnings)
	markdownFacts(&rest, "### Builds", facts("judged again", judgedAgain(r), "base", buildFact(r.Base), "head", buildFact(r.Head), "command", r.Command))
	markdownFacts(&rest, "### Environment", environmentFacts(r.Environment, r.Class))
	markdownFacts(&rest, "### Policy", policyFacts(r.Policy))
	s := ""
	if n := verdict.Len(); n <= limit {
		s = verdict.String()
	} else if head, _, _ := strings.Cut(verdict.String(), "\n\n- "); len(head)+1 <= limit {
		s = head + "\n"
	} else {
		return ""
	}
	s += fittingCells("\n### Cells that are not clear\n", bad, "", limit-len(s))
	s += fittingCells(fmt.Sprintf("\n<details><summary>%s clear</summary>\n", counted(len(clear), "cell")), clear, "\n</details>\n", limit-len(s))
	s += folded("Controls", controls.String(), limit-len(s))
	return s + folded("Warnings, builds, environment, policy", rest.String(), limit-len(s))
}

// fittingCells returns a table with as many rows as fit and a last line that counts the others, or nothing.
func fittingCells(head string, cells []gate.Cell, tail string, limit int) string {
	const more = "\nand %d more; the report has them all.\n"
	s := head + markdownCellHead
	room := limit - len(s) - len(tail) - len(more) - 20
	if len(cells) == 0 || room <= 0 {
		return ""
	}
	shown := 0
	for _, c := range cells {
		row := markdownCellRow(c)
		if len(row) > room {
			break
		}
		s, room, shown = s+row, room-len(row), shown+1
	}
	if n := len(cells) - shown; n > 0 {
		s += fmt.Sprintf(more, n)
	}
	return s + tail
}

// folded puts text under a heading that opens it, or returns nothing where that does not fit.
func folded(title, text string, limit int) string {
	s := fmt.Sprintf("\n<details><summary>%s</summary>\n%s\n</details>\n", title, text)
	if text == "" || len(s) > limit {
		return ""
	}
	return s
}

// annotate writes the worst cells as workflow commands, then how many more there are, and the verdict itself where no cell says
// what is wrong.
func annotate(w io.Writer, v *gate.Verdict) error {
	var s strings.Builder
	shown, more, errors := 0, 0, 0
	for _, c := range v.Worst() {
		level := annotationLevel(c.State)
		switch {
		case level == "":
		case shown == mostAnnotations:
			more++
		default:
			shown++
			if level == "error" {
				errors++
			}
			t := textOf(c.Final())
			message := fmt.Sprintf("%s: %s", c.Name, cmp.Or(c.Note, fmt.Sprintf("%s (%s, p %s)", t.Change, t.Interval, t.P)))
			command(&s, level, "apexx gate: "+string(c.State), message)
		}
	}
	if more > 0 {
		command(&s, "notice", "apexx gate", fmt.Sprintf("and %d more", more))
	}
	if v.Outcome != gate.Pass && errors == 0 {
		level := "error"
		if v.Outcome == gate.Inconclusive {
			level = "warning" // nothing is known to be wrong
		}
		command(&s, level, "apexx gate: "+string(v.Outcome), cmp.Or(strings.Join(v.Reasons, "; "), outcomeWord(v.Outcome)))
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// annotationLevel is "" for a cell that needs no attention.
func annotationLevel(s gate.CellState) string {
	switch s {
	case gate.CellClear, gate.CellCleared, gate.CellFaster, gate.CellUnsupported:
		return ""
	case gate.CellUnverified, gate.CellNoisy, gate.CellUnconfirmed:
		return "warning"
	}
	return "error"
}

var (
	commandData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// command writes one workflow command, escaped as the toolkit of GitHub Actions does.
func command(s *strings.Builder, level, title, message string) {
	fmt.Fprintf(s, "::%s title=%s::%s\n", level, commandProperty.Replace(plots.Shorten(title, 200)), commandData.Replace(message))
}
