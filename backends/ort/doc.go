// Package ort runs graphs on ONNX Runtime, through github.com/yalue/onnxruntime_go.
//
// A graph is exported with package onnx, function bodies included, and handed to the runtime as bytes. The shared library
// is not linked: it is searched for when the backend is first used (library.go), checked before it is opened, and opened
// once per process (environment.go). A session binds its inputs and outputs once, so that an upload copies the inputs in, and
// nothing else is copied (session.go). Its plan lists the nodes that the library was given, each as a step (plan.go): what the library fuses
// it does not tell.
//
// It computes in float32, whatever the precision: tf32, fp16 and bf16 are emulated by casts in the exported graph (graph.Lower), int8 and fp8
// by pairs of QuantizeLinear and DequantizeLinear. The library would fuse such pairs with the products behind them, and is told not to
// (session.disable_quant_qdq): of ours it makes integer kernels of Gemm and MatMul alone, since a convolution would have to be quantised
// behind as well, where ours are normalised. On processors without VNNI those kernels add pairs of products in 16 bits that saturate, which
// was seen to turn 2.3 into 0.2 (session.x64quantprecision mends it); of a pair in fp8 the fusion makes a model that does not load.
//
// Without cgo the package builds too; its backend is then never available. The library is supported on Linux.
package ort

import "github.com/apex-x/apexx/backends"

// name is the backend's name in the registry and in errors.
const name = "ort"

// Backend is ONNX Runtime. It has no state of its own: the library is opened once per process.
type Backend struct{}

// New returns the backend. It opens nothing yet.
func New() *Backend { return &Backend{} }

var _ backends.Backend = (*Backend)(nil)

// Name implements backends.Backend.
func (*Backend) Name() string { return name }
