package worker

import (
	"os"

	"golang.org/x/sys/unix"
)

const sharedMemory = "/dev/shm"

func folderBases() []string { return []string{sharedMemory, os.TempDir()} }

// freeSharedMemory returns the bytes that a file in shared memory may take, 0 where there is none.
func freeSharedMemory() int64 {
	var s unix.Statfs_t
	if unix.Statfs(sharedMemory, &s) != nil || s.Type != unix.TMPFS_MAGIC || unix.Access(sharedMemory, unix.W_OK) != nil {
		return 0
	}
	return int64(s.Bavail) * s.Bsize
}

// lockFile opens, or creates, a file and locks it for as long as it stays open. It fails when another process has locked it.
func lockFile(path string, create bool) (*os.File, error) {
	mode := os.O_RDWR
	if create {
		mode |= os.O_CREATE | os.O_EXCL
	}
	f, err := os.OpenFile(path, mode, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
