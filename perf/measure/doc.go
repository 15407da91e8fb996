// Package measure times cells in worker processes.
//
// Data flows in this order:
//
//  1. Workloads (workload.go) turns a cell into a graph and its inputs: the complete model, or the part of it that the scope
//     names (scope.go), fed with what reaches that part in the complete model.
//  2. Replicate (replicate.go) starts a fresh worker process, warms each cell up in turn and records a perf.Measurement of it. A process is gone
//     before the next one starts.
//  3. The samples of a cell (sample.go) are groups that the worker takes as it is told: how many, how large, and what comes between.
//  4. After its samples a session runs on inputs that it has never seen, so that what it computes elsewhere than in Execute, or only once,
//     does not pass for speed (fresh.go).
//  5. RunParity (parity_run.go) runs each cell once with each of its inputs, untimed and with taps, and compares its outputs with the float64
//     oracle's, also under the oracle's decisions: speed counts only where parity holds. What the timed sessions gave is compared too (verify.go).
//  6. RunQuality (quality.go) runs cells on every picture of a data set, in sessions compiled as the timed ones are.
package measure
