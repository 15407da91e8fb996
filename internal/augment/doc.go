// Package augment changes pictures together with the objects in them (spec/train-eval.md 11).
//
// A Sample is a picture with its objects, whose masks are runs (sample.go). Flip mirrors it, Crop takes a part of it and leaves out the
// objects of which too little is seen (crop.go), Mosaic puts parts of four into one (mosaic.go). A Recipe makes new samples of those of a
// data set, each from a generator of its own, so that a seed makes the same samples in any order (recipe.go), and writes as many as
// are asked for as a data set (dataset.go).
//
// Masks follow the pixels exactly, and whatever is cut gets its box and area from what is left of its mask. How much of an object is
// seen is measured against the object as it was annotated, not against what an earlier step had left of it.
package augment
