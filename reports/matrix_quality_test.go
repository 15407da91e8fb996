package reports

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/accuracy"
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
	row := MatrixColumn{Column: fp16, State: state}
	if state == evidence.Measured {
		row.Result = &accuracy.Result{Against: "reference fp32"}
	}
	digest := strings.Repeat("a", 64)
	return &Document{Matrix: m, Quality: &MatrixQuality{Rows: []MatrixColumn{row}, Plan: accuracy.Plan{Policy: accuracy.DefaultPolicy(),
		DataSet: accuracy.DataSet{Name: "scenes", Annotations: digest, Pictures: digest, Images: 64, Objects: 527, Classes: 8}}}}
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

func TestForgedEvaluation(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, besideQuality(t, evidence.Crashed, true)); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, tt := range []struct{ old, new, want string }{
		{`"state": "crashed"`, `"state": "unsupported"`, "the stored verdict"},
		{`"state": "crashed"`, `"state": "measured"`, "it is measured, with numbers: false"},
		{`"state": "crashed"`, `"state": "excellent"`, `"excellent"`},
		{`"name": "scenes"`, `"name": ""`, "quality: "},
	} {
		forged := strings.Replace(text, tt.old, tt.new, 1)
		if forged == text {
			t.Fatalf("there is no %s in\n%s", tt.old, text)
		}
		if _, err := ReadMatrix(strings.NewReader(forged)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s for %s: %v, want %q", tt.new, tt.old, err, tt.want)
		}
	}
	d := besideQuality(t, evidence.Unsupported, true)
	d.Quality.Rows = nil
	b.Reset()
	if err := JSON(&b, d); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadMatrix(&b); err == nil || !strings.Contains(err.Error(), "are not those of low precision, which are 1") {
		t.Errorf("a column was left out: %v", err)
	}
}
