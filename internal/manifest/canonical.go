package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrType marks errors about a value whose type has no JSON form, as opposed to a wrong value.
var ErrType = errors.New("value of a type without a JSON form")

// Limits on JSON values, so that hostile or cyclic ones are errors.
const (
	maxJSONDepth     = 1000
	maxIntegerDigits = 4300
)

// CanonicalJSON returns the one text of a value that hashes are made of. It takes nil, booleans, strings, integers of any
// size (*big.Int, json.Number), floats, and slices, arrays and maps of those, maps keyed by strings or integers. Keys are
// sorted by code point; there is no space and no trailing newline; strings are ASCII, with \u escapes in lower case and
// / < > & as they are. Integers and floats stay distinct: a float has a point or an exponent, shortest round-trip digits, and
// fixed notation when its decimal exponent is in [-4, 16). Source: spec/routing.md 23.1.
//
// Unlike the original, non-finite floats, invalid UTF-8 and keys that become equal as strings are errors. Errors about types
// wrap [ErrType].
func CanonicalJSON(v any) ([]byte, error) {
	p, err := plain(v, 0)
	if err != nil {
		return nil, err
	}
	e := jsonWriter{}
	e.value(p, 0)
	return e.buf, nil
}

// HashJSON returns the SHA-256 of the canonical JSON of v in lower-case hexadecimal.
func HashJSON(v any) (string, error) {
	text, err := CanonicalJSON(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// HashFile returns the SHA-256 of a file's bytes in lower-case hexadecimal.
func HashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("hash %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// indentedJSON returns the text of files: as canonical, but two spaces of indentation, ": " after keys, and a final newline.
func indentedJSON(v any) ([]byte, error) {
	p, err := plain(v, 0)
	if err != nil {
		return nil, err
	}
	e := jsonWriter{indent: true}
	e.value(p, 0)
	return append(e.buf, '\n'), nil
}

// plain copies v into nil, bool, string, int64, *big.Int, float64, []any and map[string]any.
func plain(v any, depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("JSON value is nested more than %d deep", maxJSONDepth)
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case json.Number:
		return plainNumber(string(v))
	case *big.Int:
		if v == nil {
			return nil, nil
		}
		return plainNumber(v.String())
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Bool:
		return r.Bool(), nil
	case reflect.String:
		if !utf8.ValidString(r.String()) {
			return nil, fmt.Errorf("string %q is not valid UTF-8", r.String())
		}
		return r.String(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return r.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return plainNumber(strconv.FormatUint(r.Uint(), 10))
	case reflect.Float32, reflect.Float64:
		if f := r.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("number %v has no JSON form: must be finite", f)
		}
		return r.Float(), nil
	case reflect.Slice, reflect.Array:
		return plainList(r, depth)
	case reflect.Map:
		return plainMap(r, depth)
	}
	return nil, fmt.Errorf("%T: %w", v, ErrType)
}

// plainNumber reads the text of a JSON number: an integer unless it has a point or an exponent.
func plainNumber(s string) (any, error) {
	if strings.ContainsAny(s, ".eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil, fmt.Errorf("number %s: must be finite: %w", s, err)
		}
		return f, nil
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, nil
	}
	if len(s) > maxIntegerDigits {
		return nil, fmt.Errorf("integer of %d characters: at most %d digits", len(s), maxIntegerDigits)
	}
	b, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return nil, fmt.Errorf("%q is not a JSON number", s)
	}
	return b, nil
}

func plainList(r reflect.Value, depth int) (any, error) {
	out := make([]any, r.Len())
	for i := range out {
		var err error
		if out[i], err = plain(r.Index(i).Interface(), depth+1); err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return out, nil
}

func plainMap(r reflect.Value, depth int) (any, error) {
	out := make(map[string]any, r.Len())
	for it := r.MapRange(); it.Next(); {
		k, err := plain(it.Key().Interface(), depth)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		switch k.(type) {
		case string, int64, *big.Int:
		default:
			return nil, fmt.Errorf("key of type %T: %w", k, ErrType)
		}
		name := fmt.Sprint(k)
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("two keys become %q as strings: rename one", name)
		}
		if out[name], err = plain(it.Value().Interface(), depth+1); err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
	}
	return out, nil
}

// jsonWriter writes plain values.
type jsonWriter struct {
	buf    []byte
	indent bool
}

func (e *jsonWriter) value(v any, depth int) {
	switch v := v.(type) {
	case nil:
		e.buf = append(e.buf, "null"...)
	case bool:
		e.buf = strconv.AppendBool(e.buf, v)
	case string:
		e.str(v)
	case int64:
		e.buf = strconv.AppendInt(e.buf, v, 10)
	case *big.Int:
		e.buf = v.Append(e.buf, 10)
	case float64:
		e.buf = append(e.buf, formatFloat(v)...)
	case []any:
		e.container('[', ']', len(v), depth, func(i int) { e.value(v[i], depth+1) })
	case map[string]any:
		// Byte order of UTF-8 is code point order.
		keys := slices.Sorted(maps.Keys(v))
		e.container('{', '}', len(keys), depth, func(i int) {
			e.str(keys[i])
			e.buf = append(e.buf, ':')
			if e.indent {
				e.buf = append(e.buf, ' ')
			}
			e.value(v[keys[i]], depth+1)
		})
	}
}

func (e *jsonWriter) container(open, shut byte, n, depth int, item func(i int)) {
	e.buf = append(e.buf, open)
	for i := range n {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.newline(depth + 1)
		item(i)
	}
	if n > 0 {
		e.newline(depth)
	}
	e.buf = append(e.buf, shut)
}

func (e *jsonWriter) newline(depth int) {
	if e.indent {
		e.buf = append(e.buf, '\n')
		e.buf = append(e.buf, strings.Repeat("  ", depth)...)
	}
}

var jsonEscapes = map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}

func (e *jsonWriter) str(s string) {
	e.buf = append(e.buf, '"')
	for _, r := range s {
		switch esc, ok := jsonEscapes[r]; {
		case ok:
			e.buf = append(e.buf, esc...)
		case r >= 0x20 && r <= 0x7e:
			e.buf = append(e.buf, byte(r))
		case r > 0xffff:
			r -= 0x10000
			e.buf = fmt.Appendf(e.buf, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			e.buf = fmt.Appendf(e.buf, `\u%04x`, r)
		}
	}
	e.buf = append(e.buf, '"')
}

// formatFloat writes a finite float as CanonicalJSON documents it.
func formatFloat(f float64) string {
	s := strconv.FormatFloat(f, 'e', -1, 64)
	exp, err := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if err != nil || exp < -4 || exp >= 16 {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
