// Package cuda executes the graph in our own kernels (folder kernels) on an NVIDIA GPU: from the inputs to the outputs nothing leaves the
// device. It is the second executor of package lower, and knows devices through two small interfaces alone (device.go), so that all
// of it is tested without one: the tests run the kernels in an emulation on the host (package emulation).
//
// How a graph becomes a session:
//
//  1. lower.Import, Program.Fold, Program.Join for parts with several results (join.go), and Program.Fuse with the rules of rules.go. Constants are
//     folded by the kernels that would compute them in every run (compiler.evaluate in compile.go).
//  2. useTensorCores: the convolutions and normalisations that the network's kernels can compute on this device, with what can be fused to them
//     (tensorcores.go). useMaps: what they compute for each other stays a map, a value with channels last in the format of the precision
//     (maps.go). mergeLaunches: those of a kind that need nothing of each other become one node, and one launch (group.go).
//  3. orderByLevel: branches of the graph side by side (order.go).
//  4. lowerNodes: each node becomes a step with its workspace, or a view of its input; one function per operator (op_*.go), found in a
//     table (operators.go).
//  5. place: one arena for all values and workspaces, one block of memory for weights and tables, written once (memory.go). Each step gets
//     the addresses of its values and says which kernels it launches: name, grid, threads and argument (launch.go).
//     Memory is reused only where no step waits for another because of it.
//  6. dependencies: which steps must have ended before a step begins, from the memory that they read and write (schedule.go). The rest
//     may overlap: the device runs the steps as one CUDA graph, and starts kernels of the network that follow each other ahead (Schedule.Ahead).
//  7. session: Upload through page-locked memory, Execute as one launch of the CUDA graph, Download (session.go).
//
// A kernel that meets what it cannot compute, an index out of range or an operand beyond the range of two fp16 halves, writes the number of its step to
// a word in the host's memory; Execute looks at it when the device is done.
//
// fp32 is strict: every product is a float32 multiply-add or, in steps whose name has Split, three fp16 products with the error of one
// (kernels/conv.h). In tf32, fp16 and bf16 the session computes the graph of graph.Lower: convolutions multiply in the format, which the plan
// calls native, and what lies between rounds by kernels of its own, which it calls emulated.
//
// To add an operator, write its kernel in kernels/ops_*.cuh and its lowering in op_NAME.go, and enter it in the table of operators.go. To
// put a faster kernel in the place of a chain, add a rule to rules.go, or a pass like useTensorCores where it depends on the device, and its
// lowering to the table. What a kernel cannot do is a condition of its rule, never an error of its lowering. A step that needs a table of
// addresses in device memory makes room by step.table and fills it by memory.fill when its launches are made.
package cuda
