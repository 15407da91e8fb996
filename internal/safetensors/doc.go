// Package safetensors reads and writes tensor files in the safetensors format, and trusts no byte of what it reads.
//
// A file is an 8-byte little-endian header length N, a JSON header of N bytes, and the tensors' data. The header maps each
// name to a dtype, a shape and a range of bytes in the data; the optional entry "__metadata__" maps strings to strings
// (https://huggingface.co/docs/safetensors). Reading goes in three steps, one file each:
//
//  1. file.go maps the file into memory (map_linux.go; elsewhere it is read) and finds header and data;
//  2. header.go parses the JSON strictly: duplicate names, unknown keys and wrong types are errors;
//  3. layout.go checks that the ranges fit the shapes and cover the data exactly, without gap, overlap or rest.
//
// What Open returns has therefore been checked whole, and no size in it exceeds the file's own. convert.go turns a tensor's
// bytes into typed slices and back, at any alignment and on any byte order; write.go writes files.
package safetensors
