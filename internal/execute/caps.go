package execute

import (
	"context"
	"os"
	"path/filepath"
	"runtime"

	"github.com/apex-x/apexx/backends"
)

// Caps is what this machine can run.
type Caps struct {
	Backends      []BackendCaps `json:"backends"`
	Cuda          CudaCaps      `json:"cuda"`
	FP8           FeatureCaps   `json:"fp8"`
	AnyGPURuntime bool          `json:"any_gpu_runtime"`
	CPU           CPUCaps       `json:"cpu"`
}

// BackendCaps is one backend's probe.
type BackendCaps struct {
	Name       string               `json:"name"`
	Available  bool                 `json:"available"`
	Reason     backends.Reason      `json:"reason,omitempty"`
	Detail     string               `json:"detail,omitempty"`
	Precisions []backends.Precision `json:"precisions,omitempty"` // in which sessions can compute, widest first
	Facts      []Fact               `json:"facts,omitempty"`
}

// Fact is one observation of a probe.
type Fact struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// CudaCaps says whether the driver shows a device. The devices themselves are the CUDA worker's to describe.
type CudaCaps struct {
	Available   bool             `json:"available"`
	DeviceCount int              `json:"device_count"`
	Reason      *backends.Reason `json:"reason"`
}

// FeatureCaps is a feature and, where it is missing, why.
type FeatureCaps struct {
	Available bool             `json:"available"`
	Reason    *backends.Reason `json:"reason"`
}

// CPUCaps describes the processors that this process may use.
type CPUCaps struct {
	Architecture string `json:"architecture"`
	Threads      int    `json:"threads"`
}

// DetectCaps probes every known backend. It starts no device and never fails: what is missing is a reason.
func DetectCaps(ctx context.Context) Caps {
	caps := Caps{CPU: CPUCaps{Architecture: runtime.GOARCH, Threads: runtime.GOMAXPROCS(0)}}
	for _, name := range backends.Known {
		b, err := Open(name, Options{})
		if err != nil {
			continue // only an isolated backend of this program can fail to open
		}
		a := b.Probe(ctx)
		entry := BackendCaps{Name: name, Available: a.Available, Reason: a.Reason, Detail: a.Detail, Precisions: a.Precisions}
		for _, f := range a.Facts {
			entry.Facts = append(entry.Facts, Fact(f))
		}
		caps.Backends = append(caps.Backends, entry)
		caps.AnyGPURuntime = caps.AnyGPURuntime || a.Available && (name == "cuda" || name == "tensorrt")
	}
	caps.Cuda = detectCuda()
	reason := backends.FP8RequiresCuda
	if caps.Cuda.Available {
		reason = backends.CudaCapabilityUnknown
	}
	caps.FP8.Reason = &reason
	return caps
}

// detectCuda counts the device files of NVIDIA's kernel driver, which needs no library and touches no device.
func detectCuda() CudaCaps {
	why := func(r backends.Reason) CudaCaps { return CudaCaps{Reason: &r} }
	if _, err := os.Stat("/proc/driver/nvidia/version"); err != nil {
		return why(backends.CudaUnavailable)
	}
	devices, _ := filepath.Glob("/dev/nvidia[0-9]*") // the pattern is well-formed
	if len(devices) == 0 {
		return why(backends.CudaDeviceNotFound)
	}
	return CudaCaps{Available: true, DeviceCount: len(devices)}
}
