package worker

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
)

// stateOf returns the letter by which the kernel tells the state of a process: T is stopped.
func stateOf(t *testing.T, pid int) byte {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	return text[bytes.LastIndexByte(text, ')')+2]
}

// TestPause stops a worker, lets it go on and work, and closes it while it is stopped.
func TestPause(t *testing.T) {
	s := compileFake(t, spec(t, "ok"), "", backends.Options{})
	pid := s.worker.hello.Pid
	until := func(want bool) {
		t.Helper()
		for begin := time.Now(); (stateOf(t, pid) == 'T') != want; time.Sleep(time.Millisecond) {
			if time.Since(begin) > patience {
				t.Fatalf("process in state %c", stateOf(t, pid))
			}
		}
	}
	s.worker.Pause()
	until(true)
	s.worker.Resume()
	until(false)
	if _, err := backends.Run(context.Background(), s, floats(3, 1)); err != nil {
		t.Error(err)
	}
	s.worker.Pause()
	until(true)
	if err := s.worker.Close(); err != nil || s.worker.proc.wasKilled() {
		t.Errorf("closing a paused worker: %v, killed: %v", err, s.worker.proc.wasKilled())
	}
	if got := stateOf(t, pid); got != 0 && got != 'Z' {
		t.Errorf("process in state %c after Close", got)
	}
	s.worker.Pause() // it is gone
	s.worker.Resume()
}
