package workflows

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestVetTags runs the script with headers that are there or not, and a go command that prints what it is asked.
func TestVetTags(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write(t, path("twelve/cuda.h"), "#define CUDA_VERSION 12090\n")
	write(t, path("twelve/crt/host_defines.h"), "")
	write(t, path("wheel/cuda.h"), "#define CUDA_VERSION 12090\n")
	write(t, path("thirteen/crt/host_defines.h"), "")
	write(t, path("home/include/cuda.h"), "#define CUDA_VERSION 12000\n")
	write(t, path("deps/cuda/include/cuda.h"), "#define CUDA_VERSION 12090\n")
	write(t, path("venv/lib/python3.11/site-packages/nvidia/cuda_runtime/include/cuda.h"), "#define CUDA_VERSION 12090\n")
	write(t, path("thirteen/cuda.h"), "#define CUDA_VERSION 13000\n")
	write(t, path("trt/include/NvInfer.h"), "")
	write(t, path("go"), "#!/bin/sh\necho \"$* with $CPATH\"\n")
	write(t, path("broken"), "#!/bin/sh\nexit 1\n")

	const (
		noRT  = "go vet -tags tensorrt: skipped, there is no NvInfer.h"
		noCRT = "go vet -tags tensorrt: skipped, there is no crt/host_defines.h"
	)
	for name, tt := range map[string]struct {
		env  []string
		code int
		want []string
	}{
		"nothing": {[]string{"CUDA_INCLUDE=DIR/none"}, 0, []string{"go vet -tags cuda: skipped, there is no cuda.h", noRT}},
		"both": {[]string{"CUDA_INCLUDE=DIR/twelve", "TENSORRT_ROOT=DIR/trt"}, 0,
			[]string{"vet -tags cuda ./... with DIR/twelve\n", "vet -tags tensorrt ./... with DIR/twelve:DIR/trt/include"}},
		"a home":  {[]string{"CUDA_HOME=DIR/home", "CUDA_PATH=DIR/none"}, 0, []string{"vet -tags cuda ./... with DIR/home/include\n", noRT}},
		"fetched": {[]string{"DEPS=DIR/deps"}, 0, []string{"vet -tags cuda ./... with DIR/deps/cuda/include\n", noRT}},
		"set up": {[]string{"CUDA_VENV=DIR/venv", "DEPS=DIR/deps"}, 0,
			[]string{"vet -tags cuda ./... with DIR/venv/lib/python3.11/site-packages/nvidia/cuda_runtime/include\n", noRT}},
		"headers too new": {[]string{"CUDA_INCLUDE=DIR/thirteen"}, 0, []string{"skipped, DIR/thirteen/cuda.h is of CUDA 13", noRT}},
		"TensorRT alone":  {[]string{"CUDA_INCLUDE=DIR/none", "TENSORRT_ROOT=DIR/trt"}, 0, []string{noCRT}},
		"headers in part": {[]string{"CUDA_INCLUDE=DIR/wheel", "TENSORRT_ROOT=DIR/trt"}, 0, []string{"vet -tags cuda ./... with DIR/wheel\n", noCRT}},
		"two CUDAs": {[]string{"CUDA_INCLUDE=DIR/wheel", "TENSORRT_CUDA_HEADERS=DIR/thirteen", "TENSORRT_ROOT=DIR/trt"}, 0,
			[]string{"vet -tags cuda ./... with DIR/wheel\n", "vet -tags tensorrt ./... with DIR/thirteen:DIR/trt/include"}},
		"what vet complains": {[]string{"CUDA_INCLUDE=DIR/twelve", "GO=DIR/broken"}, 1, []string{"go vet -tags cuda ./..., headers of DIR/twelve"}},
	} {
		env := []string{"GO=DIR/go", "CPATH=", "CUDA_INCLUDE=", "CUDA_HOME=", "CUDA_PATH=", "TENSORRT_ROOT=DIR/none", "TENSORRT_CUDA_HEADERS=", "DEPS=DIR/none", "CUDA_VENV=DIR/none"}
		env = append(env, tt.env...)
		for i := range env {
			env[i] = strings.ReplaceAll(env[i], "DIR", dir)
		}
		out, errs, code := script(t, dir, env, ci(t, "vet-tags"))
		if code != tt.code || errs != "" {
			t.Errorf("%s: exit code %d, %s", name, code, errs)
		}
		for _, want := range tt.want {
			if want = strings.ReplaceAll(want, "DIR", dir); !strings.Contains(out, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, out)
			}
		}
	}
}
