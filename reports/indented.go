package reports

import (
	"bytes"
	"encoding/json"
	"io"
)

// IndentedJSON writes indented JSON without HTML escapes. Lists of plain values, such as the run lengths of a mask, stay on one
// line.
func IndentedJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(joinLists(b.Bytes()))
	return err
}

// joinLists puts every list without objects and lists in it on one line of indented JSON.
func joinLists(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		switch text[i] {
		case '"':
			n := stringLength(text[i:])
			out = append(out, text[i:i+n]...)
			i += n
		case '[':
			list, n := joinList(text[i:])
			out = append(out, list...)
			i += n
		default:
			out = append(out, text[i])
			i++
		}
	}
	return out
}

// joinList joins the list that text begins with and returns how long it was, or its first byte alone if it is nested.
func joinList(text []byte) (joined []byte, n int) {
	joined = append(joined, '[')
	for i := 1; i < len(text); {
		switch c := text[i]; c {
		case '[', '{':
			return text[:1], 1
		case ']':
			return append(joined, ']'), i + 1
		case '"':
			n := stringLength(text[i:])
			joined = append(joined, text[i:i+n]...)
			i += n
		case ',':
			joined = append(joined, ", "...)
			i++
		case ' ', '\n':
			i++
		default:
			joined = append(joined, c)
			i++
		}
	}
	return text[:1], 1
}

// stringLength returns the length of the JSON string that text begins with, quotes included.
func stringLength(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}
