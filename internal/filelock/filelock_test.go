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
	removed, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer removed.Close()
	if err := stillThere(removed, path); err != nil {
		t.Errorf("a file that is there: %v", err)
	}
	os.Remove(path)
	second.Close()
	if err := stillThere(removed, path); !errors.Is(err, ErrHeld) {
		t.Errorf("a file that was removed: %v", err)
	}
	free, err := Wait(t.Context(), path, func() { t.Error("nobody holds it") })
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	if _, err := Wait(t.Context(), filepath.Join(path, "no folder"), nil); err == nil || errors.Is(err, os.ErrExist) {
		t.Errorf("a file that cannot be: %v", err)
	}
}
