// Package evidence holds what one run of a compiled session showed, and says what follows from it.
//
// Matrix, sweep, gate and trend read the same record:
//
//  1. Collect compiles a graph, runs the session and keeps a Run: outputs, whether a second run gave the same bits, the backend's
//     own clock, memory, and how it ended.
//  2. How something ended is a State; there is one list of them. Of maps every error of a backend, a worker or a context to an
//     Outcome, and nothing else does.
//  3. A comparison (package parity) turns a Measured run into Pass, Explained, Unverified or Fail.
//  4. ExitCode maps the states of all cells to the exit code of a command, and Verdict names it.
//
// A state is never absent: what did not happen is NotRun or Cancelled, with the reason.
package evidence
