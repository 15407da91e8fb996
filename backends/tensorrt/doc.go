// Package tensorrt executes the graph as an engine of NVIDIA's TensorRT, in which our operators are plugins. It knows the library through two small
// interfaces alone (library.go), so that everything but the calls themselves is tested without it: package driver has the calls, package emulation a
// library whose engines the reference executes.
//
// How a graph becomes a session:
//
//  1. Options.Apply: decisions under replay are inputs, taps are outputs, and values are rounded at the points of the precision.
//  2. fuseAll puts plugins in the place of what they compute in one node: parts of the model such as the router or a level of the heavy path (region.go), a
//     normalisation with its activation and a residual (fuse.go), the last convolutions (logits.go), and those together that need nothing of each other
//     (join.go); convolutions of one map become one (widen.go). typed gives every value its type: in fp16 and bf16 maps of features between two roundings
//     are in the format, and all else is float32 (typed.go). The network is strongly typed. In int8 and fp8 a Round is a pair of QuantizeLinear and
//     DequantizeLinear. In tf32, a flag of the whole network, the router's products are sums.
//  3. exportOf writes the ONNX file of the parser: our operators stand alone, as plugins (onnx.Plugins). For an engine of several batches, an optimisation
//     profile, the first dimension of its inputs is free (batch.go): the file is the same whichever batch it is made from.
//  4. checkPlugins holds the plugins that the graph needs to what the library of plugins offers (plugin.go).
//  5. A Key says what the engine is built from, by and for; it is looked up in the cache (cache.go) and built where it is not there. An engine file is
//     a Record, in plain JSON, and the engine (enginefile.go). What was measured for one engine serves the next: the timing cache lies beside them.
//  6. The builder's own description of the engine tells which layer computes which nodes, in which precision: the plan, the steps and the evidence
//     that no layer computes in another type than the precision's, and that what is float32 in the model is float32 in the engine (layer.go, plan.go).
//  7. session: Upload and Download through page-locked memory, Execute as one launch of a CUDA graph (session.go).
//
// A graph that is to be calibrated by TensorRT takes another way (calibrate.go): in float32 and weakly typed, with the operators' plugins and no others,
// into a build that ends when the table of ranges is there. What is made of the table is the calibration of a graph like any other, from step 1 on.
//
// Folder peer has a program that builds the network in standard operators, as TensorRT would have it without us, and times that.
package tensorrt
