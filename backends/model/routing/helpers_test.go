package routing

import (
	"strings"
	"testing"
)

// wantErr requires an error whose text contains sub.
func wantErr(t *testing.T, err error, sub string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", sub)
	}
	if !strings.Contains(err.Error(), sub) {
		t.Fatalf("error %q, want one with %q", err, sub)
	}
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
