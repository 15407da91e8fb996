// Package nvrtc compiles the kernels on the device's machine, for the device that is there, with NVIDIA's library libnvrtc. Nothing of it is linked: it is
// opened when it is asked for (FromEnvironment), and what it makes is kept in files (Library.Kernels). It needs cgo, and no device.
package nvrtc
