// Package graph defines the intermediate representation that every backend executes: a directed acyclic graph of typed
// operators with ONNX semantics and static shapes.
//
// Data flows through the package in this order:
//
//  1. A Builder adds operators one by one. Each Op knows its own rule of shape inference, so a graph that was built has
//     consistent shapes, and an error names the node, what it got and what it wants.
//  2. A Graph is the finished, topologically sorted result: inputs, nodes, named outputs and named taps (intermediates that
//     a session may be asked to return as well).
//  3. Decisions mark the values that hold choices. WithReplay makes them inputs, Lower rounds at declared points for a low precision,
//     WithTaps adds outputs and drops what nothing needs, Cut takes out a part, Apart takes everything into parts. Values keep their
//     names in all of them. A Rewriter makes the new graph of the old one.
//  4. Package onnx, below this one, writes a graph as an ONNX model and reads it back; its operators of the domain "apexx"
//     carry a body of standard operators, so that an ONNX runtime that never heard of them runs the same file.
//
// Shapes are static: batch, height and width are fixed when the graph is built. Values of floating type are declared Float32
// and mean "the precision of the session": a float64 session computes the same graph in float64.
package graph

// Domain is the operator domain of this project's own operators. Standard ONNX operators have the domain "".
const Domain = "apexx"

// OpsetVersion is the version of the standard ONNX operator set whose semantics the operators follow.
const OpsetVersion = 21

// DomainVersion is the version of the operator set of the domain "apexx". Version 2 has SelectDetections and DecodeBoxes where
// version 1 had both in one operator.
const DomainVersion = 2
