//go:build unix

package worker

import (
	"os"

	"golang.org/x/sys/unix"
)

// readWaiting reads what waits in a pipe that does not block, whatever its deadline. It returns 0 where nothing does.
func readWaiting(f *os.File, b []byte) (n int) {
	c, err := f.SyscallConn()
	if err == nil {
		err = c.Control(func(fd uintptr) { n, _ = unix.Read(int(fd), b) })
	}
	if err != nil {
		return 0
	}
	return max(n, 0)
}
