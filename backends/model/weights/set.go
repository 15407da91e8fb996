package weights

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
)

// Tensor is one parameter's values, row-major, len(Data) = the product of Shape.
type Tensor struct {
	Shape []int // empty for a scalar
	Data  []float32
}

// Set is a complete set of parameters, finite throughout. It is not modified after it is made, so goroutines may share it;
// callers must not modify what its methods return.
type Set struct {
	names   []string // ascending
	tensors map[string]Tensor
}

// put adds a parameter that the set does not have yet.
func (s *Set) put(name string, t Tensor) {
	if s.tensors == nil {
		s.tensors = map[string]Tensor{}
	}
	i, _ := slices.BinarySearch(s.names, name)
	s.names = slices.Insert(s.names, i, name)
	s.tensors[name] = t
}

// Names lists the parameters in ascending order.
func (s *Set) Names() []string { return s.names }

// Get returns the parameter called name, and whether the set has it.
func (s *Set) Get(name string) (Tensor, bool) {
	t, ok := s.tensors[name]
	return t, ok
}

// Digest identifies the values: the SHA-256, in hexadecimal, of every parameter in ascending order of names, each as the
// name's length and bytes, the rank, the dimensions and the values' float32 bits, all numbers little-endian, lengths in
// 64 bits.
func (s *Set) Digest() string {
	hash := sha256.New()
	var buffer []byte
	for _, name := range s.names {
		t := s.tensors[name]
		buffer = binary.LittleEndian.AppendUint64(buffer[:0], uint64(len(name)))
		buffer = append(buffer, name...)
		buffer = binary.LittleEndian.AppendUint64(buffer, uint64(len(t.Shape)))
		for _, dim := range t.Shape {
			buffer = binary.LittleEndian.AppendUint64(buffer, uint64(dim))
		}
		for _, v := range t.Data {
			buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(v))
		}
		hash.Write(buffer) // a hash never fails to write
	}
	return hex.EncodeToString(hash.Sum(nil))
}
