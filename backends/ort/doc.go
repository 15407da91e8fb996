// Package ort runs graphs on ONNX Runtime, through github.com/yalue/onnxruntime_go.
//
// Each of the library's execution providers is a backend: ort computes on the processor, ort-cuda and ort-tensorrt on an NVIDIA device, so that
// a matrix or a sweep can hold them side by side.
//
// A graph is exported with package onnx, function bodies included, and handed to the runtime as bytes. The shared library
// is not linked: it is searched for when the backend is first used (library.go), checked before it is opened, and opened
// once per process (environment.go). A session binds its inputs and outputs once, so that an upload copies the inputs in, and
// nothing else is copied (session.go). Its plan lists the nodes that the library was given, each as a step (plan.go): what the library fuses
// it does not tell.
//
// A provider on a device needs a library built with it, NVIDIA's libraries and a driver; provider.go finds out what is missing. Inputs and
// outputs of its sessions lie in the device's memory (device.go): Upload and Download copy, Execute does not. The binding offers neither
// such tensors nor where nodes were placed, so that capi.c calls the library for both. The library has no clock of the device: what a
// session tells is the host's time of a run that ends when the device is done. fp32 is strict: TF32 is off.
//
// The provider tensorrt cuts a graph into engines of TensorRT, at operators that stay with CUDA (leftToCUDA): only what suppression kept has a size that
// its values decide, and what reads it must not be part of an engine. The exported graph names that size, so that every value has a shape.
// Building the engines of the complete model takes minutes; they are kept in a cache (engines.go).
//
// It computes in float32, whatever the precision: tf32, fp16 and bf16 are emulated by casts in the exported graph (graph.Lower), int8 and fp8
// by pairs of QuantizeLinear and DequantizeLinear. The library would fuse such pairs with the products behind them, and is told not to
// (session.disable_quant_qdq): of ours it makes integer kernels of Gemm and MatMul alone, since a convolution would have to be quantised
// behind as well, where ours are normalised. On processors without VNNI those kernels add pairs of products in 16 bits that saturate, which
// was seen to turn 2.3 into 0.2 (session.x64quantprecision mends it); of a pair in fp8 the fusion makes a model that does not load.
//
// Without cgo the package builds too; its backend is then never available. The library is supported on Linux.
package ort

import (
	"errors"

	"github.com/apex-x/apexx/backends"
)

// Provider says where ONNX Runtime computes.
type Provider string

// The providers.
const (
	CPU      Provider = "cpu"      // the processor
	CUDA     Provider = "cuda"     // an NVIDIA device, by kernels of ONNX Runtime, cuBLAS and cuDNN
	TensorRT Provider = "tensorrt" // an NVIDIA device, by engines of TensorRT and, for what it refuses, as CUDA
)

// Providers lists the providers.
var Providers = []Provider{CPU, CUDA, TensorRT}

// Backend returns the name of the backend that computes there: ort, ort-cuda or ort-tensorrt.
func (p Provider) Backend() string {
	if p == CPU {
		return "ort"
	}
	return "ort-" + string(p)
}

// onDevice tells whether a provider computes on an NVIDIA device.
func (p Provider) onDevice() bool { return p != CPU }

// Keys of backends.Options.Extra that ort-tensorrt has beside those of the others, and the value of one.
const (
	LevelOption = "level" // of TensorRT's optimisation, 0 to 5: each level tries more kernels; by default 3
	CacheOption = "cache" // folder of engines, NoCache for none; by default apexx/ort-tensorrt in the user's folder of caches
	NoCache     = "none"
)

// Backend is ONNX Runtime with one provider. It has no state of its own: the library is opened once per process.
type Backend struct {
	provider Provider
}

// New returns the backend of the processor. It opens nothing yet.
func New() *Backend { return On(CPU) }

// On returns the backend of a provider. It opens nothing yet. A process holds one library: one that is built for a device can serve all
// providers, and otherwise backends of different providers need processes of their own.
func On(p Provider) *Backend { return &Backend{provider: p} }

var _ backends.Backend = (*Backend)(nil)

// Name implements backends.Backend.
func (b *Backend) Name() string { return b.provider.Backend() }

// own names the backend in an error that says what is missing.
func (b *Backend) own(err error) error {
	if missing := (*backends.Unavailable)(nil); errors.As(err, &missing) {
		missing.Backend = b.Name()
	}
	return err
}
