//go:build !linux

package worker

import (
	"errors"
	"os"
)

const sharedMemory = ""

// folderBases is empty: without locks that end with their owner, nobody can tell a folder in use from a stale one.
func folderBases() []string { return nil }

func freeSharedMemory() int64 { return 0 }

func lockFile(path string, create bool) (*os.File, error) {
	if !create {
		return nil, errors.ErrUnsupported
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}
