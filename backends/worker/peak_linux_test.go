package worker

import (
	"os"
	"testing"
)

func TestPeakMemory(t *testing.T) {
	if got := peakMemory(os.Getpid()); got < 1<<20 || got > 1<<40 {
		t.Errorf("this process held at most %d bytes", got)
	}
	if got := peakMemory(1 << 30); got != 0 {
		t.Errorf("a process that does not exist held %d bytes", got)
	}
}
