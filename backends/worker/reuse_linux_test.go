package worker

import (
	"context"
	"testing"

	"github.com/apex-x/apexx/backends"
)

// TestReuse runs sessions in one process until one of them fails; the next has another.
func TestReuse(t *testing.T) {
	r := Reuse(spec(t, "ok"))
	defer r.Close()
	processes := map[int]bool{}
	session := func(extra map[string]string) error {
		t.Helper()
		s, err := r.Compile(context.Background(), addGraph(t, 2), backends.Options{Extra: extra})
		if err != nil {
			return err
		}
		processes[r.running.proc.cmd.Process.Pid] = true
		_, err = backends.Run(context.Background(), s, floats(2, 1))
		if closed := s.Close(); err == nil && closed != nil {
			t.Error(closed)
		}
		return err
	}
	for i, c := range []struct {
		extra     map[string]string
		fails     bool
		processes int
	}{
		{nil, false, 1}, {nil, false, 1},
		{map[string]string{"execute": "error"}, true, 1}, {nil, false, 2},
		{map[string]string{"compile": "error"}, true, 2}, {nil, false, 3}, {nil, false, 3},
	} {
		if err := session(c.extra); (err != nil) != c.fails || len(processes) != c.processes {
			t.Errorf("session %d: %v, %d processes, want %d", i, err, len(processes), c.processes)
		}
	}
}
