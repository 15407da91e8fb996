package reports

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/reports/internal/synthetic"
)

// onGitHub writes to a job summary and returns the annotations.
func onGitHub(t *testing.T, path string, r *gate.Record) string {
	t.Helper()
	var out bytes.Buffer
	env := func(name string) string { return map[string]string{"GITHUB_STEP_SUMMARY": path}[name] }
	if err := WriteGitHub(env, &out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWriteGitHub(t *testing.T) {
	path := filepath.Join(t.TempDir(), "summary.md")
	r := synthetic.Gate(1, gate.ParityFailed)
	var all strings.Builder
	for _, o := range synthetic.Outcomes {
		all.WriteString("=== " + string(o) + "\n" + onGitHub(t, path, synthetic.Gate(1, o)))
	}
	goldenfile.Check(t, "annotations.txt", all.String())
	os.Remove(path)
	onGitHub(t, path, r)
	once := read(t, path)
	if once != written(t, gateSummary, r) {
		t.Error("the summary in the file is not the whole one")
	}
	onGitHub(t, path, r)
	if twice := read(t, path); twice != once+"\n\n"+once {
		t.Errorf("the second summary was not appended: %d bytes after %d", len(twice), len(once))
	}
}

func TestWriteGitHubElsewhere(t *testing.T) {
	var out bytes.Buffer
	if err := WriteGitHub(func(string) string { return "" }, &out, synthetic.Gate(1, gate.ParityFailed)); err != nil || out.Len() > 0 {
		t.Errorf("%v, %q", err, out.String())
	}
	env := func(string) string { return filepath.Join(t.TempDir(), "missing", "summary.md") }
	if err := WriteGitHub(env, &out, nil); err == nil || !strings.Contains(err.Error(), "GITHUB_STEP_SUMMARY") {
		t.Errorf("a summary that cannot be opened: %v", err)
	}
}

// TestSummaryLimit checks that no summary exceeds what GitHub takes, however much is there already, and that what fits is whole.
func TestSummaryLimit(t *testing.T) {
	r := synthetic.HostileGate(1)
	for i := range 4000 {
		c := r.Verdict.Cells[i%40]
		c.Note = strings.Repeat("a long note ", 40)
		r.Verdict.Cells = append(r.Verdict.Cells, c)
	}
	text := written(t, gateSummary, r)
	if len(text) > SummaryLimit || len(text) < SummaryLimit/2 || !strings.Contains(text, "more; the report has them all.") {
		t.Errorf("%d bytes", len(text))
	}
	if strings.Count(text, "<details>") != strings.Count(text, "</details>") {
		t.Error("a part is not closed")
	}
	path := filepath.Join(t.TempDir(), "summary.md")
	for _, size := range []int{SummaryLimit + 5, SummaryLimit, SummaryLimit - 1, SummaryLimit - 100, SummaryLimit - 2000, SummaryLimit / 2} {
		if err := os.WriteFile(path, bytes.Repeat([]byte("x"), size), 0o644); err != nil {
			t.Fatal(err)
		}
		onGitHub(t, path, r)
		got := read(t, path)
		if len(got) > max(SummaryLimit, size) || !strings.HasPrefix(got, strings.Repeat("x", size)) {
			t.Errorf("%d bytes became %d", size, len(got))
		}
		if size == SummaryLimit/2 && !strings.Contains(got, "PARITY FAILED") {
			t.Error("nothing was appended where there was room")
		}
	}
}

func TestAnnotationsOfManyCells(t *testing.T) {
	r := synthetic.Gate(1, gate.ParityFailed)
	for i := range 25 {
		r.Verdict.Cells = append(r.Verdict.Cells, gate.Cell{Name: fmt.Sprintf("cell %d", i), State: gate.CellRegressed})
	}
	lines := strings.Split(strings.TrimSpace(onGitHub(t, filepath.Join(t.TempDir(), "s"), r)), "\n")
	if len(lines) != 11 || lines[10] != "::notice title=apexx gate::and 23 more" || !strings.HasPrefix(lines[0], "::error title=apexx gate%3A parity::reference/nano") {
		t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}

func TestCommandEscapes(t *testing.T) {
	var s strings.Builder
	command(&s, "error", "a:b,c\n%", "100 %\r\n::warning::x: y, z")
	if want := "::error title=a%3Ab%2Cc%0A%25::100 %25%0D%0A::warning::x: y, z\n"; s.String() != want {
		t.Errorf("got  %q\nwant %q", s.String(), want)
	}
	for _, line := range strings.Split(strings.TrimSpace(onGitHub(t, filepath.Join(t.TempDir(), "s"), synthetic.HostileGate(1))), "\n") {
		if !strings.HasPrefix(line, "::error title=apexx gate%3A ") && !strings.HasPrefix(line, "::warning title=apexx gate%3A ") {
			t.Errorf("a forged line: %q", line)
		}
	}
}

// gateSummary writes the summary of a step that has no other.
func gateSummary(w io.Writer, r *gate.Record) error {
	_, err := io.WriteString(w, summary(gateRecord(r), SummaryLimit))
	return err
}
