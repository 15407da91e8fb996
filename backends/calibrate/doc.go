// Package calibrate finds the ranges that graph.Lower needs to round a model to a format with a scale, and keeps them in a file.
//
//	inputs → Collect: the model in fp32, a histogram of each value that will be rounded (histogram.go)
//	       → Ranges: the magnitude up to which each is represented, by a method (method.go)
//	       → File: the ranges under the Key of what they were found with (file.go, key.go)
//	       → File.Check: whether they belong to the model at hand, and if not, which part of the key differs
//	       → graph.Calibration: what graph.Lower makes scales of
//
// TensorRT can choose the ranges instead (calibrator.go): its table (table.go) takes the place of the first two steps, kept under the key of the file
// that it becomes.
//
// The histograms depend on the elements alone and not on their order, and the methods have no randomness: the same model and inputs give the
// same file.
package calibrate
