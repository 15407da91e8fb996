// Package certify records to what a backend's outputs are the same bits, and checks it again.
//
//  1. A Subject is a backend, a model and an input. Take runs it once as the base, and then in variations (take.go): again in the same
//     session, after another input, in fresh processes, beside another session, with other numbers of threads, and as a sample of larger batches, at
//     several positions.
//  2. An Entry holds the digest of the base and, for every variation, its digest and whether the bits are the same.
//  3. A Certificate holds the entries with what they depend on: the program, the model, the libraries, driver and devices (Facts).
//  4. Compare holds a certificate to one that was taken anew: what is not the same any more.
//
// A certificate claims nothing of what it does not list. Only repeat, process and beside are what one calls deterministic; whether bits
// survive another number of threads or another batch is a property that some backends have.
package certify
