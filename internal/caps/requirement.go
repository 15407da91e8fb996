package caps

import (
	"slices"

	"github.com/apex-x/apexx/backends"
)

// State of a capability.
type State string

// The states.
const (
	Met     State = "met"
	Missing State = "missing" // the reason says why
	Unknown State = "unknown" // not asked for: something before it is missing
)

// Capability is something that a backend requires or can use.
type Capability struct {
	Name   string           `json:"name"`
	State  State            `json:"state"`
	Reason *backends.Reason `json:"reason"` // null unless it is missing
}

// requirement is something without which a backend does not run, and the codes with which its probe says that this is what it lacks.
type requirement struct {
	name  string
	codes []backends.Reason
}

var (
	workerIsThere = requirement{"worker", []backends.Reason{backends.WorkerNotFound, backends.WorkerStartFailed, backends.WorkerVersionMismatch}}
	deviceIsThere = requirement{cudaAvailable, []backends.Reason{
		backends.CudaUnavailable, backends.CudaDeviceNotFound, backends.CudaDeviceOutOfRange, backends.CudaQueryFailed}}
	libraryIsThere = requirement{"library", []backends.Reason{
		backends.LibraryNotFound, backends.LibraryLoadFailed, backends.LibraryVersionUnsupported, backends.LibraryWrongArchitecture, backends.LibrarySymbolMissing}}
)

const cudaAvailable = "cuda.available"

// requirements are in the order in which a backend's probe meets them. The last one of each takes codes that no other has.
var requirements = map[string][]requirement{
	"reference": {{"instruction_set", []backends.Reason{backends.InstructionSetUnsupported}}},
	"ort":       {{"cgo", []backends.Reason{backends.BuiltWithoutCgo}}, libraryIsThere},
	"cuda": {workerIsThere, deviceIsThere, {"driver", []backends.Reason{backends.LibraryVersionUnsupported}},
		{"compute_capability", []backends.Reason{backends.CapabilityUnsupported}}, {"kernels", []backends.Reason{backends.KernelLoadFailed}}},
	"tensorrt":     {workerIsThere, deviceIsThere, libraryIsThere},
	"ort-cuda":     ortOnDevice,
	"ort-tensorrt": ortOnDevice,
}

// ortOnDevice is what a provider of ONNX Runtime on a device requires. Its library is a build with the provider, and what that needs of NVIDIA's.
var ortOnDevice = []requirement{{"cgo", []backends.Reason{backends.BuiltWithoutCgo}}, workerIsThere,
	{libraryIsThere.name, append(slices.Clone(libraryIsThere.codes), backends.ProviderUnavailable)}, deviceIsThere}

// required tells what of its requirements a backend meets. A probe ends at the first that is missing; of those behind it, the device alone is
// known without it.
func (c Caps) required(b Backend) []Capability {
	list := requirements[b.Name]
	lacks := len(list)
	if !b.Available {
		lacks = slices.IndexFunc(list, func(r requirement) bool { return slices.Contains(r.codes, b.Reason) })
		if lacks < 0 {
			lacks = len(list) - 1
		}
	}
	out := []Capability{}
	for i, r := range list {
		entry := Capability{Name: r.name, State: Met}
		switch {
		case i == lacks:
			entry.State, entry.Reason = Missing, why(b.Reason)
		case i > lacks && r.name == cudaAvailable:
			entry = capability(r.name, c.Cuda.Reason)
		case i > lacks:
			entry.State = Unknown
		}
		out = append(out, entry)
	}
	return out
}

// capability is met without a reason, and missing with one.
func capability(name string, reason *backends.Reason) Capability {
	if reason == nil {
		return Capability{Name: name, State: Met}
	}
	return Capability{Name: name, State: Missing, Reason: reason}
}

// optional tells what a backend could use besides.
func (c Caps) optional(b Backend) []Capability {
	fp8 := capability("fp8", why(c.fp8Missing(slices.Contains(b.Precisions, backends.FP8))))
	switch b.Name {
	case "cuda":
		return []Capability{c.tensorCores(), capability("nvml", why(c.nvmlReason())), fp8}
	case "tensorrt":
		return []Capability{capability("headers_available", c.TensorRT.headersReason()),
			b.part("plugins", backends.PluginMissing, b.fact("plugin_library") == ""), b.part("builder", backends.BuilderUnavailable, b.fact("no_builder") != ""),
			capability("int8_available", c.TensorRT.Int8Reason), fp8}
	}
	return []Capability{}
}

// part is something beside a backend's library, of which nothing is known where that is not there.
func (b Backend) part(name string, reason backends.Reason, missing bool) Capability {
	switch {
	case !b.Available:
		return Capability{Name: name, State: Unknown}
	case missing:
		return capability(name, why(reason))
	}
	return capability(name, nil)
}

// tensorCores are used by the network's kernels from compute capability 8.0 on; below, convolutions run without them.
func (c Caps) tensorCores() Capability {
	entry := Capability{Name: "tensor_cores", State: Unknown}
	if major, known := majorOf(c.Cuda.ComputeCapability); known {
		entry.State = Met
		if major < 8 {
			entry.State, entry.Reason = Missing, why(backends.CapabilityUnsupported)
		}
	}
	return entry
}

// nvmlReason says why clocks and memory of devices cannot be read, "" if they can.
func (c Caps) nvmlReason() backends.Reason {
	switch {
	case len(c.Cuda.Devices) > 0:
		return ""
	case c.Cuda.Reason != nil:
		return *c.Cuda.Reason
	}
	return backends.LibraryNotFound
}
