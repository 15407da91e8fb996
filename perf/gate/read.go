package gate

import (
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
