package worker

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestPollable has a pipe as a process is given one, whose read ends at a deadline once the runtime polls it.
func TestPollable(t *testing.T) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	given := os.NewFile(uintptr(fds[0]), "stdin")
	defer given.Close()
	if err := given.SetReadDeadline(time.Now()); !errors.Is(err, os.ErrNoDeadline) {
		t.Fatalf("a pipe in blocking mode: %v", err)
	}
	in := pollable(given)
	defer in.Close()
	if err := in.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v, want the deadline", err)
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if pollable(file) != file {
		t.Error("a file that is no pipe was changed")
	}
}

// TestPollEnd waits for a child that goes on for a while and for one that is over. Either can be waited for afterwards.
func TestPollEnd(t *testing.T) {
	for _, pause := range []time.Duration{0, 300 * time.Millisecond} {
		release, hold, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		child := exec.Command("cat")
		child.Stdin = release
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		release.Close()
		if pause == 0 {
			hold.Close()
			ended(child.Process.Pid, 0)
		} else {
			time.AfterFunc(pause, func() { hold.Close() })
		}
		begin := time.Now()
		if !pollEnd(child.Process.Pid) {
			child.Process.Kill()
			child.Wait()
			t.Skip("this kernel does not let the runtime poll for the end of a process")
		}
		if took := time.Since(begin); took < pause {
			t.Errorf("the child ended after %v, was held for %v", took, pause)
		}
		if err := child.Wait(); err != nil {
			t.Errorf("waiting for the child that has ended: %v", err)
		}
	}
}
