package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// entries lists the names in dir, so that a left-over temporary file shows.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return names
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWriteFileReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	large := strings.Repeat("0123456789", 50_000) // several buffers
	for _, content := range []string{"first", "", large} {
		if err := WriteBytes(path, 0o644, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got := mustRead(t, path); got != content {
			t.Fatalf("read %d bytes, want %d", len(got), len(content))
		}
		if got := entries(t, dir); len(got) != 1 {
			t.Fatalf("the folder holds %q, want only out.json", got)
		}
	}
}

func TestTargetAppearsOnlyAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	err := WriteFile(path, 0o644, func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the target exists while it is written: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFailureLeavesTheOldFileAlone(t *testing.T) {
	causes := map[string]error{
		"caller":    errors.New("no such tensor"),
		"full disk": fmt.Errorf("encode: %w", syscall.ENOSPC),
	}
	for name, cause := range causes {
		for _, exists := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, target exists %v", name, exists), func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "out")
				want := 0
				if exists {
					want = 1
					if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				err := WriteFile(path, 0o644, func(w io.Writer) error {
					w.Write(make([]byte, 1<<20))
					return cause
				})
				if !errors.Is(err, cause) {
					t.Errorf("error %v does not wrap its cause %v", err, cause)
				}
				if text := err.Error(); !strings.Contains(text, path) || strings.Contains(text, ".tmp") {
					t.Errorf("error %q must name %s and no temporary file", text, path)
				}
				if got := entries(t, dir); len(got) != want {
					t.Errorf("the folder holds %q, want %d files", got, want)
				}
				if exists && mustRead(t, path) != "old" {
					t.Error("the old content is gone")
				}
			})
		}
	}
}

func TestPanicLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	func() {
		defer func() { _ = recover() }()
		WriteFile(filepath.Join(dir, "out"), 0o644, func(io.Writer) error { panic("boom") })
	}()
	if got := entries(t, dir); len(got) != 0 {
		t.Errorf("the folder holds %q, want nothing", got)
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	tests := []struct{ name, path, want string }{
		{"empty name", "", "the file name is empty"},
		{"folder", dir, "write " + dir + ": it is a folder; name a file in it"},
		{"missing folder", dir + "/none/out", "write " + dir + "/none/out: no such file or directory"},
		{"a file as folder", "/dev/null/out", "write /dev/null/out: not a directory"},
		{"full device", "/dev/full", "write /dev/full: no space left on device; free some space or choose another folder"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if strings.HasPrefix(test.path, "/dev/") && runtime.GOOS != "linux" {
				t.Skip("needs Linux device files")
			}
			err := WriteBytes(test.path, 0o644, bytes.Repeat([]byte("x"), 1<<18))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if got := entries(t, dir); len(got) != 0 {
		t.Errorf("the folder holds %q, want nothing", got)
	}
}

func TestDevicesStayDevices(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/null")
	}
	if err := WriteBytes("/dev/null", 0o644, []byte("gone")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat("/dev/null")
	if err != nil || info.Mode()&fs.ModeCharDevice == 0 {
		t.Fatalf("/dev/null is %v (%v), no longer a device", info.Mode(), err)
	}
}

func TestLinksAndPermissionsSurvive(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permission bits and links differ there")
	}
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := WriteBytes(file, 0o640, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o606); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	if err := WriteBytes(link, 0o644, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, file); got != "new" {
		t.Errorf("the link's target holds %q, want %q", got, "new")
	}
	if info, _ := os.Lstat(link); info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link became a file")
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o606 {
		t.Errorf("mode %o, want the old 606", info.Mode().Perm())
	}
}
