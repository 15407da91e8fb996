package measure

import (
	"testing"

	"github.com/apex-x/apexx/backends/worker"
)

// Stay has the processes of a test not go away: they end, and their end is told as that of a process which a driver holds.
func Stay(t *testing.T) {
	end := closeWorker
	t.Cleanup(func() { closeWorker = end })
	closeWorker = func(w *worker.Worker) error {
		if err := end(w); err != nil {
			return err
		}
		return &worker.Stuck{Backend: w.Name(), Pid: w.Hello().Pid}
	}
}
