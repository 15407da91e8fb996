package worker

import (
	"bytes"
	"fmt"
	"os"
)

// peakMemory reads VmHWM, the high-water mark of a process's resident memory, which /proc gives in KiB.
func peakMemory(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, found := bytes.Cut(status, []byte("\nVmHWM:"))
	var kib int64
	if _, err := fmt.Fscan(bytes.NewReader(rest), &kib); !found || err != nil {
		return 0
	}
	return kib << 10
}

// resetPeakMemory lets this process's high-water mark begin at what it holds now. Where the system refuses, the mark stays.
func resetPeakMemory() {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}
