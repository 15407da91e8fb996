// Package weights holds the parameters of the complete model: which ones a configuration has, where they come from, and
// what makes a file of them acceptable.
//
// expected.go lists every parameter with its shape, module by module; load.go checks a safetensors file against that list
// and reports all differences at once; hashed.go computes parameters from a seed, for tests and measurements that need no
// file; spec.go reads the user's choice between the two, and the configuration that a file's metadata carries.
package weights
