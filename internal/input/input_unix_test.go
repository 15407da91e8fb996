//go:build unix

package input

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestPipesAndSocketsDoNotBlock(t *testing.T) {
	dir := t.TempDir()
	pipe, socket := filepath.Join(dir, "pipe"), filepath.Join(dir, "socket")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir) // the whole path may be longer than the name of a socket
	l, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for path, want := range map[string]string{
		pipe:   pipe + " is a pipe; want a picture in a regular file",
		socket: socket + " is a socket; want a picture in a regular file",
	} {
		if _, err := Open(path, Picture); errorText(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestOpenPipe reads a pipe by the name of its descriptor, as a shell's <(…) gives it, until it ends or Interrupt does.
func TestOpenPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	path := "/dev/fd/" + strconv.Itoa(int(r.Fd()))
	if _, err := os.Stat(path); err != nil {
		t.Skip(err)
	}
	if _, err := w.WriteString("model: {}\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, small); errorText(err) != path+" is a pipe; want a configuration in a regular file" {
		t.Errorf("Open, whose callers may map the file: %v", err)
	}
	defer func() { reading.interrupted = false }()
	time.AfterFunc(50*time.Millisecond, Interrupt)
	if _, err := Read(path, small); !errors.Is(err, context.Canceled) {
		t.Errorf("a pipe that does not end: %v", err)
	}
	if _, err := Read(path, small); !errors.Is(err, context.Canceled) {
		t.Errorf("after the interruption: %v", err)
	}
	reading.interrupted = false
	if _, err := w.WriteString("\ufeffmodel: {}\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := Read(path, small); errorText(err) != path+" begins with a byte order mark; save it as UTF-8 without one" {
		t.Errorf("a byte order mark: %v", err)
	}
	if data, err := Read(path, small); err != nil || len(data) > 0 {
		t.Errorf("at its end: %q, %v", data, err)
	}
}

// TestFileOfUnknownSize reads files of /proc, which have content and a size of 0.
func TestFileOfUnknownSize(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip(err)
	}
	if data, err := Read("/proc/self/status", small); err != nil || len(data) == 0 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	tiny := Kind{Name: "a number", Max: 10}
	if _, err := Read("/proc/self/status", tiny); errorText(err) != "/proc/self/status is larger than the 0 MiB that a number may have" {
		t.Errorf("beyond the limit: %v", err)
	}
}
