package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// WriteJSON writes a record as one JSON object.
func WriteJSON(w io.Writer, rec *Record) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(rec)
}

// Read reads a record and checks that it is whole: a part of a record must not pass as a run in which nothing happened.
func Read(from io.Reader) (*Record, error) {
	var rec Record
	d := json.NewDecoder(from)
	if err := d.Decode(&rec); err != nil {
		return nil, fmt.Errorf("not the record of a gate: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not the record of a gate: something follows the object")
	}
	return &rec, rec.Check()
}

// Differs says how the verdict that a record holds differs from the one that its samples give, "" where it does not.
func Differs(held, judged *Verdict) string {
	a, err1 := json.Marshal(held)
	b, err2 := json.Marshal(judged)
	switch {
	case err1 == nil && err2 == nil && bytes.Equal(a, b):
		return ""
	case held == nil:
		return "the record holds no verdict"
	case held.Outcome != judged.Outcome || held.ExitCode != judged.ExitCode:
		return fmt.Sprintf("the stored verdict %s (exit code %d) is not that of its samples, %s (%d): the record was edited, or judged by other rules",
			held.Outcome, held.ExitCode, judged.Outcome, judged.ExitCode)
	}
	return fmt.Sprintf("the stored verdict is %s like that of its samples, and differs in its details: the record was edited, or judged by other rules", held.Outcome)
}
