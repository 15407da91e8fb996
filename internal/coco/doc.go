// Package coco reads data sets and results in the JSON forms of COCO, as they are found and not only as they are described.
//
// A file is read as a stream, token by token (token.go, number.go), and is never held as a whole. Each record is checked while it is
// read (record.go, segmentation.go) and the records against each other at the end (relate.go); what is wrong is told by record and field
// (problem.go). Decode makes a data set of an annotation file (read.go, dataset.go), ReadDetections reads what a detector found
// (detections.go), ReadPanoptic what a panoptic file and its pictures hold (panoptic.go).
//
// A Cache keeps what was read of a large file (cache.go, snapshot.go).
//
// Strictly, a problem refuses the file. Otherwise a record that cannot be used is left out, keys that nobody reads are passed over, and
// what is missing and follows from the rest is computed; the problems are returned beside what was read.
package coco
