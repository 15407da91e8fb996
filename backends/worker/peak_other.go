//go:build !linux

package worker

func peakMemory(int) int64 { return 0 }

func resetPeakMemory() {}
