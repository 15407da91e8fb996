// Package sortedjson writes JSON as the original's performance suites do: keys sorted, indented by two spaces, a final newline
// (spec/perf.md 1), so that two files of equal content are equal byte for byte whatever order the fields of a type have.
package sortedjson

import (
	"bytes"
	"encoding/json"
	"io"
)

// Write writes v as one JSON document. It fails, before anything is written, on what JSON cannot hold, such as NaN.
func Write(w io.Writer, v any) error {
	text, err := encode(v)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // numbers pass through as they were written
	var tree any        // its objects are maps, whose keys encoding/json sorts
	if err := decoder.Decode(&tree); err != nil {
		return err
	}
	if text, err = encode(tree); err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}
