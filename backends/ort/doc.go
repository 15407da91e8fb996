// Package ort runs graphs on ONNX Runtime, through github.com/yalue/onnxruntime_go.
//
// A graph is exported with package onnx, function bodies included, and handed to the runtime as bytes. The shared library
// is not linked: it is searched for when the backend is first used (library.go), checked before it is opened, and opened
// once per process (environment.go). A session binds its inputs and outputs once, so that a run copies the inputs in and
// nothing else (session.go).
//
// It computes in float32, whatever the precision: tf32, fp16 and bf16 are emulated by casts in the exported graph (graph.Lower).
//
// Without cgo the package builds too; its backend is then never available. The library is supported on Linux.
package ort

import (
	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
)

// name is the backend's name in the registry and in errors.
const name = "ort"

// Backend is ONNX Runtime. It has no state of its own: the library is opened once per process.
type Backend struct{}

// New returns the backend. It opens nothing yet.
func New() *Backend { return &Backend{} }

var _ backends.Backend = (*Backend)(nil)

// Name implements backends.Backend.
func (*Backend) Name() string { return name }

// supports answers for a library that is there. Standard operators have kernels, the others run through their bodies; tf32, fp16 and
// bf16 are emulated: the same kernels compute in float32, and casts round at the points of graph.Lower.
func supports(op graph.Op, precision backends.Precision) backends.Support {
	if !offered(precision) {
		return backends.Support{Level: backends.Unsupported, Reason: backends.PrecisionUnsupported, Detail: "this backend has " + precisions + ", not " + string(precision)}
	}
	if f := precision.Format(); f != "" {
		return backends.Support{Level: backends.Emulated, Reason: backends.PrecisionEmulated, Detail: "float32 arithmetic, cast to " + string(f)}
	}
	if _, norm := op.(graph.GroupNormalization); norm || op.OpDomain() == graph.Domain {
		return backends.Support{Level: backends.Emulated, Reason: backends.FunctionBody}
	}
	return backends.Support{Level: backends.Native}
}

const precisions = "fp32, tf32, fp16 or bf16"

func offered(p backends.Precision) bool { return p == "" || p == backends.FP32 || p.Format() != "" }
