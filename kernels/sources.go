package kernels

import "embed"

// Sources holds the CUDA sources of the kernels, for compiling them on the device's machine (backends/cuda/nvrtc): conv.cu, norm.cu and ops.cu, and what
// these include.
//
//go:embed *.cu *.cuh both.h conv.h moments.h norm.h
var Sources embed.FS
