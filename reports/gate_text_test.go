package reports

import (
	"bytes"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/reports/internal/synthetic"
)

// written returns what a writer makes of a value.
func written[T any](t *testing.T, write func(io.Writer, T) error, v T) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func tableOf(t *testing.T, r *gate.Record, opt TableOptions) string {
	t.Helper()
	return written(t, func(w io.Writer, r *gate.Record) error { return GateTable(w, r, opt) }, r)
}

func TestGateGolden(t *testing.T) {
	r := synthetic.Gate(1, gate.ParityFailed)
	goldenfile.Check(t, "gate.md", written(t, GateMarkdown, r))
	goldenfile.Check(t, "gate-summary.md", written(t, gateSummary, r))
	goldenfile.Check(t, "gate-table-120.txt", tableOf(t, r, TableOptions{Width: 120}))
	goldenfile.Check(t, "gate-table-70.txt", tableOf(t, r, TableOptions{Width: 70}))
	var all strings.Builder
	for _, o := range synthetic.Outcomes {
		all.WriteString("=== " + string(o) + "\n" + tableOf(t, synthetic.Gate(1, o), TableOptions{Color: true}))
	}
	goldenfile.Check(t, "gate-table-outcomes.txt", strings.ReplaceAll(all.String(), "\x1b", "␛"))
}

// TestGateTextIsInert checks that nothing a record quotes becomes markup, a terminal's control sequence or a command of a runner.
func TestGateTextIsInert(t *testing.T) {
	r := synthetic.HostileGate(1)
	command := regexp.MustCompile(`(?m)^\s*::|##\[`)
	r.Verdict.Reasons = append(r.Verdict.Reasons, "::error::first", "##[error]old", strings.Repeat("x ", 33)+"::error::wrapped")
	for name, text := range map[string]string{"Markdown": written(t, GateMarkdown, r), "summary": written(t, gateSummary, r), "table": tableOf(t, r, TableOptions{Width: 80})} {
		if i := strings.IndexFunc(text, func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f || c == '\u202e' || c == '\uFFFD' }); i >= 0 {
			t.Errorf("%s holds a control character: %q", name, text[max(i-20, 0):min(i+20, len(text))])
		}
		if at := command.FindStringIndex(text); at != nil && name == "table" {
			t.Errorf("%s holds a command: %q", name, text[at[0]:min(at[1]+30, len(text))])
		}
	}
	for name, text := range map[string]string{"Markdown": written(t, GateMarkdown, r), "summary": written(t, gateSummary, r)} {
		for _, markup := range []string{"<script", "<img", "http://", "*bold*", " `code`"} {
			if at := strings.Index(strings.ReplaceAll(text, `\*`, ""), markup); at >= 0 {
				t.Errorf("%s lets %q through: %q", name, markup, text[at:min(at+60, len(text))])
			}
		}
		bars := regexp.MustCompile(`(^|[^\\])\|`)
		for _, line := range strings.Split(text, "\n") {
			if n := len(bars.FindAllString(line, -1)); strings.HasPrefix(line, "| ") && n != 13 && n != 9 {
				t.Errorf("%s: a row of %d bars: %s", name, n, line)
			}
		}
	}
}

func TestGateTableFits(t *testing.T) {
	for _, width := range []int{60, 80, 100, 160} {
		for _, line := range strings.Split(tableOf(t, synthetic.Gate(1, gate.ParityFailed), TableOptions{Width: width}), "\n") {
			if n := widest(line); n > width && !strings.Contains(line, "cells: ") {
				t.Errorf("width %d: %d columns: %s", width, n, line)
			}
		}
	}
}

func TestGateWithoutParts(t *testing.T) {
	for name, r := range map[string]*gate.Record{"nil": nil, "empty": {}, "no estimates": {Verdict: &gate.Verdict{Outcome: gate.Regression, Cells: []gate.Cell{{State: gate.CellRegressed}, {State: "of a later version"}}, Controls: []gate.Control{{Fired: true}}}}} {
		for _, text := range []string{written(t, GateMarkdown, r), tableOf(t, r, TableOptions{}), written(t, GateHTML, r), written(t, gateSummary, r)} {
			if want := "NO VERDICT"; (r == nil || r.Verdict == nil) && !strings.Contains(text, want) {
				t.Errorf("%s does not say %q: %s", name, want, text)
			}
			if strings.Contains(text, "PASS") {
				t.Errorf("%s reads as a pass", name)
			}
		}
	}
}

func TestPerfNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{milliseconds(0), none}, {milliseconds(-1), none}, {milliseconds(math.NaN()), none}, {milliseconds(math.Inf(1)), none}, {milliseconds(0.0123456), "0.0123"}, {milliseconds(23), "23.0"},
		{milliseconds(999.7), "1000"}, {milliseconds(123456), "123456"}, {milliseconds(5e7), "5.00e+07"}, {milliseconds(1e-9), "1.00e-09"},
		{change(1.2236), "+22.4 %"}, {change(0.5), "−50.0 %"}, {change(0.9999), "0.0 %"}, {change(0), none}, {change(math.NaN()), none},
		{changes(nil), none}, {changes(&gate.Estimate{Low: 0.99, High: 1.05}), "−1.0 to +5.0 %"}, {changes(&gate.Estimate{Low: 0.99}), none},
		{probability(9.5367e-7), "9.5e-07"}, {probability(2), none}, {counted(1, "cell"), "1 cell"}, {counted(2, "process"), "2 processes"}, {sizeText(3 << 20), "3.0 MiB"}, {sizeText(12), "12 B"}, {sizeText(-1), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	r := synthetic.HostileGate(1)
	r.Environment.Libraries = nil
	got := clean(*r)
	if got.Verdict == r.Verdict || &got.Verdict.Cells[0] == &r.Verdict.Cells[0] {
		t.Error("the copy shares memory with the record")
	}
	if got.Verdict.Reasons[2] != `a\n::error title=forged::forged` || r.Verdict.Reasons[2] == got.Verdict.Reasons[2] {
		t.Errorf("%q", got.Verdict.Reasons[2])
	}
	if !got.When.Equal(r.When) || got.Environment.Libraries != nil || got.Policy != r.Policy {
		t.Error("the copy lost a value")
	}
	m := clean(map[string]map[string]string{"a\n": {"b\x00": strings.Repeat("x", 5000)}})
	if v := m[`a\n`][`b\x00`]; len(v) != printable.MaxLine {
		t.Errorf("%d characters in %v", len(v), m)
	}
}
