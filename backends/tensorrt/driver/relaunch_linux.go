package driver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Relaunch starts this program anew, in its own place, if TensorRT was found in a folder in which the loader does not look: libnvinfer opens its builder
// resource by a bare name, and the loader reads LD_LIBRARY_PATH when a program starts alone. It returns where nothing has to be done, or can be.
func Relaunch() {
	l, err := standardPlaces().find()
	if err != nil {
		return // the probe says so
	}
	const variable = "LD_LIBRARY_PATH"
	path := os.Getenv(variable)
	if slices.Contains(filepath.SplitList(path), l.folder) {
		return
	}
	exe, err := os.Executable()
	if err != nil {
		return
	}
	environment := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, variable+"=") })
	_ = syscall.Exec(exe, os.Args, append(environment, variable+"="+strings.TrimSuffix(l.folder+":"+path, ":"))) // else as it is
}
