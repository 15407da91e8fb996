package main

import (
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/apex-x/apexx/internal/exit"
)

// terminal is a pseudo-terminal; text returns what was written to it, once it is closed.
func terminal(t *testing.T) (tty *os.File, text func() string) {
	t.Helper()
	controller, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { controller.Close() })
	if err := unix.IoctlSetPointerInt(int(controller.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(controller.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Skip(err)
	}
	written := make(chan string)
	go func() {
		all, _ := io.ReadAll(controller) // ends with an error when the terminal is closed
		written <- string(all)
	}()
	return tty, func() string {
		tty.Close()
		return <-written
	}
}

// TestBuildOnTerminal: whatever command builds an engine, a terminal sees how far it is, and nothing of it when it is done.
func TestBuildOnTerminal(t *testing.T) {
	engines, err := exec.LookPath("apexx-engines")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("APEXX_WORKER_TENSORRT", engines)
	dir := t.TempDir()
	model := []string{"--shape", "1x3x128x128", "--engine-cache", "none"}
	for name, args := range map[string][]string{
		"engine build": append([]string{"engine", "build", "--out", dir + "/x.engine"}, model...),
		"plan":         append([]string{"plan", "--backend", "tensorrt"}, model...),
	} {
		tty, text := terminal(t)
		code := run(t.Context(), append([]string{"apexx"}, args...), nil, io.Discard, tty)
		if got := text(); code != exit.OK || !strings.Contains(got, "[1/2] choosing kernels, 0s") || !strings.HasSuffix(got, "\r\x1b[K") {
			t.Errorf("%s: exit code %d and %q", name, code, got)
		}
	}
}
