package reports

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/parity"
)

// stored is a document of the test's matrix, with a cell in most states, as JSON.
func stored(t *testing.T) (*Document, []byte) {
	t.Helper()
	d := sample(t)
	d.Matrix.Sets = nil // which no pair of this matrix would have
	for i := range d.Matrix.Cells {
		d.Matrix.Cells[i].Sets = nil
	}
	d.When = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	d.Build, d.Model = Build{Revision: "0123456789abcdef0123456789abcdef01234567"}, &ModelDigests{strings.Repeat("a", 64), strings.Repeat("b", 64)}
	var b bytes.Buffer
	if err := JSON(&b, d); err != nil {
		t.Fatal(err)
	}
	return d, b.Bytes()
}

// What is read is what was written, to the byte.
func TestReadMatrix(t *testing.T) {
	_, text := stored(t)
	d, err := ReadMatrix(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := JSON(&again, d); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Bytes(), text) {
		t.Errorf("read and written again:\n%s\nwant:\n%s", again.Bytes(), text)
	}
}

// What is written of a record is what was written of the matrix, but for its pictures and what says that it is a record.
func TestRecordIsWrittenAsTheMatrixWas(t *testing.T) {
	live, text := stored(t)
	record, err := ReadMatrix(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	live.Images = nil
	record.Again = "v0.2.0"
	const fact = "from its record, by apexx v0.2.0: nothing was executed or compared for it, and a record has no pictures"
	for name, form := range map[string]struct {
		write func(io.Writer, *Document) error
		again string // what is there of a record alone
	}{
		"HTML":     {HTML, "\n    <div><dt>judged again</dt><dd>" + fact + "</dd></div>"},
		"Markdown": {Markdown, "- judged again: " + fact + "\n"},
		"JUnit":    {MatrixJUnit, "\n      <property name=\"judged again\" value=\"" + fact + "\"></property>"},
		"table":    {func(w io.Writer, d *Document) error { return Table(w, d, TableOptions{Width: 200}) }, ""},
		"page":     {func(w io.Writer, d *Document) error { return cellHTML(w, d, 1, 1) }, "\n    <div><dt>judged again</dt><dd>" + fact + "</dd></div>"},
		"CSV":      {MatrixCSV, ""},
		"JSONL":    {MatrixJSONL, ""},
		"JSON":     {JSON, ""},
	} {
		var was, is bytes.Buffer
		if err := errors.Join(form.write(&was, live), form.write(&is, record)); err != nil {
			t.Fatal(err)
		}
		got := strings.Replace(is.String(), "where it was made, with the model and cases of its command: ", "", 1)
		if form.again != "" && !strings.Contains(got, form.again) {
			t.Errorf("%s does not say that it is of a record", name)
		}
		got = strings.Replace(got, form.again, "", 1)
		for i, want := range strings.Split(was.String(), "\n") {
			if lines := strings.Split(got, "\n"); i >= len(lines) || lines[i] != want {
				t.Errorf("%s, line %d is %q, want %q", name, i+1, lines[min(i, len(lines)-1)], want)
				break
			}
		}
	}
	if got, want := record.RecordLine(), "record: made 2026-11-28 12:00:00 UTC; judged again "+fact; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	record.When = time.Time{}
	if got, want := record.RecordLine(), "record: made at a time that the record does not tell; judged again "+fact; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// Detections that were counted as sets, here none, are read too, and have to be those of the pairs of a low precision.
func TestReadMatrixSets(t *testing.T) {
	m, err := parity.Run(context.Background(), parity.MatrixSpec{Name: "x", Cases: []parity.Case{{Name: "plain"}}, Runner: runner{},
		Columns: []parity.Column{{Backend: "reference", Precision: backends.FP64}, {Backend: "reference", Precision: backends.FP16}}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := JSON(&b, &Document{Matrix: m}); err != nil {
		t.Fatal(err)
	}
	if d, err := ReadMatrix(bytes.NewReader(b.Bytes())); err != nil || len(d.Matrix.Sets) != 1 || d.Matrix.Cells[0].Sets == nil {
		t.Errorf("%v", err)
	}
	for old, c := range map[string]struct{ new, want string }{
		`"state": "unverified"`: {`"state": "pass"`, "the verdicts on detections as sets are not those of its cells"},
		`"pairs": 0`:            {`"pairs": 7`, ""},
		`"least_f1": 0.99`:      {`"least_f1": 0.9`, "the verdicts on detections as sets are not those of its cells"},
	} {
		at := bytes.Index(b.Bytes(), []byte(`"sets"`))
		changed := append(bytes.Clone(b.Bytes()[:at]), bytes.Replace(b.Bytes()[at:], []byte(old), []byte(c.new), 1)...)
		if bytes.Equal(changed, b.Bytes()) {
			t.Errorf("the file has no %q", old)
		} else if _, err := ReadMatrix(bytes.NewReader(changed)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", old, err, c.want)
		}
	}
}

// Every edit that would let a matrix look better than its numbers is refused.
func TestReadMatrixRefuses(t *testing.T) {
	_, text := stored(t)
	for name, tt := range map[string]struct{ old, new, want string }{
		"another schema":         {SchemaID, "apexx.matrix/1", "the schema is"},
		"a verdict":              {`"verdict": "FAIL"`, `"verdict": "PASS"`, "the stored verdict PASS"},
		"an exit code":           {`"exit_code": 1`, `"exit_code": 0`, "(exit code 0) is not that of its cells"},
		"passed":                 {`"passed": false`, `"passed": true`, ""},
		"the state of a cell":    {`"state": "fail"`, `"state": "pass"`, ""},
		"a state of no kind":     {`"state": "crashed"`, `"state": "passed"`, `unknown state "passed"`},
		"another policy":         {`"profile_name": "balanced e2e"`, `"profile_name": "lenient"`, "whose tolerances this program does not know"},
		"a report of none":       {`"report": 0`, `"report": 1`, "refers to report 1"},
		"a count":                {`"case_count": `, `"case_count": 1`, "its counts are not"},
		"a column of no form":    {"\"columns\": [\n  \"reference/fp64\"", "\"columns\": [\n  \"reference\"", "want BACKEND/PRECISION"},
		"something behind it":    {"", "", "something follows"},
		"the text of a decision": {`tied within rounding"`, `of no importance"`, "is told as"},
	} {
		changed := bytes.Replace(text, []byte(tt.old), []byte(tt.new), 1)
		if tt.old == "" {
			changed = append(changed, "{}"...)
		}
		if bytes.Equal(changed, text) {
			t.Errorf("%s: the file has no %q", name, tt.old)
			continue
		}
		if _, err := ReadMatrix(bytes.NewReader(changed)); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// FuzzReadMatrix: whatever a file holds, it is refused in a line, or is written again as it was read.
func FuzzReadMatrix(f *testing.F) {
	m, err := parity.Run(context.Background(), parity.MatrixSpec{Name: "x", Cases: []parity.Case{{Name: "plain"}}, Runner: runner{},
		Columns: []parity.Column{{Backend: "reference", Precision: "fp64"}, {Backend: "ort", Precision: "fp32"}}})
	if err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if err := JSON(&b, &Document{Matrix: m}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"schema":"apexx.matrix/2"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ReadMatrix(bytes.NewReader(text))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := JSON(&out, d); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadMatrix(&out); err != nil {
			t.Errorf("written again it is refused: %v", err)
		}
	})
}
