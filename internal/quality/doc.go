// Package quality measures what an execution of the model costs in detections, masks and labels.
//
// Open finds a data set and its pictures (set.go); what is wrong with them, and what it has of each class, tells check.go. Execute runs a
// backend on every picture, and FromFile reads what another tool found (found.go, execute.go). Assess compares what was found with the
// annotations, and with another execution on the same pictures, and makes the document that package reports writes (assess.go).
//
// Cells (cells.go) gives the pictures to cells of a sweep or a gate instead, each in its own image size and batch, and package accuracy compares
// what these find.
package quality
