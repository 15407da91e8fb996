package caps

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
)

// TensorRT is what there is of it beside its worker.
type TensorRT struct {
	Available        bool             `json:"available"`
	Version          *string          `json:"version"`
	Reason           *backends.Reason `json:"reason"`
	HeadersAvailable bool             `json:"headers_available"` // to build plugins with
	HeaderPath       *string          `json:"header_path"`
	Int8Available    bool             `json:"int8_available"`
	Int8Reason       *backends.Reason `json:"int8_reason"`
}

func (c Caps) tensorRT(o Observed) TensorRT {
	b := c.of("tensorrt")
	t := TensorRT{Available: b.Available, Version: told(b.fact("version")), Reason: why(b.Reason)}
	if path := findHeader(o.Getenv, o.Exists); path != "" {
		t.HeadersAvailable, t.HeaderPath = true, &path
	}
	switch {
	case !b.Available:
		t.Int8Reason = why(b.Reason)
	case !c.Cuda.Available:
		t.Int8Reason = why(backends.Int8RequiresCuda)
	case !slices.Contains(b.Precisions, backends.INT8):
		t.Int8Reason = why(backends.PrecisionUnsupported)
	default:
		t.Int8Available = true
	}
	return t
}

func (t TensorRT) headersReason() *backends.Reason {
	if t.HeadersAvailable {
		return nil
	}
	return why(backends.HeadersNotFound)
}

// headerVariables name folders that hold TensorRT, or its headers.
var headerVariables = []string{"TENSORRT_INCLUDE_DIR", "TRT_INCLUDE_DIR", "TENSORRT_ROOT", "TRT_ROOT", "CUDA_HOME", "CUDA_PATH"}

// headerFolders are looked into last.
var headerFolders = []string{"/usr/include", "/usr/local/include", "/usr/include/x86_64-linux-gnu", "/usr/local/TensorRT/include", "/opt/tensorrt/include", "/opt/homebrew/include"}

// findHeader returns the first header of TensorRT, "" where there is none (spec/runtime.md 2.3).
func findHeader(getenv func(string) string, exists func(string) bool) string {
	var folders []string
	for _, name := range headerVariables {
		value := getenv(name)
		if rest, home := strings.CutPrefix(value, "~"); home {
			value = getenv("HOME") + rest
		}
		if value != "" {
			folders = append(folders, value, filepath.Join(value, "include"))
		}
	}
	for _, folder := range append(folders, headerFolders...) {
		for _, name := range []string{"NvInfer.h", "NvInferRuntime.h"} {
			if path := filepath.Join(folder, name); exists(path) {
				return path
			}
		}
	}
	return ""
}
