//go:build !linux

package worker

import (
	"fmt"
	"io"
	"os"
)

// removeEarly tells whether a session's folder goes as soon as both ends have opened its files: an open file may refuse to be removed.
const removeEarly = false

// region is a file whose contents two processes share. Here it is a buffer that publish writes and fetch reads.
type region struct {
	file *os.File
	data []byte
}

func createRegion(path string, size int64) (*region, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	r := &region{file: f}
	if err := r.grow(max(size, 1)); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

func openRegion(path string, readOnly bool) (*region, error) {
	mode := os.O_RDWR
	if readOnly {
		mode = os.O_RDONLY
	}
	f, err := os.OpenFile(path, mode, 0)
	if err != nil {
		return nil, err
	}
	r := &region{file: f}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return r, r.refresh(info.Size())
}

// grow makes the file at least size bytes long. Views from before end.
func (r *region) grow(size int64) error {
	if size <= int64(len(r.data)) {
		return nil
	}
	if err := r.file.Truncate(size); err != nil {
		return fmt.Errorf("no room for %d bytes of tensors in %s: %w", size, r.file.Name(), err)
	}
	r.data = make([]byte, roundUp(size, 4096)) // so large that it is aligned
	return nil
}

// refresh follows a file that the other end has grown to at least size bytes.
func (r *region) refresh(size int64) error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	if size > info.Size() {
		return fmt.Errorf("the worker claims %d bytes of outputs, their file has %d", size, info.Size())
	}
	if size > int64(len(r.data)) {
		r.data = make([]byte, roundUp(size, 4096))
	}
	return nil
}

// publish writes the buffer to the file, fetch reads it back at the other end.
func (r *region) publish() error {
	_, err := r.file.WriteAt(r.data, 0)
	return err
}

func (r *region) fetch() error {
	if _, err := r.file.ReadAt(r.data, 0); err != nil && err != io.EOF {
		return err
	}
	return nil
}

func (r *region) close() { r.file.Close() }
