package worker

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/printable"
)

// decisive are the environment variables that change what workers compute, or how fast, and that nothing else in a record tells: GOMAXPROCS is part of
// the class, CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER choose the device that it names, and what chooses a library shows in its version and digest.
// A name that ends in * stands for all that begin so.
var decisive = []string{
	backends.TF32Variable, // rounds float32 in NVIDIA's libraries, or forbids it
	// The CUDA driver: serialises launches, loads and compiles kernels, keeps them, shares the device, puts a tool in between.
	"CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING", "CUDA_MODULE_DATA_LOADING", "CUDA_CACHE_DISABLE", "CUDA_CACHE_MAXSIZE", "CUDA_CACHE_PATH",
	"CUDA_FORCE_PTX_JIT", "CUDA_DISABLE_PTX_JIT", "CUDA_FORCE_JIT", "CUDA_DISABLE_JIT", "CUDA_DEVICE_MAX_CONNECTIONS", "CUDA_SCALE_LAUNCH_QUEUES",
	"CUDA_AUTO_BOOST", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "CUDA_MPS_PIPE_DIRECTORY", "CUDA_ENABLE_COREDUMP_ON_EXCEPTION", "CUDA_INJECTION64_PATH",
	"GODEBUG", "GOGC", "GOMEMLIMIT", // the runtime of Go
	"GLIBC_TUNABLES", "LD_PRELOAD", "LD_AUDIT", "LD_BIND_NOW", // the C library and the loader
	InjectVariable, "APEXX_ISA", "APEXX_NVRTC", "APEXX_TRT_ENGINE", // our own
	"CUBLAS*", "CUDNN_*", "ORT_*", "OMP_*", "KMP_*", "MALLOC_*",
}

// places are variables of a family that say where something is or of which version, as images with these libraries set them.
var places = regexp.MustCompile(`_(VERSION|HOME|ROOT|DIR|PATH|LIB|LIBRARY)$`)

// telemetry keeps ONNX Runtime from sending events. Workers set it themselves, and so does a process that has asked the library for its version.
const telemetry = "ORT_DISABLE_TELEMETRY"

// pathFolders is what an absolute path has before its last name, which alone is told: folders hold the names of people.
var pathFolders = regexp.MustCompile(`(^|[\s:;,=])(/[^\s:;,=/]*)*/`)

// Unset stands for the value of a variable that a worker does not have and this program has.
const Unset = "(unset)"

// variableFact begins the key of a fact that Probe tells of each of Worker.Variables, such as variable.GOGC.
const variableFact = "variable."

// Told returns what Worker.Variables returns, from the facts of a probe; none of a backend that is no worker.
func Told(facts []backends.Fact) []backends.Fact {
	var list []backends.Fact
	for _, f := range facts {
		if name, ok := strings.CutPrefix(f.Key, variableFact); ok {
			list = append(list, backends.Fact{Key: name, Value: f.Value})
		}
	}
	return list
}

// Variables returns those variables of an environment of NAME=VALUE (os.Environ) that change what workers compute or how fast, in the order of names.
// A value is one line that is fit to print, without the folders of paths. backends.TF32Variable counts also where it is set to nothing: what NVIDIA's
// libraries make of that is not documented. All others are unset then.
func Variables(environ []string) []backends.Fact {
	return tellable(chosen(environ, decisive))
}

// Variables returns the variables of Variables in which the worker's environment is another than that of this program, which started it, with the worker's
// value or Unset: what a script set, or Spec.Env. A worker that does not tell, as before version 2.3 of the protocol, is taken to have this program's.
func (w *Worker) Variables() []backends.Fact { return w.variables }

// others returns what a worker told that this program has otherwise or not, and as Unset what it lacks.
func others(own, told map[string]string) map[string]string {
	list := map[string]string{}
	if told == nil {
		return list
	}
	for name, value := range told {
		if mine, set := own[name]; decides(name, value) && (!set || mine != value) {
			list[name] = value
		}
	}
	for name, value := range own {
		if theirs, has := told[name]; decides(name, value) && !(has && decides(name, theirs)) {
			list[name] = Unset
		}
	}
	return list
}

// chosen returns the variables of an environment whose names are in a list, in which a final * stands for any text.
func chosen(environ, names []string) map[string]string {
	list := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if _, twice := list[name]; !twice && slices.ContainsFunc(names, func(n string) bool { return stands(n, name) }) {
			list[name] = value
		}
	}
	return list
}

func stands(pattern, name string) bool {
	prefix, family := strings.CutSuffix(pattern, "*")
	return name == pattern || family && strings.HasPrefix(name, prefix)
}

// decides tells whether a variable changes anything where it has this value.
func decides(name, value string) bool {
	at := slices.IndexFunc(decisive, func(pattern string) bool { return stands(pattern, name) })
	return at >= 0 && (decisive[at] == name || name != telemetry && !places.MatchString(name)) && (value != "" || name == backends.TF32Variable)
}

// tellable lists those that decide something, as they are recorded.
func tellable(values map[string]string) []backends.Fact {
	var list []backends.Fact
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if value := values[name]; decides(name, value) {
			list = append(list, backends.Fact{Key: printable.Line(name), Value: printable.Line(pathFolders.ReplaceAllString(value, "$1"))})
		}
	}
	return list
}
