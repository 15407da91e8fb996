package env

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/printable"
)

// Environment variables that change what workers compute, or how fast, and that nothing else in a record tells: GOMAXPROCS is part of the class,
// CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER choose the device that it names, and what chooses a library shows in its version and digest.
var (
	decisive = []string{
		backends.TF32Variable, // rounds float32 in NVIDIA's libraries, or forbids it
		// The CUDA driver: serialises launches, loads and compiles kernels, keeps them, shares the device, puts a tool in between.
		"CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING", "CUDA_MODULE_DATA_LOADING", "CUDA_CACHE_DISABLE", "CUDA_CACHE_MAXSIZE", "CUDA_CACHE_PATH",
		"CUDA_FORCE_PTX_JIT", "CUDA_DISABLE_PTX_JIT", "CUDA_FORCE_JIT", "CUDA_DISABLE_JIT", "CUDA_DEVICE_MAX_CONNECTIONS", "CUDA_SCALE_LAUNCH_QUEUES",
		"CUDA_AUTO_BOOST", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "CUDA_MPS_PIPE_DIRECTORY", "CUDA_ENABLE_COREDUMP_ON_EXCEPTION", "CUDA_INJECTION64_PATH",
		"GODEBUG", "GOGC", "GOMEMLIMIT", // the runtime of Go
		"GLIBC_TUNABLES", "LD_PRELOAD", "LD_AUDIT", "LD_BIND_NOW", // the C library and the loader
		worker.InjectVariable, "APEXX_ISA", "APEXX_NVRTC", "APEXX_TRT_ENGINE", // our own
	}
	families = []string{"CUBLAS", "CUDNN_", "ORT_", "OMP_", "KMP_", "MALLOC_"}

	// places are variables of a family that say where something is or of which version, as images with these libraries set them.
	places = regexp.MustCompile(`_(VERSION|HOME|ROOT|DIR|PATH|LIB|LIBRARY)$`)
)

// telemetry keeps ONNX Runtime from sending events. Workers set it themselves, and so does a process that has asked the library for its version.
const telemetry = "ORT_DISABLE_TELEMETRY"

// folder is what an absolute path has before its last name, which alone is told: folders hold the names of people.
var folder = regexp.MustCompile(`(^|[\s:;,=])(/[^\s:;,=/]*)*/`)

// Variables returns those variables of an environment of NAME=VALUE (os.Environ) that change what workers compute or how fast, in the order of names.
// A value is one line that is fit to print, without the folders of paths. backends.TF32Variable counts also where it is set to nothing: what NVIDIA's
// libraries make of that is not documented. All others are unset then.
func Variables(environ []string) []Software {
	var list []Software
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if changes(name) && (value != "" || name == backends.TF32Variable) {
			list = append(list, Software{printable.Line(name), printable.Line(folder.ReplaceAllString(value, "$1"))})
		}
	}
	slices.SortFunc(list, func(a, b Software) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

// Injected returns the faults that workers were made to have (worker.InjectVariable), "" for none: what was measured so tries the tools and says nothing
// of a build.
func (e Environment) Injected() string {
	if i := slices.IndexFunc(e.Variables, func(v Software) bool { return v.Key == worker.InjectVariable }); i >= 0 {
		return e.Variables[i].Value
	}
	return ""
}

func changes(name string) bool {
	inFamily := slices.ContainsFunc(families, func(f string) bool { return strings.HasPrefix(name, f) })
	return slices.Contains(decisive, name) || inFamily && name != telemetry && !places.MatchString(name)
}
