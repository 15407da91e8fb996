package journal

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// otherLimited runs into the limit on the size of files, which tears a write in the middle, and goes on when it is lifted.
func otherLimited(j *Journal, mode string) error {
	if mode != "limited" {
		return fmt.Errorf("unknown mode %q", mode)
	}
	signal.Ignore(syscall.SIGXFSZ)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 10000, Max: before.Max}); err != nil {
		return err
	}
	for n := range 2 {
		if err := j.Append(line(n)); err != nil {
			return err
		}
	}
	size, err := os.Stat(j.path)
	if err != nil {
		return err
	}
	for range 2 { // both times in the middle of the line
		if err := j.Append(line(2)); !errors.Is(err, syscall.EFBIG) || strings.Contains(err.Error(), "\n") {
			return fmt.Errorf("a write beyond the limit: %v", err)
		}
		if now, err := os.Stat(j.path); err != nil || now.Size() != size.Size() {
			return fmt.Errorf("the damaged write was not taken back: %d bytes, want %d", now.Size(), size.Size())
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	return j.Append(line(2))
}

func TestDamagedWriteIsTakenBack(t *testing.T) {
	dir := t.TempDir()
	cmd, said, _ := start(t, "limited", dir)
	for said.Scan() {
		t.Error(said.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, lines := open(t, dir); numbers(t, lines) != 3 {
		t.Errorf("%d lines, want 3", len(lines))
	}
}

// TestFullDisk fills a file system of 64 KiB.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	j, _ := open(t, filepath.Join(dir, "store"))
	n := 0
	var err error
	for ; err == nil; n++ {
		err = j.Append(line(n))
	}
	want := "write " + filepath.Join(dir, "store", "log") + ": no space left on device; free some space; what was written before is kept: the same command goes on"
	if !errors.Is(err, syscall.ENOSPC) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(line(n - 1)); err != nil {
		t.Error(err)
	}
	j.Close()
	if _, lines := open(t, filepath.Join(dir, "store")); numbers(t, lines) != n {
		t.Errorf("%d lines, want %d", len(lines), n)
	}
}
