package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// maxRank bounds the rank of tensors from files.
const maxRank = 16

// rawTensor is a decoded TensorProto.
type rawTensor struct {
	name     string
	dims     []int64
	elem     int64
	raw      []byte
	hasRaw   bool
	floats   []float32
	doubles  []float64
	ints     []int64 // int32_data and int64_data
	external bool    // the data are at a location
	location location
}

func decodeTensor(b []byte) (rawTensor, error) {
	var t rawTensor
	err := fields(b, func(f field) error {
		switch f.num {
		case tensorDims:
			return f.ints(&t.dims)
		case tensorDataType:
			return f.int(&t.elem)
		case tensorName:
			return f.str(&t.name)
		case tensorRawData:
			t.hasRaw = true
			return f.bytes(&t.raw)
		case tensorFloatData:
			return f.floats(&t.floats)
		case tensorDoubleData:
			return f.doubles(&t.doubles)
		case tensorInt32Data, tensorInt64Data:
			return f.ints(&t.ints)
		case tensorExternalData:
			t.external = true
			return t.location.decode(f.data)
		case tensorDataLocation:
			t.external = t.external || f.n != 0
		}
		return nil
	})
	return t, err
}

// shape converts dimensions of a file, within the bounds of package tensor.
func shape(dims []int64) ([]int, error) {
	if len(dims) > maxRank {
		return nil, fmt.Errorf("rank %d, at most %d is supported", len(dims), maxRank)
	}
	out := make([]int, len(dims))
	for i, d := range dims {
		if d < 0 || d > tensor.MaxElements {
			return nil, fmt.Errorf("dimension %d is %d", i, d)
		}
		out[i] = int(d)
	}
	_, err := tensor.Elements(out)
	return out, err
}

// tensor returns the contents, checked against the shape before anything is allocated for them.
func (t rawTensor) tensor(weights *external) (*tensor.Tensor, error) {
	s, err := shape(t.dims)
	if err != nil {
		return nil, err
	}
	dtype, err := dtypeOf(t.elem)
	if err != nil {
		return nil, err
	}
	elements, _ := tensor.Elements(s)
	if t.external {
		return weights.tensor(t.location, dtype, s)
	}
	if t.hasRaw {
		if len(t.raw) != elements*dtype.Size() {
			return nil, fmt.Errorf("%v has %d bytes of data, want %d", graph.Type{DType: dtype, Shape: s}, len(t.raw), elements*dtype.Size())
		}
		return decodeRaw(dtype, s, t.raw), nil
	}
	switch dtype {
	case tensor.Float32:
		return tensor.Of(t.floats, s...)
	case tensor.Float64:
		return tensor.Of(t.doubles, s...)
	case tensor.Int64:
		return tensor.Of(t.ints, s...)
	case tensor.Int32:
		return tensor.Of(convert(t.ints, func(v int64) int32 { return int32(v) }), s...)
	default:
		return tensor.Of(convert(t.ints, func(v int64) bool { return v != 0 }), s...)
	}
}

func convert[T any](in []int64, f func(int64) T) []T {
	out := make([]T, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

// decodeRaw converts little-endian elements whose number fits the shape.
func decodeRaw(dtype tensor.DType, shape []int, raw []byte) *tensor.Tensor {
	t, le := tensor.New(dtype, shape...), binary.LittleEndian
	switch dtype {
	case tensor.Float32:
		for i, d := 0, tensor.Data[float32](t); i < len(d); i++ {
			d[i] = math.Float32frombits(le.Uint32(raw[4*i:]))
		}
	case tensor.Float64:
		for i, d := 0, tensor.Data[float64](t); i < len(d); i++ {
			d[i] = math.Float64frombits(le.Uint64(raw[8*i:]))
		}
	case tensor.Int32:
		for i, d := 0, tensor.Data[int32](t); i < len(d); i++ {
			d[i] = int32(le.Uint32(raw[4*i:]))
		}
	case tensor.Int64:
		for i, d := 0, tensor.Data[int64](t); i < len(d); i++ {
			d[i] = int64(le.Uint64(raw[8*i:]))
		}
	case tensor.Bool:
		for i, d := 0, tensor.Data[bool](t); i < len(d); i++ {
			d[i] = raw[i] != 0
		}
	}
	return t
}
