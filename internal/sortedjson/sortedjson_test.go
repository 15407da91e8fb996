package sortedjson

import (
	"math"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	var out strings.Builder
	v := struct {
		Z float64        `json:"z"`
		A map[string]any `json:"a"`
		L []any          `json:"l"`
	}{1e-7, map[string]any{"y": nil, "b": int64(math.MaxInt64)}, []any{}}
	if err := Write(&out, v); err != nil {
		t.Fatal(err)
	}
	want := "{\n  \"a\": {\n    \"b\": 9223372036854775807,\n    \"y\": null\n  },\n  \"l\": [],\n  \"z\": 1e-7\n}\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestWriteRefusesNaN(t *testing.T) {
	var out strings.Builder
	if err := Write(&out, []float64{math.NaN()}); err == nil || out.Len() > 0 {
		t.Errorf("NaN: error %v, wrote %q", err, out.String())
	}
}
