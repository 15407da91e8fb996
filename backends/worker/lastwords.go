package worker

import (
	"errors"
	"os"
)

// lastWords reads what a child writes. What the child left in the pipe is read although the deadline that its end sets has passed: whoever
// reads may not have run for a while. Of what another process goes on to write no more than maxLastWords follow.
type lastWords struct {
	pipe *os.File
	late int // bytes read after the deadline
}

// maxLastWords is what a pipe holds at most, unless a privileged process has enlarged it.
const maxLastWords = 1 << 20

// Read implements io.Reader.
func (r *lastWords) Read(b []byte) (int, error) {
	n, err := r.pipe.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) && r.late < maxLastWords {
		if waiting := readWaiting(r.pipe, b); waiting > 0 {
			r.late += waiting
			return waiting, nil
		}
	}
	return n, err
}
