// Package driver gives backends/cuda the NVIDIA GPU of this machine. It is built with the tag cuda, and linked into the worker apexx-cuda and the
// tests that run on such a machine alone.
//
// Contexts, modules, memory, streams and events are gorgonia.org/cu's; shim.c adds what that lacks: CUDA graphs, page-locked memory, and starting
// on a machine without a driver. The driver's library is opened at run time: linking needs the empty archive of folder stub, and
// -Wl,--unresolved-symbols=ignore-in-object-files (make cuda).
//
// There is one context, the device's primary one, which is current on an operating-system thread only while a call of this package
// runs (gpu.do): nothing else in the program touches contexts or threads. Every session has a stream and memory of its own, so sessions run at
// once without a lock.
package driver
