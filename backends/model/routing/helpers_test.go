package routing

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
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

func sha(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// near requires |got-want| <= tol*max(1,|want|); beside an infinity only the same one will do.
func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if d := math.Abs(got - want); got != want && !(d <= tol*max(1, math.Abs(want)) && !math.IsInf(d, 0)) {
		t.Errorf("%s = %.9g, want %.9g", what, got, want)
	}
}
