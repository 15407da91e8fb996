package worker

import (
	"fmt"
	"unsafe"

	"github.com/apex-x/apexx/backends/tensor"
)

// Tensors lie in a shared file at offsets that are multiples of alignment, in host byte order: both ends share a machine.
const alignment = 64

// place is where a tensor lies in a shared file.
type place struct {
	Name   string `json:"name"`
	DType  string `json:"dtype"`
	Shape  []int  `json:"shape"`
	Offset int64  `json:"offset"`
}

// layout lays tensors out one after the other. The zero layout is empty.
type layout struct {
	places []place
	size   int64 // of the file that holds them
}

func (l *layout) add(name string, dtype tensor.DType, shape []int) error {
	n, err := tensor.Elements(shape)
	if err != nil {
		return fmt.Errorf("tensor %q: %w", name, err)
	}
	if shape == nil {
		shape = []int{} // the JSON of nil is null
	}
	l.places = append(l.places, place{name, dtype.String(), shape, l.size})
	l.size += roundUp(int64(n)*int64(dtype.Size()), alignment)
	return nil
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }

// view returns the tensor at p, sharing data. The place may come from the other end: whatever it claims, the view lies
// within data or there is an error.
func (p place) view(data []byte) (*tensor.Tensor, error) {
	dtype, err := tensor.ParseDType(p.DType)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", p.Name, err)
	}
	n, err := tensor.Elements(p.Shape)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", p.Name, err)
	}
	bytes := int64(n) * int64(dtype.Size()) // at most 2^43
	if p.Offset < 0 || p.Offset%alignment != 0 || p.Offset > int64(len(data))-bytes {
		return nil, fmt.Errorf("tensor %q: %d bytes at offset %d do not fit %d mapped bytes at a multiple of %d",
			p.Name, bytes, p.Offset, len(data), alignment)
	}
	t, err := viewBytes(dtype, data[p.Offset:p.Offset+bytes], n, p.Shape)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", p.Name, err)
	}
	return t, nil
}

func viewBytes(dtype tensor.DType, data []byte, n int, shape []int) (*tensor.Tensor, error) {
	switch dtype {
	case tensor.Float32:
		return tensor.Of(cast[float32](data, n), shape...)
	case tensor.Float64:
		return tensor.Of(cast[float64](data, n), shape...)
	case tensor.Int32:
		return tensor.Of(cast[int32](data, n), shape...)
	case tensor.Int64:
		return tensor.Of(cast[int64](data, n), shape...)
	}
	for i, b := range data {
		if b > 1 { // a Go bool with other bits set is neither true nor false
			return nil, fmt.Errorf("boolean %d is the byte %d, want 0 or 1", i, b)
		}
	}
	return tensor.Of(cast[bool](data, n), shape...)
}

// cast views bytes as n elements. The bytes start at a multiple of alignment in memory that is aligned to it or to a page.
func cast[T tensor.Element](data []byte, n int) []T {
	if n == 0 {
		return []T{}
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(data))), n)
}

// store copies a tensor to its place.
func (p place) store(data []byte, t *tensor.Tensor) { copy(data[p.Offset:], tensor.Bytes(t)) }
