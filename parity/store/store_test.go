package store

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/journal"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

var settings = []Setting{{"case a", strings.Repeat("a", 64)}, {"--threads", "2"}}

func finished(name string) parity.FinishedCase {
	column := parity.Column{Backend: "reference", Precision: backends.FP32}
	yes := true
	return parity.FinishedCase{Case: name,
		Cells: []parity.Cell{{Case: name, Pair: parity.Pair{Reference: parity.Column{Backend: "reference", Precision: backends.FP64}, Candidate: column},
			Outcome: evidence.Outcome{State: evidence.Explained, Detail: "tiles 1 and 2"},
			Report: &parity.Report{CaseName: name, State: evidence.Explained, Outputs: []parity.TensorReport{{Name: "x", MaxAbsErr: 1.0000000000000002e-7, Passed: true}},
				Decisions: []parity.Decision{{Kind: parity.OrderFlip, Verdict: parity.Tied, Output: "tiles_l0", Items: "tiles 1 and 2", Gap: 1e-9}}}}},
		Executions: []parity.ExecutionRecord{{Case: name, Column: column, Outcome: evidence.Outcome{State: evidence.Measured}, Execute: 71200345, Deterministic: &yes}},
	}
}

// TestStore keeps cases through an interruption as they were, and nothing after the end.
func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	s, err := Open(dir, settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Add(finished("a"), map[string]int{"pictures": 1}), s.Add(finished("b"), nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, settings); !errors.Is(err, journal.ErrBusy) {
		t.Errorf("a second writer: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, settings)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]parity.FinishedCase{"a": finished("a"), "b": finished("b")}; !reflect.DeepEqual(again.Finished, want) {
		t.Errorf("%+v\nwant %+v", again.Finished, want)
	}
	if len(again.Pictures) != 1 || string(again.Pictures["a"]) != `{"pictures":1}` {
		t.Errorf("pictures %s", again.Pictures)
	}
	if err := again.Finish(); err != nil {
		t.Fatal(err)
	}
	if anew, err := Open(dir, []Setting{{"--threads", "3"}}); err != nil || len(anew.Finished) != 0 {
		t.Errorf("after the end: %+v, %v", anew, err)
	}
}

// TestOtherSettings refuses to mix what was compared otherwise, and logs that are damaged or none.
func TestOtherSettings(t *testing.T) {
	for name, c := range map[string]struct {
		now  []Setting
		want string
	}{
		"another value": {[]Setting{settings[0], {"--threads", "1"}}, "it was begun with --threads 2, and here it is 1: "},
		"another input": {[]Setting{{"case a", strings.Repeat("b", 64)}, settings[1]}, "begun with case a aaaaaaaaaaaa, and here it is bbbbbbbbbbbb: "},
		"less":          {settings[:1], "begun with --threads 2, and here it is absent"},
		"more":          {append([]Setting{{"case b", "x"}}, settings...), "begun with case b absent, and here it is x"},
	} {
		dir := t.TempDir()
		s, err := Open(dir, settings)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Add(finished("a"), nil), s.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, c.now); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if s, err := Open(dir, settings); err != nil || len(s.Finished) != 1 { // what was refused has changed nothing
			t.Errorf("%s: %v", name, err)
		}
	}
	const head = `{"schema":"apexx.matrix-log/1","settings":[]}` + "\n"
	for text, want := range map[string]string{
		"{}\n":                      "is not the log of a matrix",
		head + "{\n":                "log.jsonl:2: ",
		head + `{"case":""}` + "\n": "has no name",
		head + `{"case":"a"}` + "\n" + `{"case":"a"}` + "\n": `log.jsonl:3: its case "a" comes twice`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, logFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
