package reports

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

func TestIndentedJSON(t *testing.T) {
	for _, tt := range []struct{ value, want string }{
		{`[]`, "[]\n"},
		{`"[1,\n2]"`, `"[1,\n2]"` + "\n"},
		{`{"a":[],"b":{}}`, "{\n  \"a\": [],\n  \"b\": {}\n}\n"},
		{`{"a":[1,2]}`, "{\n  \"a\": [1, 2]\n}\n"},
		{`[[1,2],[3]]`, "[\n  [1, 2],\n  [3]\n]\n"},
		{`[1,[2]]`, "[\n  1,\n  [2]\n]\n"},
		{`[{"a":1}]`, "[\n  {\n    \"a\": 1\n  }\n]\n"},
		{`["a, b","]","[\"{\\","<é>"]`, `["a, b", "]", "[\"{\\", "<é>"]` + "\n"},
		{`"[1,\n2]"`, `"[1,\n2]"` + "\n"},
	} {
		var value, again any
		if err := json.Unmarshal([]byte(tt.value), &value); err != nil {
			t.Fatalf("%s: %v", tt.value, err)
		}
		var b bytes.Buffer
		if err := IndentedJSON(&b, value); err != nil || b.String() != tt.want {
			t.Errorf("%s became %q, want %q (%v)", tt.value, b.String(), tt.want, err)
		}
		if err := json.Unmarshal(b.Bytes(), &again); err != nil || !reflect.DeepEqual(value, again) {
			t.Errorf("%s does not read back: %v", tt.value, err)
		}
	}
}
