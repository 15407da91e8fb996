package workflows

import (
	"os"
	"path/filepath"
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
