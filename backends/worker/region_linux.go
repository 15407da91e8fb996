package worker

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// removeEarly tells whether a session's folder goes as soon as both ends have opened its files: a file stays usable for those who have it open.
const removeEarly = true

// region is a file of tensors at the worker's end. On Linux it is mapped; publish and fetch have nothing to do.
type region struct {
	file     *os.File
	data     []byte
	readOnly bool
}

// reserve makes a file at least size bytes long and takes the space, so that a full disk is an error here and not a SIGBUS later.
func reserve(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		err = f.Truncate(size)
	}
	if err != nil {
		return fmt.Errorf("no room for %d bytes of tensors in %s: %w", size, f.Name(), err)
	}
	return nil
}

// openRegion maps the file that the client made. Writing to a read-only region ends the process.
func openRegion(path string, readOnly bool) (*region, error) {
	mode := os.O_RDWR
	if readOnly {
		mode = os.O_RDONLY
	}
	f, err := os.OpenFile(path, mode, 0)
	if err != nil {
		return nil, err
	}
	r := &region{file: f, readOnly: readOnly}
	if err := r.remap(); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// grow makes the file at least size bytes long. It moves the mapping: views of it from before end.
func (r *region) grow(size int64) error {
	if size <= int64(len(r.data)) {
		return nil
	}
	size = roundUp(size, int64(os.Getpagesize()))
	if err := reserve(r.file, size); err != nil {
		return err
	}
	return r.remap()
}

// remap maps the file as long as it is now.
func (r *region) remap() error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	r.unmap()
	prot := unix.PROT_READ
	if !r.readOnly {
		prot |= unix.PROT_WRITE
	}
	r.data, err = unix.Mmap(int(r.file.Fd()), 0, int(info.Size()), prot, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping %d bytes of %s: %w", info.Size(), r.file.Name(), err)
	}
	return nil
}

// rest lets the pages go that were touched, until they are touched again: a session has copied most of the weights by now.
func (r *region) rest() {
	_ = unix.Madvise(r.data, unix.MADV_DONTNEED) // advice
}

func (r *region) unmap() {
	if r.data != nil {
		unix.Munmap(r.data) // fails for addresses that are not mapped alone
		r.data = nil
	}
}

func (r *region) publish() error { return nil }
func (r *region) fetch() error   { return nil }

// close ends the mapping and with it all views.
func (r *region) close() {
	r.unmap()
	r.file.Close()
}
