//go:build !linux || !cgo

package env

import (
	"os"
	"runtime"

	"github.com/apex-x/apexx/backends"
)

// openNVML says why this build has no NVML: without cgo nothing can be asked, but whether there is a driver can be seen.
func openNVML() (driver, error) {
	switch _, err := os.Stat(kernelDriver); {
	case runtime.GOOS != "linux":
		return nil, &gpuError{backends.CudaUnavailable, "GPUs are looked for on Linux alone"}
	case err != nil:
		return nil, &gpuError{backends.CudaUnavailable, "the NVIDIA kernel driver is not loaded: " + err.Error()}
	}
	return nil, &gpuError{backends.BuiltWithoutCgo, "there is an NVIDIA driver, but this program was built with CGO_ENABLED=0"}
}
