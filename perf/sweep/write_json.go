package sweep

import (
	"bytes"
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

// Read reads what WriteJSON wrote and nothing else: another schema, an unknown key, anything after the object, or a result that does
// not Validate is an error of one line.
func Read(from io.Reader) (*Result, error) {
	data, err := io.ReadAll(from)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(data); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
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

// checkSchema tells results of another version by what they lack, before the first key that this one does not know.
func checkSchema(data []byte) error {
	var head struct{ Schema, Version string }
	if json.Unmarshal(data, &head) != nil {
		return nil // Read says where it is no JSON
	}
	if lacks := olderLacks[head.Schema]; lacks != "" {
		return fmt.Errorf("its schema is %s: %s, and %s asks for it; measure again, or read it with apexx %s", head.Schema, lacks, SchemaID, head.Version)
	}
	if head.Schema == SchemaID || head.Schema == "" {
		return nil
	}
	return fmt.Errorf("its schema is %q, want %q", head.Schema, SchemaID)
}
