// Package tensorrt executes the graph as an engine of NVIDIA's TensorRT, in which our operators are plugins. It knows the library through two small
// interfaces alone (library.go), so that everything but the calls themselves is tested without it: package driver has the calls, package emulation a
// library whose engines the reference executes.
//
// How a graph becomes a session:
//
//  1. Options.Apply: decisions under replay are inputs, taps are outputs, and values are rounded at the points of the precision.
//  2. exportOf writes the ONNX file of the parser: our operators stand alone, as plugins (onnx.Plugins). In tf32, fp16 and bf16 a Round is left out, and the
//     precision becomes a permission of the builder; in int8 and fp8 it is a pair of QuantizeLinear and DequantizeLinear (export.go).
//  3. holdsOf lists the nodes whose layers may not use that permission: the router, gates, selection, decoding and all that is no map of features
//     (hold.go).
//  4. required names the plugins that the graph needs, and holds them to what the library of plugins offers (plugin.go).
//  5. A Key says what the engine is built from, by and for; it is looked up in the cache (cache.go) and built where it is not there. An engine file is
//     a Record, in plain JSON, and the engine (enginefile.go). What was measured for one engine serves the next: the timing cache lies beside them.
//  6. The builder's own description of the engine tells which layer computes which nodes, in which precision: the plan, the steps and the evidence
//     that what was to be held was held (layer.go, plan.go).
//  7. session: Upload and Download through page-locked memory, Execute as one launch of a CUDA graph (session.go).
package tensorrt
