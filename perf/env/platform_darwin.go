package env

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// fillPlatform adds what macOS tells by sysctl(3).
func fillPlatform(e *Environment) {
	e.Kernel, _ = unix.Sysctl("kern.osrelease")
	e.CPU.Model, _ = unix.Sysctl("machdep.cpu.brand_string")
	if bytes, err := unix.SysctlUint64("hw.memsize"); err == nil {
		e.MemoryBytes = int64(bytes)
	}
	if virtual, err := unix.SysctlUint32("kern.hv_vmm_present"); err == nil {
		e.CPU.Virtual = virtual == 1
	}
}

func allowedProcessors() []int { return firstProcessors(runtime.NumCPU()) }
