// Package measure times cells in worker processes.
//
// Data flows in this order:
//
//  1. Workloads (workload.go) turns a cell into a graph and its inputs: the complete model, or the part of it that the scope
//     names (scope.go), fed with what reaches that part in the complete model.
//  2. Replicate (replicate.go) starts a fresh worker process, warms each cell up in turn and records a perf.Measurement of it.
//  3. Witness (witness.go) runs each cell once more, untimed, and compares its outputs with the float64 oracle's: speed counts
//     only where parity holds.
package measure
