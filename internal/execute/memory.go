package execute

import (
	"runtime"
	"slices"

	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
)

// threadReserve is the address space that a thread reserves and hardly uses: an arena of glibc's allocator and a stack.
const threadReserve = 64<<20 + 8<<20

// MemoryLimit returns the default of worker.Spec.MemoryLimit, in bytes, 0 for none.
//
// A worker of a backend that this program holds may map, beyond what it has mapped at its start, twice as much as there is memory
// (env.Memory), and what two threads per processor reserve: allocators touch half of what they map (ONNX Runtime's arena doubles; a
// collected heap holds garbage as large as what lives). A cell that asks for more than the machine could ever give then ends alone and at once;
// one that asks for less than that and for too much, and several that do so together, are left to the kernel, which takes a worker before
// it takes its parent. A driver of a device reserves address space far beyond all memory: backends with executables of their own have no
// limit, nor have those of ONNX Runtime on a device.
func MemoryLimit(backend string) int64 {
	if !slices.Contains(InProcess().Names(), backend) || perf.OnDevice(backend) {
		return 0
	}
	memory := env.Memory()
	if memory == 0 { // not Linux, where there are no limits
		return 0
	}
	return max(2*memory+2*int64(runtime.NumCPU())*threadReserve, worker.MinMemoryLimit)
}
