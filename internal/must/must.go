// Package must has the checks of errors that tests of several packages share.
package must

import (
	"strings"
	"testing"
)

// Get returns the value of a call that must not fail, as in must.Get(f(x))(t).
func Get[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Fail requires an error whose text contains part.
func Fail(t testing.TB, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Fatalf("error %v, want one with %q", err, part)
	}
}
