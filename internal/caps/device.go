package caps

import (
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf/env"
)

// Cuda says whether the driver shows a device that a process of the CUDA driver would take, and describes all of them as NVML does.
type Cuda struct {
	Available         bool              `json:"available"`
	DeviceCount       int               `json:"device_count"`       // of the machine, before CUDA_VISIBLE_DEVICES
	DeviceName        *string           `json:"device_name"`        // of the device that would be taken; null where that cannot be told
	ComputeCapability *string           `json:"compute_capability"` // likewise, such as "9.0"
	Reason            *backends.Reason  `json:"reason"`
	Detail            string            `json:"detail,omitempty"`
	Driver            string            `json:"driver,omitempty"`       // version of the kernel driver
	CUDA              string            `json:"cuda_version,omitempty"` // the newest that the driver supports
	Devices           []env.DeviceState `json:"devices"`
}

// FP8 says whether a session can compute in fp8 here.
type FP8 struct {
	Available bool                 `json:"available"`
	DType     bool                 `json:"dtype_available"`  // whether a backend that is available has it at all
	Supported []backends.Precision `json:"supported_dtypes"` // fp8, or nothing
	Reason    *backends.Reason     `json:"reason"`
}

// cudaOf finds the device. NVML speaks first. Where it cannot be asked though there is a driver (a container without its library, a build
// without cgo), files of devices show that there are some, and the worker may have told which one it took.
func cudaOf(o Observed, worker Backend) Cuda {
	d := o.Devices
	c := Cuda{DeviceCount: len(d.List), Detail: d.Detail, Driver: d.Driver, CUDA: d.CUDA, Devices: slices.Clone(d.List)}
	if c.Devices == nil {
		c.Devices = []env.DeviceState{}
	}
	blind := d.Reason == backends.BuiltWithoutCgo || d.Reason == backends.LibraryNotFound
	if c.DeviceCount == 0 {
		c.DeviceCount = o.Files
	}
	switch {
	case len(d.List) > 0:
		var at *env.DeviceState
		var missing backends.Reason
		if at, missing, c.Detail = env.Visible(o.Getenv, d.List); missing != "" {
			c.Reason = why(missing)
			return c
		}
		if c.Detail == "" {
			c.Detail = d.Detail
		}
		if at != nil {
			c.DeviceName = &at.Name
			c.ComputeCapability = told(at.ComputeCapability)
		}
	case worker.Available, blind && o.Files > 0:
		c.DeviceCount = max(c.DeviceCount, 1)
	default:
		c.Reason = why(d.Reason)
		if blind {
			c.Reason = why(backends.CudaDeviceNotFound)
		}
		return c
	}
	c.Available = true
	if worker.Available { // what it computes on is beyond doubt
		c.DeviceName, c.ComputeCapability = told(worker.fact("device")), told(worker.fact("compute_capability"))
	}
	return c
}

func told(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// fp8 is gated by the device first: compute capability 9.0 is the first with matrix units for it. Then some backend has to have it.
func (c Caps) fp8() FP8 {
	f := FP8{Supported: []backends.Precision{}}
	for _, b := range c.Backends {
		f.DType = f.DType || b.Available && slices.Contains(b.Precisions, backends.FP8)
	}
	if f.Reason = why(c.fp8Missing(f.DType)); f.Reason == nil {
		f.Available, f.Supported = true, []backends.Precision{backends.FP8}
	}
	return f
}

// fp8Missing says why fp8 cannot be had by those whose code has it or not, "" if it can.
func (c Caps) fp8Missing(has bool) backends.Reason {
	switch major, known := majorOf(c.Cuda.ComputeCapability); {
	case !c.Cuda.Available:
		return backends.FP8RequiresCuda
	case !known:
		return backends.CudaCapabilityUnknown
	case major < 9:
		return backends.CapabilityBelowSM90
	case !has:
		return backends.PrecisionUnsupported
	}
	return ""
}

// majorOf returns the major number of a compute capability.
func majorOf(capability *string) (major int, known bool) {
	if capability == nil {
		return 0, false
	}
	text, _, _ := strings.Cut(*capability, ".")
	major, err := strconv.Atoi(text)
	return major, err == nil
}
