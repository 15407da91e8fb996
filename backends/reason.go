package backends

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/graph"
)

// Reason is a stable code for why something cannot run here. The set is closed: scripts match on the codes, and what was
// found (paths, versions, messages of libraries) travels in a separate detail text.
type Reason string

// The catalog. The codes of CUDA, FP8 and INT8 are the original's (spec/runtime.md 2.6), but for compute_capability_unsupported; the others are
// this project's, in place of those that name Python, Triton or torch.
const (
	CudaUnavailable           Reason = "cuda_unavailable"
	CudaDeviceNotFound        Reason = "cuda_device_not_found"
	CudaDeviceOutOfRange      Reason = "cuda_device_index_out_of_range"
	CudaQueryFailed           Reason = "cuda_query_failed"
	FP8RequiresCuda           Reason = "fp8_requires_cuda"
	CudaCapabilityUnknown     Reason = "cuda_compute_capability_unknown"
	CapabilityBelowSM90       Reason = "compute_capability_below_sm90"
	Int8RequiresCuda          Reason = "cuda_required_for_tensorrt_int8"
	CapabilityUnsupported     Reason = "compute_capability_unsupported" // a device too old for the kernels
	KernelLoadFailed          Reason = "kernel_load_failed"             // the driver refuses the compiled kernels
	LibraryNotFound           Reason = "library_not_found"
	LibraryLoadFailed         Reason = "library_load_failed"
	LibraryVersionUnsupported Reason = "library_version_unsupported"
	LibraryWrongArchitecture  Reason = "library_wrong_architecture"
	LibrarySymbolMissing      Reason = "library_symbol_missing"
	HeadersNotFound           Reason = "headers_not_found" // of TensorRT or CUDA, to compile with
	PluginMissing             Reason = "plugin_missing"    // of TensorRT, for an operator of the graph
	PluginMismatch            Reason = "plugin_mismatch"   // there is one, with another version or other fields
	BuilderUnavailable        Reason = "builder_unavailable"
	EngineBuildFailed         Reason = "engine_build_failed"
	EngineCorrupt             Reason = "engine_corrupt"  // no engine, or one that was cut or changed
	EngineForeign             Reason = "engine_foreign"  // of another kind of device
	EngineOutdated            Reason = "engine_outdated" // of another model, library, driver or build of the plugins
	EngineCacheUnwritable     Reason = "engine_cache_unwritable"
	CalibratorUnavailable     Reason = "calibrator_unavailable" // the backend's library finds no ranges by itself, or not by the method
	BatchUnsupported          Reason = "batch_unsupported"      // outside the batches that an engine is to serve
	PrecisionNotHeld          Reason = "precision_not_held"     // where a layer has to compute in a wider one
	DeviceMemoryExhausted     Reason = "device_memory_exhausted"
	ProviderUnavailable       Reason = "provider_unavailable"
	PrecisionUnsupported      Reason = "precision_unsupported"
	NotCalibrated             Reason = "not_calibrated" // no ranges of this model, which the precision needs
	OperatorUnsupported       Reason = "operator_unsupported"
	BuiltWithoutCgo           Reason = "built_without_cgo"
	WorkerNotFound            Reason = "worker_not_found"
	WorkerStartFailed         Reason = "worker_start_failed"
	WorkerVersionMismatch     Reason = "worker_version_mismatch"
	InstructionSetUnsupported Reason = "instruction_set_unsupported" // APEXX_ISA asks for one that the machine or the build lacks
	FunctionBody              Reason = "function_body"               // executed through its ONNX function body
	PrecisionEmulated         Reason = "precision_emulated"          // computed in float32 and rounded at the points of graph.Lower
	OnHost                    Reason = "executed_on_host"            // by the processor, in a session whose other steps a device executes
	OnCUDAProvider            Reason = "executed_by_cuda_provider"   // of ONNX Runtime, in a session of its TensorRT provider, which refused the step
)

// Reasons lists the catalog in a fixed order.
var Reasons = []Reason{
	CudaUnavailable, CudaDeviceNotFound, CudaDeviceOutOfRange, CudaQueryFailed, FP8RequiresCuda, CudaCapabilityUnknown,
	CapabilityBelowSM90, Int8RequiresCuda, CapabilityUnsupported, KernelLoadFailed, LibraryNotFound, LibraryLoadFailed, LibraryVersionUnsupported, LibraryWrongArchitecture,
	LibrarySymbolMissing, HeadersNotFound, PluginMissing, PluginMismatch, BuilderUnavailable, EngineBuildFailed, EngineCorrupt, EngineForeign, EngineOutdated,
	EngineCacheUnwritable, CalibratorUnavailable, BatchUnsupported, PrecisionNotHeld, DeviceMemoryExhausted, ProviderUnavailable, PrecisionUnsupported, NotCalibrated, OperatorUnsupported, BuiltWithoutCgo, WorkerNotFound,
	WorkerStartFailed, WorkerVersionMismatch, InstructionSetUnsupported, FunctionBody, PrecisionEmulated, OnHost, OnCUDAProvider,
}

// Unavailable is the error for a backend, precision or option that cannot be had here. Commands exit with 5 on it.
type Unavailable struct {
	Backend string
	Reason  Reason
	Detail  string
}

// RefuseOpaque is nil for a graph all of whose operators package graph knows, and for another an *Unavailable that names the others with
// the first reason why each is none of them: for backends that do not execute ONNX itself.
func RefuseOpaque(backend string, g *graph.Graph) error {
	nodes := map[string][]*graph.Node{}
	for _, n := range g.OpaqueNodes() {
		nodes[n.Op.OpType()] = append(nodes[n.Op.OpType()], n)
	}
	if len(nodes) == 0 {
		return nil
	}
	var lacking []string
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		first := nodes[name][0]
		text := fmt.Sprintf("%s (node %s", name, first.Name)
		if more := len(nodes[name]) - 1; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		lacking = append(lacking, fmt.Sprintf("%s: %s)", text, first.Op.(graph.Opaque).Why))
	}
	return &Unavailable{Backend: backend, Reason: OperatorUnsupported, Detail: "operators that it lacks: " + strings.Join(lacking, ", ")}
}

// Error names the backend, the reason code and what was found.
func (u *Unavailable) Error() string {
	if u.Detail == "" {
		return fmt.Sprintf("backend %s is unavailable: %s", u.Backend, u.Reason)
	}
	return fmt.Sprintf("backend %s is unavailable: %s: %s", u.Backend, u.Reason, u.Detail)
}
