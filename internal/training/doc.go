// Package training holds what of the routing is needed to train it, and at no other time:
//
//  1. gating.go replaces the selection of tiles by straight-through gates, whose gradients reach the utilities.
//  2. dual.go computes the expected cost of the gates and moves the price of compute, so that it meets the budget; dualupdate.go records
//     its steps in the original's words.
//
// Selection and everything else that also runs in a trained model are in package routing. The rules are those of the routing specification ("spec" in
// comments, with its section). Functions return errors and never panic on bad input.
package training
