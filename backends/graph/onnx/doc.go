// Package onnx writes a graph.Graph as an ONNX model and reads ONNX models back.
//
// The protobuf wire format is encoded and decoded by field number; there is no generated code. Going down the files:
//
//   - table.go maps each operator of package graph to its ONNX node, attributes and constant inputs alike, in one description
//     that is used in both directions (mapping.go, node_write.go, node_read.go).
//   - write.go lays out the model; function.go adds the bodies of our own operators as model-local functions.
//   - read.go and reader.go rebuild a graph, from a file of Write or any other model that keeps to the operators of package graph.
//   - proto.go and tensor.go encode the wire format, decode.go, decode_node.go and decode_tensor.go decode it.
//
// A body depends on the static shapes and parameters of its operator, so there is one function for each distinct use: TilePack_1,
// TilePack_2 and so on, which say in their documentation what they are made for, such as
//
//	float32[1,64,64,64] int64[1,8] tile_size=16
//
// ONNX could tell them apart by the field "overload", but TensorRT's parser takes the first function of a name. Functions and not
// inlined bodies are what is written unless asked otherwise: an operator stays one node, with its attributes, by which Read restores
// the graph and a person finds it. Form has the other two ways.
package onnx
