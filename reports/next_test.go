package reports

import (
	"bytes"
	"strings"
	"testing"

	"github.com/apex-x/apexx/parity/evidence"
)

// TestNext proposes what fits the verdict, with the flags by which the case is found again.
func TestNext(t *testing.T) {
	for state, want := range map[evidence.State]string{
		evidence.Pass: "", evidence.Explained: "",
		evidence.Fail:        "find the step: apexx locate --cases my/pictures --backends reference,reference 'case 001'",
		evidence.Unverified:  "name fp64",
		evidence.Unsupported: "apexx caps",
		evidence.Cancelled:   "goes on",
		evidence.Hung:        "--deadline",
		evidence.Crashed:     "a worker broke",
	} {
		d := &Document{Matrix: many(3, map[int]evidence.State{0: evidence.Pass, 1: state, 2: evidence.Pass}), Subject: "--cases my/pictures"}
		if state == evidence.Unsupported { // a case without a cell that could be compared
			d.Matrix = many(1, map[int]evidence.State{0: state})
		}
		if got := next(d); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q, want %q", state, got, want)
		}
	}
	model := &Document{Matrix: many(2, map[int]evidence.State{1: evidence.Fail}), Subject: "--model m.onnx", AnyModel: true}
	if got, want := next(model), "find the step: apexx locate --model m.onnx --backends reference,reference"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestNextOfARecord proposes nothing that a shell would take for more than it says, whatever names the record has.
func TestNextOfARecord(t *testing.T) {
	d := &Document{Matrix: many(1, map[int]evidence.State{0: evidence.Fail}), Again: "v0.2.0"}
	d.Matrix.Cells[0].Pair.Candidate.Backend = "ort;reboot"
	want := "where it was made, with the model and cases of its command: find the step: apexx locate --backends 'reference,ort;reboot' 'case 000'"
	if got := next(d); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTableFitsATerminal shows a matrix of any size and state within 24 lines of 80 columns: what did not pass, the verdict and what to do next.
func TestTableFitsATerminal(t *testing.T) {
	bad := map[int]evidence.State{}
	for i := range 40 {
		bad[7*i] = evidence.Fail
	}
	for name, tt := range map[string]struct {
		cases  int
		states map[int]evidence.State
		want   string
	}{
		"twelve":            {12, nil, "case 011"},
		"many that pass":    {900, nil, " more cases, in which everything passed"},
		"one of many fails": {900, map[int]evidence.State{700: evidence.Fail}, "case 700"},
		"many fail":         {900, bad, " did not simply pass"},
	} {
		d := &Document{Matrix: many(tt.cases, tt.states), Subject: "--cases my/pictures"}
		for i := range d.Matrix.Cells {
			d.Matrix.Cells[i].Detail = strings.Repeat("a long story ", 40)
		}
		if name == "many fail" { // every reason but the first few is left to the report
			for i := range d.Matrix.Cells {
				d.Matrix.Cells[i].Detail = "short"
			}
		}
		var out bytes.Buffer
		if err := Table(&out, d, TableOptions{Width: 80, Height: 24}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		for _, l := range lines {
			if widest(l) > 80 && !strings.Contains(l, "✓ pass") { // the legend may wrap
				t.Errorf("%s: a line of %d columns: %s", name, widest(l), l)
			}
		}
		if !strings.Contains(out.String(), tt.want) || len(lines) > 23 {
			t.Errorf("%s: %d lines\n%s", name, len(lines), out.String())
		}
	}
}
