package toydevice

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// address says where a tensor lies in the memory of a device.
type address struct {
	at    int // in bytes
	dtype tensor.DType
	shape []int
}

func (a address) bytes() int { return tensor.New(a.dtype, a.shape...).Len() * a.dtype.Size() }

// memory is that of a device.
type memory []byte

// write copies a tensor of the host to an address, whose type it has.
func (m memory) write(a address, t *tensor.Tensor) {
	switch t.DType() {
	case tensor.Float32:
		store(m[a.at:], tensor.Data[float32](t))
	case tensor.Float64:
		store(m[a.at:], tensor.Data[float64](t))
	case tensor.Int32:
		store(m[a.at:], tensor.Data[int32](t))
	case tensor.Int64:
		store(m[a.at:], tensor.Data[int64](t))
	case tensor.Bool:
		store(m[a.at:], tensor.Data[bool](t))
	}
}

// read copies what lies at an address into a tensor of the host.
func (m memory) read(a address, t *tensor.Tensor) {
	switch t.DType() {
	case tensor.Float32:
		load(m[a.at:], tensor.Data[float32](t))
	case tensor.Float64:
		load(m[a.at:], tensor.Data[float64](t))
	case tensor.Int32:
		load(m[a.at:], tensor.Data[int32](t))
	case tensor.Int64:
		load(m[a.at:], tensor.Data[int64](t))
	case tensor.Bool:
		load(m[a.at:], tensor.Data[bool](t))
	}
}

func store[T tensor.Element](m []byte, data []T) {
	if _, err := binary.Encode(m[:len(data)*tensor.DTypeOf[T]().Size()], binary.LittleEndian, data); err != nil {
		panic(fmt.Sprintf("toydevice: %v", err)) // of a type without a size, which no element has
	}
}

func load[T tensor.Element](m []byte, data []T) {
	if _, err := binary.Decode(m[:len(data)*tensor.DTypeOf[T]().Size()], binary.LittleEndian, data); err != nil {
		panic(fmt.Sprintf("toydevice: %v", err))
	}
}

// register loads what lies at an address as a kernel has it: floats as float64.
func (m memory) register(a address) *tensor.Tensor {
	t := tensor.New(a.dtype, a.shape...)
	m.read(a, t)
	if a.dtype != tensor.Float32 {
		return t
	}
	return tensor.Must(tensor.Of(t.Float64s(), a.shape...))
}

// spoil fills the first size bytes with NaN, but for what lies at the addresses to keep.
func (m memory) spoil(size int, keep []address) {
	keep = slices.SortedFunc(slices.Values(keep), func(a, b address) int { return a.at - b.at })
	from := 0
	for _, a := range keep {
		fill(m[from:max(from, a.at)])
		from = max(from, a.at+a.bytes())
	}
	fill(m[from:max(from, size)])
}

func fill(m []byte) {
	for i := range m {
		m[i] = 0xff // of a float32: NaN
	}
}

// narrow returns a register as memory has it: float64 as float32.
func narrow(t *tensor.Tensor) *tensor.Tensor {
	if t.DType() != tensor.Float64 {
		return t
	}
	out := tensor.New(tensor.Float32, t.Shape()...)
	for i, v := range tensor.Data[float64](t) {
		tensor.Data[float32](out)[i] = float32(v)
	}
	return out
}
