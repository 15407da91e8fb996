package backendtest_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
)

// BenchmarkProcessorTime is BenchmarkComplete on one thread, by the time that the process had on a processor: what others do on the
// machine, who make the threads of a session wait for each other, disturbs it less.
func BenchmarkProcessorTime(b *testing.B) {
	a, in := open(b, reference.New(), 1)
	defer a.Close()
	o, _ := open(b, ort.New(), 1)
	defer o.Close()
	compare(b, func(s backends.Session) time.Duration {
		start := processorTime(b)
		run(b, s, in)
		return processorTime(b) - start
	}, a, o)
}

// processorTime is what the process has used so far.
func processorTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
