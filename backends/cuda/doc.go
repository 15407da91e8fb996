// Package cuda executes the graph in our own kernels (folder kernels) on an NVIDIA GPU: from the inputs to the outputs nothing leaves the
// device. It is the second executor of package lower, and knows devices through two small interfaces alone (device.go), so that all
// of it is tested without one: the tests run the kernels in an emulation on the host (package emulation).
//
// How a graph becomes a session:
//
//  1. lower.Import, Program.Fold and Program.Fuse, with the rules of rules.go. Constants are folded by the kernels that would compute
//     them in every run (compiler.evaluate in compile.go).
//  2. lowerNodes: each node becomes a step with its workspace, or a view of its input; one function per operator (op_*.go), found in a
//     table (operators.go).
//  3. place: one arena for all values and workspaces, one block of memory for weights and tables, written once (memory.go). Each step gets
//     the addresses of its values and says which kernels it launches: name, grid, threads and argument (launch.go).
//  4. dependencies: which steps must have ended before a step begins, from the memory that they read and write (schedule.go). The rest
//     may overlap: the device runs the steps as one CUDA graph.
//  5. session: Upload through page-locked memory, Execute as one launch of the CUDA graph, Download (session.go).
//
// A kernel that meets an index out of range writes the number of its step to a word in the host's memory; Execute looks at it when the device
// is done.
//
// fp32 is strict: every product is a float32 multiply-add. In tf32, fp16 and bf16 the session computes the graph of graph.Lower with its
// roundings as kernels, which the plan calls emulated.
//
// To add an operator, write its kernel in kernels/ops_*.cuh and its lowering in op_NAME.go, and enter it in the table of operators.go. To
// put a faster kernel in the place of a chain, add a rule to rules.go and its lowering to the table. A lowering may refuse what its kernel
// cannot do by a condition of the rule, never by an error.
package cuda
