// Package driver gives backends/tensorrt the TensorRT of this machine. What is behind the build tag tensorrt is linked into the worker apexx-tensorrt and the
// tests that run on a machine with a GPU alone; where the libraries are looked for, and which are taken, needs no tag (find.go).
//
// Neither TensorRT nor CUDA is linked: libcuda.so.1, libnvinfer.so.10, libnvonnxparser.so.10 and our own libapexx-tensorrt.so are opened at run time, and
// what is missing is a reason. The shim is compiled against the headers of TensorRT in TENSORRT_ROOT and those of CUDA; it is the only code that
// calls through the library's classes, and shows them as a few C functions (shim.h): build.cpp builds and calibrates, shim.cpp opens libraries and
// executes.
//
// The device's primary context is made current by every function of the shim, on whatever thread it runs. Every session has a stream and memory of
// its own. What TensorRT logs as an error becomes the error of the call in which it came up.
package driver
