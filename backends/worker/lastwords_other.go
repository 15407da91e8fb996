//go:build !unix

package worker

import "os"

// readWaiting reads nothing: pipes have no deadlines here.
func readWaiting(*os.File, []byte) int { return 0 }
