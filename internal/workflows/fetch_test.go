package workflows

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestFetchHeaders runs the script that fetches CUDA's headers with a pip that gives it something else, or nothing. None of it may stay.
func TestFetchHeaders(t *testing.T) {
	for name, tt := range map[string]struct {
		pip  string // what it does, in the folder for the wheel
		want string
	}{
		"another wheel": {"echo forged >cuda.whl", "fetch.sh: the PyPI wheel nvidia-cuda-runtime-cu12 12.9.79 does not have the pinned digest"},
		"no network":    {"echo no route to host >&2; exit 1", "fetch.sh: pip could not fetch nvidia-cuda-runtime-cu12 12.9.79: no route to host; or name a folder"},
		"no wheel":      {"true", "fetch.sh: the PyPI wheel nvidia-cuda-runtime-cu12 12.9.79 does not have the pinned digest"},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "bin", "python3"), "#!/bin/sh\nwhile [ \"$1\" != --dest ]; do shift; done\ncd \"$2\" && { "+tt.pip+"; }\n")
		target := filepath.Join(dir, "target")
		path := filepath.Join(dir, "bin") + string(os.PathListSeparator) + os.Getenv("PATH")
		_, errs, code := script(t, dir, []string{"PATH=" + path}, ci(t, "../backends/cuda/fetch.sh"), target)
		if code != 1 || !strings.Contains(errs, tt.want) {
			t.Errorf("%s: exit code %d and\n%swant %q", name, code, errs, tt.want)
		}
		if left, err := os.ReadDir(target); err != nil || len(left) != 0 {
			t.Errorf("%s: %v, left in the target: %v", name, err, left)
		}
	}
}

// TestFetchTensorRT runs the script that fetches TensorRT's libraries with a mirror that has something else, or nothing. It takes no file for the right one by its name.
func TestFetchTensorRT(t *testing.T) {
	for _, program := range []string{"curl", "unzip"} {
		if _, err := exec.LookPath(program); err != nil || runtime.GOARCH != "amd64" {
			t.Skip("it fetches with curl and unzip, for amd64 alone")
		}
	}
	for name, tt := range map[string]struct {
		archive string // what the mirror has; "" for nothing
		want    string
	}{
		"another archive": {"forged", "redist.jar does not have the pinned digest"},
		"no archive":      {"", "fetch.sh: cannot fetch file://"},
	} {
		dir := t.TempDir()
		mirror, target := filepath.Join(dir, "mirror"), filepath.Join(dir, "target")
		if tt.archive != "" {
			write(t, filepath.Join(mirror, "org/bytedeco/tensorrt/10.6-1.5.11/tensorrt-10.6-1.5.11-linux-x86_64-redist.jar"), tt.archive)
		}
		there := []string{"libnvinfer.so.10", "libnvinfer_builder_resource.so.10.6.0", "libnvonnxparser.so.10"}
		for _, library := range there {
			write(t, filepath.Join(target, library), "cut")
		}
		_, errs, code := script(t, dir, []string{"MAVEN_REPOSITORY=file://" + mirror}, ci(t, "../backends/tensorrt/fetch.sh"), target)
		if code != 1 || !strings.Contains(errs, tt.want) {
			t.Errorf("%s: exit code %d and\n%swant %q", name, code, errs, tt.want)
		}
		if left, err := os.ReadDir(target); err != nil || len(left) != len(there) {
			t.Errorf("%s: %v, in the target: %v", name, err, left)
		}
	}
}
