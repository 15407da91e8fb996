package input

import (
	"os"
	"sync"
	"time"
)

// reading holds what Read waits for. A signal is the process's, and so is what it ends.
var reading struct {
	sync.Mutex
	files       map[*os.File]bool
	interrupted bool
}

// Interrupt ends every Read that waits for a pipe, also one that begins later.
func Interrupt() {
	reading.Lock()
	defer reading.Unlock()
	reading.interrupted = true
	for f := range reading.files {
		expire(f)
	}
}

// interruptible lets Interrupt end the reading of f until the function that it returns is called.
func interruptible(f *os.File) (done func()) {
	reading.Lock()
	defer reading.Unlock()
	if reading.files == nil {
		reading.files = map[*os.File]bool{}
	}
	reading.files[f] = true
	if reading.interrupted {
		expire(f)
	}
	return func() {
		reading.Lock()
		defer reading.Unlock()
		delete(reading.files, f)
	}
}

// expire makes reading fail with os.ErrDeadlineExceeded. A regular file takes no deadline and does not wait.
func expire(f *os.File) { _ = f.SetReadDeadline(time.Unix(1, 0)) }
