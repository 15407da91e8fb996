package worker

import (
	"bytes"
	"sync"
)

// tail is a writer that keeps the last bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
	cut bool
}

// tailSize holds the report of a crash in Go: its first line and the stack of the goroutine that crashed.
const tailSize = 64 << 10

// Write keeps p, dropping the oldest bytes. It never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*tailSize {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-tailSize:]...)
		t.cut = true
	}
	return len(p), nil
}

// String returns at most tailSize bytes, whole lines if there are any.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out, cut := t.buf, t.cut
	if len(out) > tailSize {
		out, cut = out[len(out)-tailSize:], true
	}
	if i := bytes.IndexByte(out, '\n'); cut && i >= 0 {
		out = out[i+1:]
	}
	return string(out)
}
