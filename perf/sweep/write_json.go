package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// WriteJSON writes a result with every raw sample as one JSON object, which reports.SweepSchema describes and Read reads back.
// Indentation is by one space: results are large. It fails on a number that JSON cannot hold.
func WriteJSON(w io.Writer, r *Result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// Read reads what WriteJSON wrote and nothing else: an unknown key, anything after the object, or a result that does not
// Validate is an error of one line.
func Read(from io.Reader) (*Result, error) {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	r := new(Result)
	if err := d.Decode(r); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("not the result of a sweep: the file ends too early")
		}
		return nil, fmt.Errorf("not the result of a sweep: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not the result of a sweep: something follows the JSON object")
	}
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("not a sound result of a sweep: %w", err)
	}
	return r, nil
}
