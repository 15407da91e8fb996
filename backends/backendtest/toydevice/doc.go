// Package toydevice is a backend that pretends to compute on a device, so that what a GPU backend needs of package lower, of the contract
// and of the worker protocol is tested where there is none. Only tests use it.
//
// Its memory is a slice of bytes that nothing but copies reaches (memory.go): weights are written there when a session is compiled,
// inputs by Upload, and outputs are read back by Download. Everything that a run has to compute is spoiled before it, so that no step can
// live on what an earlier run left. A kernel reads its operands into registers, which are float64, and stores float32: a value inside of a
// fused step is never rounded, and one that a tap forces into memory is. So a split chain gives other bits, as on a real device, and the
// plan must say so.
//
// It fuses more than the reference: a convolution, its normalisation and everything element-wise behind them are one step (rules.go).
// Convolutions apart, it evaluates nodes as the suite's oracle does: what the suite says of its numbers shows that values are where they
// should be, and no more. Operators that are not in its list of kernels stand for those that a device leaves to the host: the plan calls
// their steps fallbacks. Precisions below float32 are emulated by the rounding that graph.Lower adds. Its clock ticks twice in a
// microsecond.
package toydevice
