//go:build !linux

package worker

import (
	"fmt"
	"io"
	"os"
)

// removeEarly tells whether a session's folder goes as soon as both ends have opened its files: an open file may refuse to be removed.
const removeEarly = false

// region is a file of tensors at the worker's end. Here it is a buffer that publish writes to the file and fetch reads from it.
type region struct {
	file *os.File
	data []byte
}

// reserve makes a file size bytes long.
func reserve(f *os.File, size int64) error {
	if err := f.Truncate(size); err != nil {
		return fmt.Errorf("no room for %d bytes of tensors in %s: %w", size, f.Name(), err)
	}
	return nil
}

func (r *region) rest() {}

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
	r.data = make([]byte, roundUp(info.Size(), 4096)) // so large that it is aligned
	return r, nil
}

// grow makes the file at least size bytes long. Views from before end.
func (r *region) grow(size int64) error {
	if size <= int64(len(r.data)) {
		return nil
	}
	r.data = make([]byte, roundUp(size, 4096))
	return reserve(r.file, int64(len(r.data)))
}

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
