package caps

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
)

// Caps is what a machine can run.
type Caps struct {
	Backends      []Backend `json:"backends"` // every known one, in the order of backends.Known
	Cuda          Cuda      `json:"cuda"`
	TensorRT      TensorRT  `json:"tensorrt"`
	FP8           FP8       `json:"fp8"`
	AnyGPURuntime bool      `json:"any_gpu_runtime"` // whether a backend that computes on a GPU is available
	CPU           CPU       `json:"cpu"`
}

// Backend is one backend's probe, and what it needs.
type Backend struct {
	Name       string               `json:"name"`
	Available  bool                 `json:"available"`
	Reason     backends.Reason      `json:"reason,omitempty"`
	Detail     string               `json:"detail,omitempty"`
	Precisions []backends.Precision `json:"precisions,omitempty"` // in which sessions can compute, widest first
	Facts      []Fact               `json:"facts,omitempty"`
	Required   []Capability         `json:"required"` // without any of which it does not run
	Optional   []Capability         `json:"optional"` // that make it faster or more capable
	Chain      []string             `json:"chain"`    // what a permissive selection tries, the backend itself first
}

// Fact is one observation of a probe.
type Fact struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// fact returns the value of a fact, "" where the probe did not tell it.
func (b Backend) fact(key string) string {
	for _, f := range b.Facts {
		if f.Key == key {
			return f.Value
		}
	}
	return ""
}

// CPU describes the processors that this process may use.
type CPU struct {
	Architecture string `json:"architecture"`
	Threads      int    `json:"threads"`
}

// Observed is what was found on a machine.
type Observed struct {
	Probes  []Probe     // of every known backend, in the order of backends.Known
	Devices env.Devices // by NVML
	Files   int         // device files of NVIDIA's kernel driver: what can be seen of devices without NVML
	CPU     CPU
	Getenv  func(string) string    // reads CUDA_VISIBLE_DEVICES, CUDA_DEVICE_ORDER, and where TensorRT may be
	Exists  func(path string) bool // whether a file is there
}

// Probe is what a backend says of itself.
type Probe struct {
	Backend string
	backends.Availability
}

// Of sums up what was observed.
func Of(o Observed) Caps {
	c := Caps{CPU: o.CPU}
	for _, p := range o.Probes {
		b := Backend{Name: p.Backend, Available: p.Available, Reason: p.Reason, Detail: p.Detail, Precisions: p.Precisions, Chain: Chain(p.Backend)}
		if !p.Available && !slices.Contains(backends.Reasons, p.Reason) {
			b.Reason, b.Detail = backends.WorkerVersionMismatch, fmt.Sprintf("the worker gives the reason %q, which this version does not know: %s", p.Reason, p.Detail)
		}
		for _, f := range p.Facts {
			b.Facts = append(b.Facts, Fact(f))
		}
		c.Backends = append(c.Backends, b)
		c.AnyGPURuntime = c.AnyGPURuntime || p.Available && perf.OnDevice(p.Backend)
	}
	c.Cuda = cudaOf(o, c.of("cuda"))
	c.FP8 = c.fp8()
	c.TensorRT = c.tensorRT(o)
	for i := range c.Backends {
		b := &c.Backends[i]
		b.Required, b.Optional = c.required(*b), c.optional(*b)
	}
	return c
}

// of returns the entry of a backend, an empty one where there is none.
func (c Caps) of(name string) Backend {
	if i := slices.IndexFunc(c.Backends, func(b Backend) bool { return b.Name == name }); i >= 0 {
		return c.Backends[i]
	}
	return Backend{Name: name}
}

// Available lists the backends that can run here.
func (c Caps) Available() []string {
	var names []string
	for _, b := range c.Backends {
		if b.Available {
			names = append(names, b.Name)
		}
	}
	return names
}

// why points at a reason; nil for none, which JSON writes as null.
func why(r backends.Reason) *backends.Reason {
	if r == "" {
		return nil
	}
	return &r
}
