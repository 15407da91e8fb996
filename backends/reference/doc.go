// Package reference is the backend in pure Go: no cgo, no files, nothing to install. In fp64 it is the oracle that the others are
// compared with; in fp32 it is also meant to be fast. Both come from one generic source.
//
// How a graph becomes a session and runs:
//
//  1. import: the nodes that the outputs and taps need become a program of nodes and values; values of declared type float32
//     take the session's precision (program.go).
//  2. fold: nodes that depend on constants alone are computed once (fold.go).
//  3. fuse: chains such as Conv, GroupNormalization, SiLU become one node (fuse.go).
//  4. lower: each node becomes a step with its scratch, or a view of its input; one function per operator (op_*.go), found in
//     a table (operators.go).
//  5. place: from the lifetime of each value follows where it lies in the arena, one buffer per element type (layout.go);
//     a value may take the place of an operand that dies (in-place), and the offsets come from a planner (plan.go).
//  6. bind: every step gets its slices. From here on nothing is allocated.
//  7. run: inputs are copied into the arena and the steps are executed in order, each on all threads (session.go).
//
// Package kernel, below this one, has the inner loops of convolution, matrix product, normalisation and activations.
//
// Results are bit-identical for any number of threads and across runs: work is cut into the same pieces whatever the number
// of threads, no piece writes what another one reads, and sums are taken in a fixed order, in float64 where they are long.
//
// To add an operator, write its lowering in a file op_NAME.go, enter it in the table of operators.go, and add it to the tests: by
// hand in ops_test.go, and to the graph of network_test.go, which the tests of allocation, threads and fusion run. A lowering
// asks for scratch, allows in-place results, and leaves a bind function that takes the slices of its values and returns what
// each run does; what it returns must not allocate.
package reference
