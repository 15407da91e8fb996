// Package body spells operators of the domain "apexx", and GroupNormalization, in standard ONNX operators (opset
// graph.OpsetVersion), so that an ONNX runtime that never heard of them executes the same file, and so that a native
// implementation has something independent to be checked against.
//
// For specialises a body to the static types of the operator's inputs: index tables, masks and shapes are Constant nodes
// inside it. Each body is built by a builder of a few lines, so that it reads like the formula of its operator.
// Package onnx turns a Function into a model-local function of the file.
package body
