// Package accuracy records what cells find in a data set, and says what a precision, a backend or a change costs there.
//
//  1. A Run (run.go) is one cell on every picture of a DataSet, in a session compiled as the timed one is. It holds what its numbers come from,
//     pairs, labels and segments (Found), so that they can be computed again without the data set and without running a model.
//  2. Compare (compare.go) gives the differences of two runs with intervals of the paired bootstrap over the images.
//  3. A Policy (policy.go) has the points of average precision that a cell may lose, by precision. The interval's end decides: lost is what lies
//     beyond the budget as a whole, kept what lies within it, and between them nothing is decided.
//
// Package measure makes the runs; sweep and gate keep them in their records, which Check holds against the evidence.
package accuracy
