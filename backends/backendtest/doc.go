// Package backendtest is the compliance suite that every backend runs.
//
// Run compiles each case, a graph of one operator or of one module, on the backend and compares its outputs with Oracle, an
// evaluation in float64 that shares no code with any backend. The cases cover shapes with dimensions of 0, 1 and primes,
// tiles at and around their sizes, NaN, infinities, negative zero and subnormal numbers, and ties. A case that a backend
// does not take is skipped with its reason; Deviations lists the skips that are known, so that a new one fails.
//
// RunModules does the same for the modules of small models, RunReplay for models under given decisions. RunSessions checks what the
// contract says of sessions beside their numbers: the order of calls, refusals, cancellation, taps, plans, times, memory and leaks.
//
// To add an operator, give it an oracle in oracle.go or oracle_own.go and rows in cases.go. To add a backend, call
// these from its tests; package toydevice is a backend for the suite's own.
package backendtest
