// Package worker runs a backend in a process of its own and makes that process look like a backends.Backend.
//
// A crash, a hang or an out-of-memory of native code then costs one call instead of the program, a vendor library is linked
// into one executable alone, and two builds of apexx can be compared in one session. The pieces, in the order in which a call
// passes through them:
//
//  1. Spec says what to start. Find locates the executable of a backend that lives outside apexx.
//  2. Client (from New) is a Backend that starts a fresh process for every compiled session. Start is the layer below it: a
//     Worker is one process, and several sessions may share it.
//  3. Requests travel as length-prefixed JSON messages on the pipes to the child's standard input and output, one at a time.
//     Tensors do not: every session has one file for inputs and one for outputs. The worker maps them; the client reads and writes
//     them, as nothing that a worker does to a file may end the client.
//  4. Serve is the other end: it answers requests with the methods of a backends.Backend. ServeStdio wires it to the pipes.
//  5. What goes wrong comes back typed: *backends.Unavailable where something cannot be had, *Error where the backend
//     refused or failed and the process goes on, *Died where the process is gone, *Stuck where it cannot be had to go.
//
// No worker outlives its parent, and no file of a session outlives both. PROTOCOL.md describes the messages, their
// versions and the memory layout for authors of workers in other languages.
package worker
