package reports

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/reports/plots"
)

// GateMarkdown writes a gate's record as GitHub-flavoured Markdown: verdict and reasons, attribution, every cell with the worst
// first, controls, warnings, environment and policy. A nil record reads as one without a verdict.
func GateMarkdown(w io.Writer, r *gate.Record) error {
	r = gateRecord(r)
	var s strings.Builder
	markdownVerdict(&s, r)
	markdownCells(&s, "## Cells", r.Verdict.Worst())
	markdownControls(&s, r.Verdict)
	markdownList(&s, "## Warnings", r.Verdict.Warnings)
	markdownFacts(&s, "## Builds", facts("judged again", judgedAgain(r), "base", buildFact(r.Base), "head", buildFact(r.Head), "command", r.Command, "started", moment(r.When), "apexx", r.Version))
	markdownFacts(&s, "## Environment", environmentFacts(r.Environment, r.Class))
	markdownFacts(&s, "## Policy", append(policyFacts(r.Policy), qualityFacts(r.Quality)...))
	_, err := io.WriteString(w, s.String())
	return err
}

func markdownVerdict(s *strings.Builder, r *gate.Record) {
	v := r.Verdict
	fmt.Fprintf(s, "# Gate: %s\n\n%s, %s.\n", markdownText(outcomeWord(v.Outcome)), markdownText(gateTitle(r)), markdownText(gateTally(v)))
	for i, reason := range v.Reasons {
		if i == 0 {
			s.WriteString("\n")
		}
		fmt.Fprintf(s, "- %s\n", markdownText(reason))
	}
	if v.Attribution != "" {
		fmt.Fprintf(s, "\n%s\n", markdownText(v.Attribution))
	}
	if text := power(v); text != "" {
		fmt.Fprintf(s, "\nFrom the noise seen, %s.\n", text)
	}
	if r.Accepted != "" {
		fmt.Fprintf(s, "\n**The head may compute something else than the base:** %s\n", markdownText(r.Accepted))
	}
}

const markdownCellHead = "\n| | cell | state | change | interval | p | base ms | head ms | blocks | missable | parity | against base |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|---|---|\n"

func markdownCells(s *strings.Builder, title string, cells []gate.Cell) {
	if len(cells) == 0 {
		return
	}
	s.WriteString("\n" + title + "\n" + markdownCellHead)
	for _, c := range cells {
		s.WriteString(markdownCellRow(c))
	}
}

// markdownCellRow is one line of the table, with the note below the name.
func markdownCellRow(c gate.Cell) string {
	t := textOf(c.Final())
	name := markdownName(c.Name)
	if c.Note != "" {
		name += "<br>" + markdownText(plots.Shorten(c.Note, 300))
	}
	for _, line := range otherSeries(c) {
		name += "<br>" + markdownText(line)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", cellSymbol(c.State), name, markdownText(string(c.State)), t.Change, t.Interval, t.P, t.Base, t.Head, t.Blocks,
		missed(c), markdownText(parityText(c.Parity)), markdownText(changeText(c)))
}

func markdownControls(s *strings.Builder, v *gate.Verdict) {
	if len(v.Controls) == 0 {
		return
	}
	s.WriteString("\n## Controls\n\n| control | fired | change | interval | p | base ms | again ms | blocks |\n|---|---|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range v.Controls {
		t := textOf(c.Estimate)
		fmt.Fprintf(s, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", markdownName(c.Name), firedText(c.Fired), t.Change, t.Interval, t.P, t.Base, t.Head, t.Blocks)
	}
}

func firedText(fired bool) string {
	if fired {
		return "✗ fired"
	}
	return "✓ quiet"
}

func markdownList(s *strings.Builder, title string, lines []string) {
	for i, line := range lines {
		if i == 0 {
			s.WriteString("\n" + title + "\n\n")
		}
		fmt.Fprintf(s, "- %s\n", markdownText(line))
	}
}

func markdownFacts(s *strings.Builder, title string, list []backends.Fact) {
	for i, f := range list {
		if i == 0 {
			s.WriteString("\n" + title + "\n\n")
		}
		fmt.Fprintf(s, "- %s: %s\n", markdownText(f.Key), markdownText(f.Value))
	}
}

// markdownPlain escapes what GitHub-flavoured Markdown or the HTML inside it would take for markup. Links and pictures need
// their bracket, and bare addresses their colon.
var markdownPlain = strings.NewReplacer(`\`, `\\`, `|`, `\|`, `<`, `&lt;`, `>`, `&gt;`, `&`, `&amp;`, `*`, `\*`, `_`, `\_`, "`", "\\`", `[`, `\[`, `]`, `\]`, `~`, `\~`, `$`, `\$`, `#`, `\#`,
	`://`, `&#58;//`, `@`, `@<!-- -->`, "\n", " ")

// markdownText keeps text from being read as markup, as a link or as a mention of someone.
func markdownText(s string) string { return markdownPlain.Replace(s) }

var plainName = regexp.MustCompile(`^[A-Za-z0-9 ._/:+×-]+$`)

// markdownName sets a name as code.
func markdownName(s string) string {
	s = plots.Shorten(s, 160)
	if plainName.MatchString(s) {
		return "`" + s + "`"
	}
	return "<code>" + markdownText(s) + "</code>"
}
