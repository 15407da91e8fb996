//go:build cuda

package driver

/*
#include "shim.h"
*/
import "C"

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/cuda/nvrtc"
	"github.com/apex-x/apexx/kernels"
)

//go:embed images/*
var images embed.FS

// operatorImage holds the kernels that run on every device.
const operatorImage = "images/ops.fatbin"

const (
	// leastCapability is that of the oldest devices that the kernels are compiled for.
	leastCapability = 75
	// leastProgrammatic is that of the oldest devices with programmatic dependent launch.
	leastProgrammatic = 90
	// leastDriver is the CUDA version of the oldest driver that loads what nvcc 13 makes, as cuDriverGetVersion counts.
	leastDriver = 13000
)

// Driver is the first CUDA device of this process (CUDA_VISIBLE_DEVICES chooses).
type Driver struct {
	once sync.Once
	gpu  *gpu
	err  *backends.Unavailable
}

// New returns the driver. Nothing is touched before it is asked for something.
func New() *Driver { return &Driver{} }

// gpu is a device with its context and the kernels.
type gpu struct {
	context    cu.CUContext
	modules    []cu.Module
	mu         sync.Mutex
	functions  map[string]function
	facts      []backends.Fact
	properties kernels.Device
}

// function is a kernel.
type function struct {
	handle    C.CUfunction
	arguments int // bytes
}

// Probe implements cuda.Driver. Its facts are the device, its compute capability, memory and multiprocessors, the driver's CUDA version, and a digest
// of the kernels.
func (d *Driver) Probe() backends.Availability {
	d.start()
	if d.err != nil {
		return backends.Availability{Reason: d.err.Reason, Detail: d.err.Detail}
	}
	return backends.Availability{Available: true, Facts: d.gpu.facts}
}

// Open implements cuda.Driver.
func (d *Driver) Open() (cuda.Device, error) {
	d.start()
	if d.err != nil {
		return nil, d.err
	}
	return newDevice(d.gpu)
}

func (d *Driver) start() { d.once.Do(func() { d.gpu, d.err = start() }) }

func unavailable(reason backends.Reason, format string, args ...any) *backends.Unavailable {
	return &backends.Unavailable{Backend: cuda.Name, Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// asUnavailable returns the reason that an error tells, or that the kernels cannot be loaded.
func asUnavailable(err error) *backends.Unavailable {
	if u := (*backends.Unavailable)(nil); errors.As(err, &u) {
		return u
	}
	return unavailable(backends.KernelLoadFailed, "%v", err)
}

func start() (*gpu, *backends.Unavailable) {
	var message *C.char
	switch state := C.apexx_driver_init(&message); state {
	case 0:
	case C.CUDA_ERROR_NO_DEVICE:
		return nil, unavailable(backends.CudaDeviceNotFound, "%s", C.GoString(message))
	default:
		return nil, unavailable(backends.CudaUnavailable, "%s", C.GoString(message))
	}
	compiler, headers, err := nvrtc.FromEnvironment(os.Getenv)
	if err != nil {
		return nil, asUnavailable(err)
	}
	if v := cu.Version(); v < leastDriver && compiler == nil {
		return nil, unavailable(backends.LibraryVersionUnsupported, "the driver supports CUDA %d.%d, the kernels need %d.%d: install driver 580 or newer, or "+
			"let NVRTC compile them here, %s=on", v/1000, v%1000/10, leastDriver/1000, leastDriver%1000/10, nvrtc.LibraryVariable)
	}
	g := &gpu{functions: map[string]function{}}
	device, missing := g.describe()
	if missing != nil {
		return nil, missing
	}
	code, err := g.images(compiler, headers)
	if err != nil {
		return nil, unavailable(backends.KernelLoadFailed, "%v", err)
	}
	if g.context, err = device.RetainPrimaryCtx(); err != nil {
		return nil, unavailable(backends.CudaQueryFailed, "the device gives no context: %v", err)
	}
	if err := g.do(func() error { return g.load(code) }); err != nil {
		return nil, unavailable(backends.KernelLoadFailed, "%v", err)
	}
	return g, nil
}

// describe collects the facts of the first device.
func (g *gpu) describe() (cu.Device, *backends.Unavailable) {
	count, err := cu.NumDevices()
	if err != nil {
		return 0, unavailable(backends.CudaQueryFailed, "counting devices: %v", err)
	}
	if count == 0 {
		return 0, unavailable(backends.CudaDeviceNotFound, "the driver shows no device")
	}
	device, err := cu.GetDevice(0)
	if err != nil {
		return 0, unavailable(backends.CudaQueryFailed, "device 0: %v", err)
	}
	name, err := device.Name()
	if err != nil {
		return 0, unavailable(backends.CudaQueryFailed, "name of device 0: %v", err)
	}
	var values []int
	for _, a := range []cu.DeviceAttribute{cu.ComputeCapabilityMajor, cu.ComputeCapabilityMinor, cu.MultiprocessorCount} {
		v, err := device.Attribute(a)
		if err != nil {
			return 0, unavailable(backends.CudaQueryFailed, "%s: %v", name, err)
		}
		values = append(values, v)
	}
	memory, err := device.TotalMem()
	if err != nil {
		return 0, unavailable(backends.CudaQueryFailed, "memory of %s: %v", name, err)
	}
	capability := fmt.Sprintf("%d.%d", values[0], values[1])
	if 10*values[0]+values[1] < leastCapability {
		return 0, unavailable(backends.CapabilityUnsupported, "%s has compute capability %s, the kernels need %d.%d", name, capability, leastCapability/10, leastCapability%10)
	}
	g.properties = kernels.Device{Multiprocessors: values[2], Capability: 10*values[0] + values[1]}
	v := cu.Version()
	g.facts = []backends.Fact{
		{Key: "device", Value: name},
		{Key: "compute_capability", Value: capability},
		{Key: "multiprocessors", Value: fmt.Sprint(values[2])},
		{Key: "memory_bytes", Value: fmt.Sprint(memory)},
		{Key: "cuda", Value: fmt.Sprintf("%d.%d", v/1000, v%1000/10)},
	}
	return device, nil
}

// image is a file of kernels that the driver can load.
type image struct {
	name, code string
	load       func(code string) (cu.Module, error)
	needed     bool // holds kernels that run on every device; others are for some generations alone: where they are not, they are not chosen
}

// images returns the kernels: those of this program, or what NVRTC makes of their sources.
func (g *gpu) images(compiler *nvrtc.Library, headers string) ([]image, error) {
	var list []image
	if compiler != nil {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no folder for what NVRTC compiles: %w", err)
		}
		compiled, err := compiler.Kernels(g.properties.Capability, headers, filepath.Join(cache, "apexx"))
		for _, code := range compiled {
			list = append(list, image{"NVRTC", string(code), cu.LoadData, true})
		}
		g.facts = append(g.facts, backends.Fact{Key: "nvrtc", Value: compiler.Version()})
		return list, err
	}
	files, err := fs.Glob(images, "images/*.fatbin")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("this program was built without kernels: run make kernels before make cuda")
	}
	for _, name := range files {
		code, err := images.ReadFile(name)
		if err != nil {
			return nil, err
		}
		list = append(list, image{name, string(code), cu.LoadFatBinary, name == operatorImage})
	}
	return list, nil
}

// load loads the kernels into the context.
func (g *gpu) load(list []image) error {
	digest := sha256.New()
	for _, i := range list {
		digest.Write([]byte(i.code))
		m, err := i.load(i.code)
		switch {
		case err == nil:
			g.modules = append(g.modules, m)
		case err != cu.NoBinaryForGpu || i.needed:
			return fmt.Errorf("%s: %w", i.name, err)
		}
	}
	g.facts = append(g.facts, backends.Fact{Key: "kernels", Value: "sha256:" + hex.EncodeToString(digest.Sum(nil))})
	return nil
}

// do calls f on an operating-system thread on which the context is current.
func (g *gpu) do(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cu.SetCurrentContext(g.context); err != nil {
		return fmt.Errorf("making the context current: %w", err)
	}
	return f()
}

// function finds a kernel.
func (g *gpu) function(name string) (function, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f, ok := g.functions[name]; ok {
		return f, nil
	}
	for _, m := range g.modules {
		found, err := m.Function(name)
		if err != nil {
			continue
		}
		f := function{handle: *(*C.CUfunction)(unsafe.Pointer(&found))} // its only field
		var size C.size_t
		if err := check(C.apexx_argument_size(f.handle, &size)); err != nil {
			return f, fmt.Errorf("kernel %s takes no argument: %w", name, err)
		}
		f.arguments = int(size)
		g.functions[name] = f
		return f, nil
	}
	return function{}, fmt.Errorf("there is no kernel %s", name)
}

// check turns a result of the driver into an error.
func check(result C.CUresult) error {
	if result == C.CUDA_SUCCESS {
		return nil
	}
	return fmt.Errorf("%s (%d)", C.GoString(C.apexx_error_name(result)), int(result))
}
