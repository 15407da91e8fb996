// Package goldenfile holds what tests print against files in testdata. A test binary that imports it has the flag -update, which
// rewrites the files; the difference is then read as one of the commit.
package goldenfile

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// Update is the flag -update: what the tests print becomes what they expect.
var Update = flag.Bool("update", false, "rewrite the golden files")

// Check compares got with testdata/name, byte for byte.
func Check[T string | []byte](tb testing.TB, name string, got T) {
	tb.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *Update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if !bytes.Equal([]byte(got), want) {
		tb.Errorf("%s differs (go test -update rewrites it):\n%s\nwant:\n%s", path, []byte(got), want)
	}
}
