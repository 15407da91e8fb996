package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	folderPrefix = "apexx-worker-"
	lockName     = "lock"
	spareRoom    = 16 << 20 // bytes left free in shared memory
	// sweepAge spares folders that are so young that their owner may not have locked them yet.
	sweepAge = time.Minute
)

// folder is the private directory through which a graph and the files of tensors reach a worker. Its owner holds a lock on a
// file in it, which the kernel releases when the owner dies, however it dies: that is how others know a folder that nobody
// needs any more. A process id would not do, as containers may share memory and not ids.
type folder struct {
	path string
	lock *os.File
}

var sweepOnce sync.Once

// newFolder makes a folder with room for need bytes: in shared memory if it has that much, else on disk.
func newFolder(need int64) (*folder, error) {
	sweepOnce.Do(func() {
		for _, base := range folderBases() {
			sweep(base)
		}
	})
	base := os.TempDir()
	if freeSharedMemory() >= need+spareRoom {
		base = sharedMemory
	}
	path, err := os.MkdirTemp(base, fmt.Sprintf("%s%d-", folderPrefix, os.Getpid())) // 0700
	if err != nil {
		return nil, fmt.Errorf("no folder for the tensors of a worker: %w", err)
	}
	f := &folder{path: path}
	if f.lock, err = lockFile(filepath.Join(path, lockName), true); err != nil {
		os.RemoveAll(path)
		return nil, fmt.Errorf("no folder for the tensors of a worker: %w", err)
	}
	return f, nil
}

func (f *folder) file(name string) string { return filepath.Join(f.path, name) }

// create makes a file of tensors with room for size bytes. The client reads and writes it and never maps it: the worker may make it
// shorter at any moment, and touching mapped memory beyond the end of a file is a SIGBUS.
func (f *folder) create(name string, size int64) (*os.File, error) {
	file, err := os.OpenFile(f.file(name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := reserve(file, max(size, 1)); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (f *folder) remove() {
	removeFolder(f.path)
	f.lock.Close()
}

// removeFolder removes a folder of this package, and refuses anything else: the path may come from the other end.
func removeFolder(path string) {
	if strings.HasPrefix(filepath.Base(path), folderPrefix) {
		os.RemoveAll(path)
	}
}

// sweep removes the folders whose owners have died.
func sweep(base string) {
	stale, err := filepath.Glob(filepath.Join(base, folderPrefix+"*"))
	if err != nil {
		return
	}
	for _, path := range stale {
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < sweepAge {
			continue
		}
		lock, err := lockFile(filepath.Join(path, lockName), false)
		if err == nil {
			removeFolder(path)
			lock.Close()
		} else if errors.Is(err, os.ErrNotExist) { // its owner died between two steps
			removeFolder(path)
		} // else a living owner holds it, or it is another user's
	}
}
