package reports

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/accuracy/accuracytest"
)

// besideQuality is a matrix whose only column of low precision was evaluated and ended in a state. Its outputs have no detections, so that
// these are unverified as sets; without sets it passes.
func besideQuality(t *testing.T, state evidence.State, sets bool) *Document {
	t.Helper()
	fp16 := parity.Column{Backend: "reference", Precision: backends.FP16}
	m, err := parity.Run(context.Background(), parity.MatrixSpec{Name: "x", Cases: []parity.Case{{Name: "plain"}}, Runner: runner{},
		Columns: []parity.Column{{Backend: "reference", Precision: backends.FP64}, fp16}})
	if err != nil {
		t.Fatal(err)
	}
	if !sets {
		m.Sets = nil
	}
	set := accuracytest.New(8)
	found := func(keep func(int, coco.Detection) bool) *accuracy.Found {
		return set.Run(perf.Cell{Scope: perf.Complete}, perf.Head, keep).Found
	}
	runs := []MatrixEvaluation{{Column: against(fp16), Outcome: evidence.Outcome{State: evidence.Measured}, Found: found(nil)}, {Column: fp16, Outcome: evidence.Outcome{State: state}}}
	if state == evidence.Measured {
		runs[1].Found = found(set.Large)
	}
	q, err := NewMatrixQuality(*set.Plan(), runs)
	if err != nil {
		t.Fatal(err)
	}
	return &Document{Matrix: m, Quality: q}
}

// TestBrokenEvaluation: a column whose evaluation died is no pass, in no form, and a file that says so is refused.
func TestBrokenEvaluation(t *testing.T) {
	for state, want := range map[evidence.State]int{
		evidence.Measured: exit.OK, evidence.Unsupported: exit.OK, evidence.Crashed: exit.Internal, evidence.Hung: exit.Internal, evidence.Errored: exit.Internal,
	} {
		d := besideQuality(t, state, false)
		if got := d.ExitCode(); got != want {
			t.Errorf("%s: exit code %d, want %d", state, got, want)
		}
		for form, write := range map[string]func(*bytes.Buffer) error{
			"table":    func(b *bytes.Buffer) error { return Table(b, d, TableOptions{}) },
			"markdown": func(b *bytes.Buffer) error { return Markdown(b, d) },
			"page":     func(b *bytes.Buffer) error { return HTML(b, d) },
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			if says := strings.Contains(b.String(), "PASS"); says != (want == exit.OK) {
				t.Errorf("%s: the %s says PASS: %t\n%s", state, form, says, b.String())
			}
		}
		var b bytes.Buffer
		if err := MatrixJUnit(&b, d); err != nil || strings.Contains(b.String(), "<error") != (want != exit.OK) {
			t.Errorf("%s as JUnit: %v\n%s", state, err, b.String())
		}
		b.Reset()
		d = besideQuality(t, state, true)
		if want == exit.OK {
			want = exit.Inconclusive
		}
		if err := JSON(&b, d); err != nil {
			t.Fatal(err)
		}
		if read, err := ReadMatrix(bytes.NewReader(b.Bytes())); err != nil || read.ExitCode() != want {
			t.Errorf("%s, read: %v", state, err)
		}
	}
}

// TestForgedEvaluation edits what a file says of quality: every number follows from what was found, which is in the file.
func TestForgedEvaluation(t *testing.T) {
	for name, tt := range map[string]struct {
		state evidence.State
		edit  func(q *MatrixQuality)
		want  string
	}{
		"a crash left out":        {evidence.Crashed, func(q *MatrixQuality) { q.Rows[0].State = evidence.Unsupported }, "the evaluations give reference/fp16, crashed"},
		"a crash left out twice":  {evidence.Crashed, func(q *MatrixQuality) { q.Runs[1].State, q.Rows[0].State = "excellent", "excellent" }, `it ended as "excellent"`},
		"measured without a find": {evidence.Crashed, func(q *MatrixQuality) { q.Runs[1].State = evidence.Measured }, "what it found is there: false"},
		"a set without a name":    {evidence.Measured, func(q *MatrixQuality) { q.Plan.DataSet.Name = "" }, "quality: "},
		"another AP":              {evidence.Measured, func(q *MatrixQuality) { q.Runs[1].Found.Numbers.Boxes.AP += 0.01 }, "numbers.boxes, number 1"},
		"another AP in the row":   {evidence.Measured, func(q *MatrixQuality) { q.Rows[0].Result.Numbers.Boxes.AP += 0.01 }, "numbers.boxes, number 1"},
		"a smaller loss":          {evidence.Measured, func(q *MatrixQuality) { q.Rows[0].Result.Differences[0].Low = 0 }, "low of box_ap"},
		"the find of fp32":        {evidence.Measured, func(q *MatrixQuality) { q.Runs[1].Found = q.Runs[0].Found }, "numbers.boxes, number 1"},
		"no evaluation of fp32":   {evidence.Measured, func(q *MatrixQuality) { q.Runs = q.Runs[1:] }, "its 1 evaluations are not those of the columns of low precision and their fp32, which are 2"},
		"no row":                  {evidence.Measured, func(q *MatrixQuality) { q.Rows = nil }, "its 0 rows are not those of the columns of low precision, which are 1"},
		"other objects":           {evidence.Measured, func(q *MatrixQuality) { q.Runs[1].Found = accuracytest.New(9).Run(perf.Cell{}, perf.Head, nil).Found }, "9 images"},
	} {
		d := besideQuality(t, tt.state, true)
		tt.edit(d.Quality)
		var b bytes.Buffer
		if err := JSON(&b, d); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadMatrix(&b); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
