package toydevice

import (
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
func (m memory) write(a address, t *tensor.Tensor) { copy(m[a.at:], tensor.Bytes(t)) }

// read copies what lies at an address into a tensor of the host.
func (m memory) read(a address, t *tensor.Tensor) { copy(tensor.Bytes(t), m[a.at:]) }

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
