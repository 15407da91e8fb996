// Package perf measures how fast the backends are and decides whether a change made any of them slower.
//
// Data flows one way, and each step is a package:
//
//  1. A Cell (this package) says what is timed: backend, model profile, precision, shape, batch and Scope.
//  2. Package measure cuts the scope's graph out of the model and times it in a fresh worker process: a Measurement with every
//     raw sample, memory, allocations and, by package env, the state of the machine.
//  3. Package accuracy says what a cell finds in a data set, and what it lost against another: the quality beside the speed.
//  4. Package sweep repeats that over many cells and replicates into a store that survives interruptions, and package stat
//     gives the Summary.
//  5. Package baseline keeps what a class of machines is expected to reach.
//  6. Package gate measures two builds in interleaved blocks, or one against a baseline, and decides.
//  7. Package trend keeps the history and finds the commits that changed it.
//
// A replicate is a process. Samples inside one share clock state, memory layout and neighbours, so they never enter a test:
// their median does.
package perf
