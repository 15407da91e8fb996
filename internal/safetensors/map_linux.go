package safetensors

import (
	"errors"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// mapFile maps the file read-only. The mapping outlives the descriptor.
func mapFile(file *os.File) (data []byte, unmap func() error, err error) {
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	size := info.Size()
	if size == 0 { // mmap refuses an empty range
		return nil, func() error { return nil }, nil
	}
	if int64(int(size)) != size {
		return nil, nil, errors.New("the file is larger than the address space")
	}
	data, err = unix.Mmap(int(file.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return data, func() error { return os.NewSyscallError("munmap", unix.Munmap(data)) }, nil
}

// guard runs read and turns a memory fault in it into an error. Reading a mapped page past the end of a file that was
// truncated meanwhile raises SIGBUS, which would otherwise end the process.
func guard(read func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			err = errors.New("the file shrank while it was read")
		default:
			panic(fault)
		}
	}()
	read()
	return nil
}
