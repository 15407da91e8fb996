package env

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// fillPlatform adds what needs system calls: nothing on Linux, whose files tell everything.
func fillPlatform(*Environment) {}

// allowedProcessors returns the affinity mask of the process (sched_getaffinity). Machines with more processors than the mask
// has room for give the number alone.
func allowedProcessors() []int {
	var mask unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &mask); err != nil || mask.Count() == 0 {
		return firstProcessors(runtime.NumCPU())
	}
	out := make([]int, 0, mask.Count())
	for p := 0; len(out) < mask.Count(); p++ {
		if mask.IsSet(p) {
			out = append(out, p)
		}
	}
	return out
}
