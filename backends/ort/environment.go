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
	driver        *driver // of devices; nil until a provider needs it
	tensorRT      string  // version of TensorRT; "" until a provider needs it
}

// environment guards the one runtime of the process. It stays open until the process ends: sessions use it, and the library
// does not survive being unloaded.
var environment struct {
	sync.Mutex
	opened *library
}

// open returns the runtime, with what the provider needs, and opens it first if need be. A failed attempt may be repeated.
func (b *Backend) open() (*library, error) {
	environment.Lock()
	defer environment.Unlock()
	if lib := environment.opened; lib != nil && !b.provider.onDevice() {
		return lib, nil
	}
	path, err := placesOf(b.provider).find(b.check)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil { // a bare name would be searched for by the loader
		return nil, unavailable(backends.LibraryNotFound, "%v", err)
	}
	lib, err := openLibrary(path)
	if err == nil {
		err = lib.prepare(b.provider)
	}
	return lib, err
}

// Find tells why the library is not here, without opening anything: nil, or an *backends.Unavailable. That what it needs is there, Probe tells.
func (b *Backend) Find() error {
	_, err := placesOf(b.provider).find(b.check)
	return b.own(err)
}

// check tells why a library cannot be used for the provider, without opening it.
func (b *Backend) check(path string) error {
	if err := checkLibrary(path); err != nil {
		return err
	}
	return builtFor(b.provider, path)
}

// telemetryVariable, set before the library is opened, keeps it from sending events to its maker, with a number of the machine's own that it keeps in the
// user's cache, from a thread and a database that also disturb measurements.
const telemetryVariable = "ORT_DISABLE_TELEMETRY"

// openLibrary opens the runtime of a path, unless it is open.
func openLibrary(path string) (*library, error) {
	if lib := environment.opened; lib != nil && lib.path == path {
		return lib, nil
	} else if lib != nil {
		return nil, unavailable(backends.LibraryLoadFailed, "this process has opened %s, and a process holds one: %s needs a worker of its own", lib.path, path)
	}
	if err := os.Setenv(telemetryVariable, "1"); err != nil {
		return nil, unavailable(backends.LibraryLoadFailed, "%v", err)
	}
	ort.SetSharedLibraryPath(path)
	// What goes wrong is returned as an error; the library's own log would only repeat it on standard error.
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return nil, unavailable(openReason(err), "%s: %v", path, err)
	}
	environment.opened = &library{path: path, version: ort.GetVersion()}
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
