package worker

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
)

// lying returns the spec of a worker that lies once.
func lying(t *testing.T, l lie) Spec {
	t.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	s := spec(t, "liar")
	s.Env = append(s.Env, lieVariable+"="+string(text))
	return s
}

// TestOutputLies lists what a worker may say of its outputs and nobody believes. The next run, an honest one, works.
func TestOutputLies(t *testing.T) {
	set := func(path, value string) lie { return lie{Kind: kindRun, Path: path, Set: value} }
	cut := func(size int64) lie { return lie{Kind: kindRun, Cut: &size} }
	for _, c := range []struct {
		name string
		lie  lie
		want string
	}{
		{"no layout", set("layout", "null"), `output "y" is missing`},
		{"missing", set("layout.0", ""), `output "y" is missing`},
		{"tap missing", set("layout.1", ""), `output "tap.before" is missing`},
		{"renamed", set("layout.0.name", `"z"`), `output "y" is missing`},
		{"additional", set("layout.2", `{"name":"z","dtype":"float32","shape":[3],"offset":128}`), `output "z" is none of the graph's`},
		{"twice", set("layout.2", `{"name":"y","dtype":"float32","shape":[3],"offset":0}`), `output "y" comes again, the graph has 2`},
		{"order", set("layout", `[{"name":"tap.before"},{"name":"y"}]`), `output 0 is "tap.before", want "y"`},
		{"wider type", set("layout.0.dtype", `"float64"`), `output "y" is float64[3], want float32[3]`},
		{"type of the same size", set("layout.1.dtype", `"int32"`), `output "tap.before" is int32[3], want float32[3]`},
		{"unknown type", set("layout.0.dtype", `"float16"`), `output "y" is float16[3], want float32[3]`},
		{"no type", set("layout.0.dtype", ""), `output "y" is [3], want float32[3]`},
		{"shorter", set("layout.0.shape", "[2]"), `output "y" is float32[2], want float32[3]`},
		{"longer", set("layout.0.shape", "[300000]"), `output "y" is float32[300000], want float32[3]`},
		{"rank", set("layout.0.shape", "[3,1]"), `output "y" is float32[3 1], want float32[3]`},
		{"negative dimension", set("layout.0.shape", "[-3]"), `output "y" is float32[-3], want float32[3]`},
		{"negative offset", set("layout.0.offset", "-64"), `output "y": 12 bytes at offset -64 do not fit`},
		{"crooked offset", set("layout.0.offset", "4"), `output "y": 12 bytes at offset 4 do not fit 4096 bytes at a multiple of 64`},
		{"offset at the end", set("layout.1.offset", "4096"), `output "tap.before": 12 bytes at offset 4096 do not fit`},
		{"huge offset", set("layout.1.offset", "9223372036854775744"), `output "tap.before": 12 bytes at offset 9223372036854775744 do not fit`},
		{"overlap", set("layout.1.offset", "0"), `outputs "y" and "tap.before" overlap at offset 0`},
		{"size beyond the file", set("size", "1048576"), "size is 1048576, their file has 4096 bytes"},
		{"negative size", set("size", "-1"), "size is -1, their file has 4096 bytes"},
		{"size before the outputs", set("size", "64"), `output "tap.before": 12 bytes at offset 64 do not fit 64 bytes`},
		{"file emptied", cut(0), "size is 4096, their file has 0 bytes"},
		{"file cut within an output", cut(70), "size is 4096, their file has 70 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer nothingLeft(t)
			s, err := New(lying(t, c.lie)).Compile(context.Background(), addGraph(t, 3), backends.Options{Taps: []string{"before"}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Run(context.Background(), floats(3, 1)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Run: %v\nwant %s", err, c.want)
			}
			out, err := s.Run(context.Background(), floats(3, 1))
			if c.lie.Cut != nil {
				if err == nil { // the file stays short, or the worker's own mapping ends it
					t.Errorf("after its files were cut: %v", out)
				}
				return
			}
			if err != nil || !slices.Equal(tensor.Data[float32](out.Get("y")), []float32{2, 2, 2}) {
				t.Errorf("the honest run: %v, %v", out, err)
			}
		})
	}
}

// TestShortenedLater cuts the file between the check of its length and the reading.
func TestShortenedLater(t *testing.T) {
	f := sharedFile(t, 4096)
	r := &results{file: f}
	if err := f.Truncate(70); err != nil {
		t.Fatal(err)
	}
	err := r.fill(tensor.New(tensor.Float32, 3), 64)
	if want := "got 6 of 12 bytes at offset 64: the worker has made the file shorter"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestForeignBooleans refuses bytes that are neither true nor false and leaves none of them in memory.
func TestForeignBooleans(t *testing.T) {
	f := sharedFile(t, 64)
	if _, err := f.WriteAt([]byte{1, 2}, 0); err != nil {
		t.Fatal(err)
	}
	x := tensor.New(tensor.Bool, 2)
	if err := (&results{file: f}).fill(x, 0); err == nil || err.Error() != "boolean 1 is the byte 2, want 0 or 1" || bytesOf(x)[1] != 0 {
		t.Errorf("got %v with %v", err, bytesOf(x))
	}
}
