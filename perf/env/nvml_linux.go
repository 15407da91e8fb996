//go:build linux && cgo

package env

import (
	"fmt"
	"os"
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/apex-x/apexx/backends"
)

// The binding links no library: libnvidia-ml.so.1 is opened at run time, and its functions are bound when they are first
// called. Calling one that an older driver lacks would end the process, so that every call goes through ask, which looks the
// symbol up first. A program linked with immediate binding (-z now) would not even start without the library; where the C
// toolchain does that by default, link with -extldflags=-Wl,-z,lazy as the Makefile does.

// shared is the one binding of the process; opening and closing it are counted.
var shared struct {
	sync.Mutex
	api nvml.Interface
}

func openNVML() (driver, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.api == nil {
		shared.api = nvml.New()
	}
	switch result := shared.api.Init(); result {
	case nvml.SUCCESS:
		return &library{shared.api}, nil
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		if _, err := os.Stat(kernelDriver); err != nil {
			return nil, &gpuError{backends.CudaUnavailable, "no NVIDIA driver: libnvidia-ml.so.1 cannot be opened and " + kernelDriver + " is not there"}
		}
		return nil, &gpuError{backends.LibraryNotFound, "the NVIDIA kernel driver is loaded, but libnvidia-ml.so.1 cannot be opened " +
			"(in a container, start it with the NVIDIA runtime and the capability utility)"}
	case nvml.ERROR_DRIVER_NOT_LOADED:
		return nil, &gpuError{backends.CudaUnavailable, "nvmlInit: " + result.Error()}
	default:
		return nil, &gpuError{backends.CudaQueryFailed, "nvmlInit: " + result.Error()}
	}
}

// library implements driver.
type library struct{ api nvml.Interface }

// ask calls one function of the library if the library has it.
func ask[T any](l *library, symbol string, call func() (T, nvml.Return)) (T, error) {
	var none T
	if err := l.api.Extensions().LookupSymbol(symbol); err != nil {
		return none, fmt.Errorf("this driver has no %s", symbol)
	}
	value, result := call()
	if result != nvml.SUCCESS {
		return none, fmt.Errorf("%s: %s", symbol, result.Error())
	}
	return value, nil
}

func (l *library) Version() (string, error) {
	return ask(l, "nvmlSystemGetDriverVersion", l.api.SystemGetDriverVersion)
}

func (l *library) CUDAVersion() (string, error) {
	v, err := ask(l, "nvmlSystemGetCudaDriverVersion", l.api.SystemGetCudaDriverVersion)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d.%d", v/1000, v%1000/10), nil
}

func (l *library) DeviceCount() (int, error) {
	return ask(l, "nvmlDeviceGetCount_v2", l.api.DeviceGetCount)
}

func (l *library) Device(index int) (device, error) {
	handle, err := ask(l, "nvmlDeviceGetHandleByIndex_v2", func() (nvml.Device, nvml.Return) { return l.api.DeviceGetHandleByIndex(index) })
	if err != nil {
		return nil, err
	}
	return &gpu{l, handle}, nil
}

// Close gives the library back. What it answers is of no consequence: the last one to close it unloads it.
func (l *library) Close() {
	shared.Lock()
	defer shared.Unlock()
	l.api.Shutdown()
}
