//go:build unix

package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Errorf("a second lock: %v", err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	if _, err := Wait(stopped, path, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted wait: %v", err)
	}
	told := 0
	second, err := Wait(t.Context(), path, func() { told++; first.Close() })
	if err != nil || told != 1 {
		t.Fatalf("after the first let go: %v, told %d times", err, told)
	}
	second.Close()
	free, err := Wait(t.Context(), path, func() { t.Error("nobody holds it") })
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	if _, err := Wait(t.Context(), filepath.Join(path, "no folder"), nil); err == nil || errors.Is(err, os.ErrExist) {
		t.Errorf("a file that cannot be: %v", err)
	}
}
