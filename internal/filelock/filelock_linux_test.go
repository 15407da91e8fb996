package filelock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is a user with no rights to what the tests own.
const nobody = 65534

// TestAnotherUsersLock: what another user left behind is locked like one's own, unless it may not even be read.
func TestAnotherUsersLock(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	left, hidden := filepath.Join(dir, "left"), filepath.Join(dir, "hidden")
	for path, mode := range map[string]fs.FileMode{left: 0o644, hidden: 0o600} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := errors.Join(unix.Setfsgid(nobody), unix.Setfsuid(nobody)); err != nil {
		t.Fatal(err)
	}
	defer unix.Setfsuid(0)
	defer unix.Setfsgid(0)
	if f, err := os.OpenFile(left, os.O_RDWR, 0); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("the file is another user's: %v, %v", f, err)
	}
	lock, err := Try(left)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := Try(left); !errors.Is(err, ErrHeld) {
		t.Errorf("a second lock: %v", err)
	}
	if _, err := Try(hidden); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file that may not be read: %v", err)
	}
}
