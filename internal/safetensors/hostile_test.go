package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// raw builds a file of any header and size zero bytes of data.
func raw(header string, size int) []byte {
	data := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(data, header...), make([]byte, size)...)
}

// one is a header with a single F32 tensor "a" of the given shape and offsets, written as JSON.
func one(shape, offsets string) string {
	return fmt.Sprintf(`{"a":{"dtype":"F32","shape":%s,"data_offsets":%s}}`, shape, offsets)
}

// manyTensors is a header of n empty tensors.
func manyTensors(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, `,"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, i)
	}
	return "{" + out.String()[1:] + "}"
}

func TestHostileFiles(t *testing.T) {
	const a = `"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	lying := func(length uint64) []byte {
		return append(binary.LittleEndian.AppendUint64(nil, length), `{}`...)
	}
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "0 bytes, too short"},
		{"seven bytes", make([]byte, 7), "7 bytes, too short"},
		{"no header", raw("", 0), "does not begin with {"},
		{"length past the end", lying(3), "header length 3, but only 2 bytes follow"},
		{"length over the limit", lying(MaxHeader + 1), "at most 100000000 allowed"},
		{"length overflows", lying(1<<64 - 1), "at most 100000000 allowed"},
		{"length negative as int64", lying(1 << 63), "at most 100000000 allowed"},

		{"not JSON", raw("{hello}", 0), "malformed JSON"},
		{"a list", raw("[]", 0), "does not begin with {"},
		{"leading blank", raw(" {}", 0), "does not begin with {"},
		{"unfinished", raw(`{"a":`, 0), `tensor "a": got the end of the header`},
		{"unfinished object", raw(`{`+a, 4), "the end of the header"},
		{"trailing comma", raw(`{`+a+`,}`, 4), "malformed JSON"},
		{"two objects", raw(`{}{}`, 0), "after the end"},
		{"trailing text", raw(`{} x`, 0), "after the end"},
		{"NUL padding", raw("{}\x00", 0), "after the end"},
		{"invalid UTF-8", raw("{\"a\xff\":{}}", 0), "not UTF-8"},
		{"deep nesting", raw(`{"a":`+strings.Repeat("[", 1<<20), 0), "got [, want a JSON object"},
		{"deep shape", raw(one(strings.Repeat("[", 1<<20), "[0,4]"), 4), "shape: got [, want a non-negative integer"},

		{"duplicate name", raw(`{`+a+`,`+a+`}`, 4), `duplicate name "a"`},
		{"duplicate name, escaped", raw(`{`+a+`,`+strings.Replace(a, `"a"`, `"\u0061"`, 1)+`}`, 4), `duplicate name "a"`},
		{"duplicate key", raw(`{"a":{"dtype":"F32","dtype":"I64","shape":[1],"data_offsets":[0,4]}}`, 4), `duplicate key "dtype"`},
		{"duplicate shape", raw(`{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}`, 4), `duplicate key "shape"`},
		{"unknown key", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":0}}`, 4), `unknown key "x"`},
		{"missing key", raw(`{"a":{"dtype":"F32","shape":[1]}}`, 4), "is missing"},
		{"entry is a number", raw(`{"a":1}`, 0), `got "1", want a JSON object`},
		{"entry is null", raw(`{"a":null}`, 0), `got null, want a JSON object`},

		{"unknown dtype", raw(`{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}`, 4), `unknown dtype "F31", want one of BOOL`},
		{"dtype is a number", raw(`{"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}}`, 4), `dtype: got "32", want a string`},
		{"negative dimension", raw(one("[-1]", "[0,4]"), 4), `shape: got "-1"`},
		{"fractional dimension", raw(one("[1.0]", "[0,4]"), 4), `shape: got "1.0"`},
		{"exponent", raw(one("[1e0]", "[0,4]"), 4), `shape: got "1e0"`},
		{"dimension is text", raw(one(`["1"]`, "[0,4]"), 4), `shape: got "1"`},
		{"dimension over 64 bits", raw(one("[18446744073709551616]", "[0,4]"), 4), "64-bit integer"},
		{"dimension over int", raw(one("[9223372036854775808]", "[0,4]"), 4), "too large"},
		{"product overflows to 4 bytes", raw(one("[4611686018427387905,4]", "[0,4]"), 4), "overflows"},
		{"product overflows to 0", raw(one("[4294967296,4294967296]", "[0,0]"), 0), "overflows"},
		{"overflow hidden by 0", raw(one("[4294967296,4294967296,0]", "[0,0]"), 0), "overflows"},
		{"rank 65", raw(one("["+strings.Repeat("1,", 64)+"1]", "[0,4]"), 4), "more than 64 numbers"},

		{"too many tensors", raw(manyTensors(maxTensors+1), 0), "more than 100000 tensors"},
		{"one offset", raw(one("[1]", "[0]"), 4), "got 1 numbers, want 2"},
		{"three offsets", raw(one("[1]", "[0,4,8]"), 4), "more than 2 numbers"},
		{"negative offset", raw(one("[1]", "[-4,0]"), 4), `data_offsets: got "-4"`},
		{"offsets backwards", raw(one("[1]", "[4,0]"), 4), "run backwards"},
		{"offset past the end", raw(one("[2]", "[0,8]"), 4), "pass the end of the data at 4"},
		{"offset wraps", raw(one("[1]", "[18446744073709551612,18446744073709551615]"), 4), "pass the end"},
		{"too few bytes for the shape", raw(one("[2]", "[0,4]"), 4), "4 bytes of data, but shape [2] of F32 needs 8"},
		{"too many bytes for the shape", raw(one("[]", "[0,8]"), 8), "8 bytes of data, but shape [] of F32 needs 4"},
		{"overlap", raw(`{`+a+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`, 6), "overlaps"},
		{"same range twice", raw(`{`+a+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), "overlaps"},
		{"empty tensor inside another", raw(`{`+a+`,"b":{"dtype":"F32","shape":[0],"data_offsets":[2,2]}}`, 4), "overlaps"},
		{"hole", raw(`{`+a+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 12), "a gap of 4 bytes"},
		{"hole at the start", raw(one("[1]", "[4,8]"), 8), "a gap of 4 bytes"},
		{"trailing data", raw(`{`+a+`}`, 5), "end at 4 of 5 data bytes"},

		{"metadata is a list", raw(`{"__metadata__":[]}`, 0), "got [, want a JSON object"},
		{"metadata value is a number", raw(`{"__metadata__":{"steps":1}}`, 0), `key "steps": got "1", want a string`},
		{"metadata value is an object", raw(`{"__metadata__":{"steps":{}}}`, 0), `key "steps": got {, want a string`},
		{"duplicate metadata key", raw(`{"__metadata__":{"x":"1","x":"2"}}`, 0), `duplicate key "x"`},
		{"duplicate metadata", raw(`{"__metadata__":{},"__metadata__":{}}`, 0), `duplicate name "__metadata__"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, err := Parse(test.data)
			if err == nil {
				t.Fatalf("parsed as %v, want an error with %q", file.Names(), test.want)
			}
			if text := err.Error(); !strings.Contains(text, test.want) || strings.Contains(text, "\n") || len(text) > 400 {
				t.Errorf("error %q\nwant one short line with %q", text, test.want)
			}
			if format := (*FormatError)(nil); !errors.As(err, &format) {
				t.Errorf("error type %T, want *FormatError", err)
			}
		})
	}
}

// Files that look odd and are legal.
func TestUnusualFiles(t *testing.T) {
	tests := []struct {
		name, header string
		size, want   int // bytes of data, number of tensors
	}{
		{"no tensors", `{}`, 0, 0},
		{"blank padding", `{}      `, 0, 0},
		{"empty name", `{"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}`, 1, 1},
		{"empty tensors", `{"a":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`, 0, 2},
		{"data in another order", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2, 2},
		{"keys in another order", `{"a":{"data_offsets":[0,1],"shape":[1],"dtype":"BOOL"}}`, 1, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, err := Parse(raw(test.header, test.size))
			if err != nil {
				t.Fatal(err)
			}
			if got := len(file.Names()); got != test.want {
				t.Errorf("%d tensors, want %d", got, test.want)
			}
		})
	}
}
