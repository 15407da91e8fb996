//go:build cgo

package ort

/*
#include <dlfcn.h>
#include <stdlib.h>

// The handle is kept: what is opened here is what the provider is going to open.
static const char *apexx_load(const char *name) { return dlopen(name, RTLD_LAZY) ? NULL : dlerror(); }

// TensorRT's version, 0 where the library is not open.
static int apexx_tensorrt_version(const char *name) {
  void *library = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
  int (*version)(void) = library ? (int (*)(void))dlsym(library, "getInferLibVersion") : 0;
  return version ? version() : 0;
}
*/
import "C"

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/libpath"
)

// files are those of a provider on a device, which the library opens from its own folder. Engines of TensorRT leave to CUDA what they refuse.
func (p Provider) files() []string {
	switch p {
	case CUDA:
		return []string{"libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"}
	case TensorRT:
		return []string{"libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so", "libonnxruntime_providers_tensorrt.so"}
	}
	return nil
}

// convolutions is opened by providers when they need it, so that no header tells.
const convolutions = "libcudnn.so.9"

// builtFor tells why the library of a path cannot have a provider: a file of the provider is not beside it.
func builtFor(p Provider, path string) error {
	for _, name := range p.files() {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), name)); err != nil {
			return unavailable(backends.ProviderUnavailable, "provider %s: %s has no %s beside it; run 'make setup-ort-gpu', or set %s to a library with its providers beside it",
				p, path, name, deviceLibraryVariable)
		}
	}
	return nil
}

// prepare finds out whether a provider can run: there is a device, NVIDIA's libraries can be loaded, and the library accepts the provider.
func (l *library) prepare(p Provider) error {
	if !p.onDevice() {
		return nil
	}
	// fp32 is strict on every provider. TensorRT's has no option for it; this variable turns TF32 off in all of NVIDIA's libraries, which read it when a provider
	// loads them. A provider on a device has a process of its own: others, such as TensorRT's own worker, must not inherit it.
	if err := os.Setenv(backends.TF32Variable, "0"); err != nil {
		return unavailable(backends.LibraryLoadFailed, "%v", err)
	}
	if l.driver == nil {
		d, err := openDriver(driverLibrary)
		if err != nil {
			return err
		}
		l.driver = d
	}
	for _, name := range p.files() {
		if err := loadNeeds(p, l.beside(name)); err != nil {
			return err
		}
	}
	l.tensorRT = tensorRTVersion()
	o, err := ort.NewSessionOptions()
	if err != nil {
		return err
	}
	defer o.Destroy()
	return appendProvider(o, settings{provider: p})
}

// beside returns the path of a file of a provider, which lies beside the library.
func (l *library) beside(name string) string { return filepath.Join(filepath.Dir(l.path), name) }

// loadNeeds opens the libraries that a file of a provider needs, so that the first that is missing is told by name.
func loadNeeds(p Provider, file string) error {
	f, err := elf.Open(file)
	if err != nil {
		return unavailable(backends.LibraryLoadFailed, "provider %s: %s is no ELF library: %v", p, file, err)
	}
	defer f.Close()
	needs, err := f.ImportedLibraries()
	if err != nil {
		return unavailable(backends.LibraryLoadFailed, "provider %s: %s: %v", p, file, err)
	}
	for _, name := range append(needs, convolutions) {
		if why := load(name); why != "" {
			return missingNeed(p, name, why, tensorRTs(libpath.Loader(os.Getenv("LD_LIBRARY_PATH"), libpath.Configurations)))
		}
	}
	return nil
}

// missingNeed tells of a library that a provider needs and the loader cannot open. found are the files of TensorRT that there are.
func missingNeed(p Provider, name, why string, found []string) error {
	switch {
	case strings.HasPrefix(name, "libnvinfer") && len(found) > 0:
		return unavailable(backends.LibraryVersionUnsupported, "provider %s needs %s, and there is %s", p, name, strings.Join(found, ", "))
	case strings.Contains(why, name) && strings.Contains(why, "No such file"):
		return unavailable(backends.LibraryNotFound, "provider %s needs %s: put the folder that holds it on LD_LIBRARY_PATH", p, name)
	}
	return unavailable(backends.LibraryLoadFailed, "provider %s needs %s: %s", p, name, why)
}

// tensorRTs lists the files of TensorRT's library in folders, whatever their version.
func tensorRTs(folders []string) []string {
	var out []string
	for _, dir := range folders {
		files := libpath.Glob(dir, "libnvinfer.so.*")
		out = append(out, files...)
	}
	return out
}

// load opens a library by its name. It returns why it cannot, "" if it can.
func load(name string) string {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	if why := C.apexx_load(c); why != nil {
		return C.GoString(why)
	}
	return ""
}

// tensorRTVersion returns the version of the TensorRT that is open, such as 10.6.0; "" where none is.
func tensorRTVersion() string {
	c := C.CString("libnvinfer.so.10")
	defer C.free(unsafe.Pointer(c))
	v := int(C.apexx_tensorrt_version(c))
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100)
}

// appendProvider makes a session prefer its execution provider. Its errors are *backends.Unavailable.
func appendProvider(o *ort.SessionOptions, set settings) error {
	var err error
	switch set.provider {
	case CUDA:
		err = appendCUDA(o)
	case TensorRT:
		err = errors.Join(appendTensorRT(o, tensorRTOptions(set.engineLevel, set.folder)), appendCUDA(o))
	}
	if err != nil {
		return unavailable(providerReason(err), "provider %s: %v", set.provider, err)
	}
	return nil
}

// providerReason classifies why the library refuses a provider whose files and needs are there.
func providerReason(err error) backends.Reason {
	if text := err.Error(); strings.Contains(text, "undefined symbol") || strings.Contains(text, "version") {
		return backends.LibraryVersionUnsupported
	}
	return backends.ProviderUnavailable
}

func appendCUDA(o *ort.SessionOptions) error {
	p, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer p.Destroy()
	if err := p.Update(map[string]string{"use_tf32": "0"}); err != nil { // as the environment says; this one is checked
		return err
	}
	return o.AppendExecutionProviderCUDA(p)
}

func appendTensorRT(o *ort.SessionOptions, options map[string]string) error {
	p, err := ort.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	defer p.Destroy()
	if err := p.Update(options); err != nil {
		return err
	}
	return o.AppendExecutionProviderTensorRT(p)
}

// leftToCUDA are the operator types that are not part of engines: between NonMaxSuppression and ScatterND lie the only values whose size their data decide, and
// an engine that reads one would be built anew, for minutes, whenever there are more of them than ever before. leastEngine is the least number
// of nodes of an engine, one more than lie between the two.
var leftToCUDA = []string{"NonMaxSuppression", "ScatterND"}

const leastEngine = 3

// tensorRTOptions are the provider's options, with the folder of its engines or "". TF32 has none (see prepare); without options of other
// precisions its networks are strongly typed, so that nothing is computed in less than float32. What was measured for one engine serves the others.
func tensorRTOptions(level int, folder string) map[string]string {
	options := map[string]string{
		"trt_op_types_to_exclude":        strings.Join(leftToCUDA, ","),
		"trt_min_subgraph_size":          strconv.Itoa(leastEngine),
		"trt_builder_optimization_level": strconv.Itoa(level),
	}
	if folder != "" {
		options["trt_engine_cache_enable"], options["trt_engine_cache_path"] = "1", folder
		options["trt_timing_cache_enable"], options["trt_timing_cache_path"] = "1", folder
	}
	return options
}

// refusals are what the provider tensorrt says of a graph that it cannot cut into engines, and of an engine that TensorRT does not build.
var refusals = map[string]backends.Reason{
	"TensorRT input: ": backends.OperatorUnsupported,
	"TensorRT EP failed to create engine from network": backends.EngineBuildFailed,
}

// refused tells a session that the provider tensorrt refuses for what it cannot do, an *backends.Unavailable, from other failures of the library.
func (p Provider) refused(err error) error {
	if p != TensorRT {
		return err
	}
	for said, reason := range refusals {
		if _, rest, ok := strings.Cut(err.Error(), said); ok {
			return unavailable(reason, "provider %s: %s%s", p, said, rest)
		}
	}
	return err
}
