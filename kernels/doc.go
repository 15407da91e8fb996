// Package kernels is what a program in Go needs to launch the network's kernels (conv.cu, norm.cu): it knows no device and no CUDA.
//
//  1. conv.go: the launch table. Which kernels there are, what each computes, its threads and shared memory, and Choose, which picks one.
//  2. pack.go: weights in the order in which a kernel reads them.
//  3. task.go: jobs (a map and the output channels that a task makes of it) cut into the tasks of a launch.
//  4. norm.go: the same for whole maps that are normalised, gated and added.
//
// The same formulas stand in conv.h and norm.h. A test holds this package to what they print (testdata/launch.golden, written by make
// kernels-test).
package kernels
