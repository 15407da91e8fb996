package worker

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// TestLastWords reads a pipe whose deadline passed before anybody read, and that another process holds open: it is quiet, or writes on
// without end.
func TestLastWords(t *testing.T) {
	const said = "index out of range\n"
	for _, chatter := range []bool{false, true} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, said); err != nil {
			t.Fatal(err)
		}
		if err := r.SetReadDeadline(time.Now()); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for chatter {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}()
		var got bytes.Buffer
		if _, err := io.Copy(&got, &lastWords{pipe: r}); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("reading ended with %v", err)
		}
		if !bytes.HasPrefix(got.Bytes(), []byte(said)) || !chatter && got.Len() != len(said) || got.Len() > 2*maxLastWords {
			t.Errorf("read %d bytes: %.40q, want %q first", got.Len(), got.Bytes(), said)
		}
		r.Close()
		<-ended
		w.Close()
	}
}
