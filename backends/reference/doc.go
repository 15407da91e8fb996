// Package reference is the backend in pure Go: no cgo, no files, nothing to install. In fp64 it is the oracle that the others are
// compared with; in fp32 it is also meant to be fast. Both come from one generic source.
//
// How a graph becomes a session and runs; the first half is package lower's work:
//
//  1. lower.Import: the nodes that the outputs and taps need become a program of nodes and values; values of declared type float32
//     take the session's precision.
//  2. Program.Fold: nodes that depend on constants alone are computed once, with the steps of this package (compiler.evaluate in
//     compile.go).
//  3. Program.Fuse: chains such as Conv, GroupNormalization, SiLU become one node; the rules are in rules.go.
//  4. lowerNodes: each node becomes a step with its workspace, or a view of its input; one function per operator (op_*.go), found
//     in a table (operators.go). What a fused step covers and a tap wants, it stores aside (compiler.lowerAside).
//  5. lower.OwnConstants: what was packed is let go, the other constants are copied, so that a session holds on to nothing else.
//  6. place: Program.Place says where each value lies in the arena; it is made, and every step gets its slices (memory.go). From
//     here on nothing is allocated.
//  7. run: inputs are copied into the arena and the steps are executed in order, each on all threads (session.go).
//
// Package kernel, below this one, has the inner loops of convolution, matrix product, normalisation and activations. In fp32, and only
// there, large convolutions of 3×3 and stride 1 go by Winograd's algorithm (op_conv.go, kernel.WinogradSuits), whose rounding errors are
// several times those of the sum of products; the operator of such a step begins with Winograd, and the option winograd=off has none.
// The oracle and the emulated precisions stay direct, since they define what is right.
//
// Results are bit-identical for any number of threads and across runs: work is cut into the same pieces whatever the number
// of threads, no piece writes what another one reads, and sums are taken in a fixed order, in float64 where they are long.
//
// To add an operator, write its lowering in a file op_NAME.go, enter it in the table of operators.go, and add it to the tests: by
// hand in ops_test.go, and to the graph of network_test.go, which the tests of allocation, threads, taps and fusion run. A lowering
// asks for scratch, allows in-place results, says which constants it packed, and leaves a bind function that takes the slices of its
// values and returns what each run does; what it returns must not allocate. A fused operator is a rule in rules.go besides.
package reference
