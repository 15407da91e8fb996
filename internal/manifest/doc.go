// Package manifest tells by digests whether two runs were made of the same things.
//
//  1. canonical.go writes a value as the one text that digests are made of.
//  2. replay.go digests the seed, the configuration and the files of a run.
package manifest
