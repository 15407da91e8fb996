//go:build cgo

package ort

import (
	"os"
	"path/filepath"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/apex-x/apexx/backends"
)

// library is the opened ONNX Runtime.
type library struct {
	path, version string
	providers     []string
}

// environment guards the one runtime of the process. It stays open until the process ends: sessions use it, and the library
// does not survive being unloaded.
var environment struct {
	sync.Mutex
	opened *library
}

// open returns the runtime and opens it first if need be. A failed attempt may be repeated.
func open() (*library, error) {
	environment.Lock()
	defer environment.Unlock()
	if environment.opened != nil {
		return environment.opened, nil
	}
	path, err := standardPlaces().find(checkLibrary)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil { // a bare name would be searched for by the loader
		return nil, unavailable(backends.LibraryNotFound, "%v", err)
	}
	// fp32 is strict on every provider. TensorRT's has no option for it; this variable turns TF32 off in all of NVIDIA's libraries, which
	// read it when a provider loads them.
	if err := os.Setenv("NVIDIA_TF32_OVERRIDE", "0"); err != nil {
		return nil, unavailable(backends.LibraryLoadFailed, "%v", err)
	}
	ort.SetSharedLibraryPath(path)
	// What goes wrong is returned as an error; the library's own log would only repeat it on standard error.
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return nil, unavailable(openReason(err), "%s: %v", path, err)
	}
	environment.opened = &library{path: path, version: ort.GetVersion(), providers: providers()}
	return environment.opened, nil
}

// openReason classifies a failure of the binding, which has no typed errors.
func openReason(err error) backends.Reason {
	switch text := err.Error(); {
	case strings.Contains(text, "Error setting ORT API base"):
		return backends.LibraryVersionUnsupported
	case strings.Contains(text, "OrtGetApiBase"):
		return backends.LibrarySymbolMissing
	default:
		return backends.LibraryLoadFailed
	}
}

// providers lists the execution providers that the library accepts here.
func providers() []string {
	list := []string{"cpu"}
	for _, p := range []string{"cuda", "tensorrt"} {
		o, err := ort.NewSessionOptions()
		if err != nil {
			continue
		}
		if appendProvider(o, p) == nil {
			list = append(list, p)
		}
		o.Destroy()
	}
	return list
}

// appendProvider makes a session prefer an execution provider.
func appendProvider(o *ort.SessionOptions, provider string) error {
	switch provider {
	case "cuda":
		p, err := ort.NewCUDAProviderOptions()
		if err != nil {
			return err
		}
		defer p.Destroy()
		if err := p.Update(map[string]string{"use_tf32": "0"}); err != nil { // as the environment says; this one is checked
			return err
		}
		return o.AppendExecutionProviderCUDA(p)
	case "tensorrt":
		p, err := ort.NewTensorRTProviderOptions()
		if err != nil {
			return err
		}
		defer p.Destroy()
		return o.AppendExecutionProviderTensorRT(p)
	}
	return nil
}
