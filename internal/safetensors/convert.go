package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// DType is an element type, spelled as in the file.
type DType string

// The element types of the format that this package reads.
const (
	Bool     DType = "BOOL"
	Uint8    DType = "U8"
	Int8     DType = "I8"
	Int16    DType = "I16"
	Uint16   DType = "U16"
	Float16  DType = "F16"  // IEEE 754 binary16
	BFloat16 DType = "BF16" // the upper half of a Float32
	Int32    DType = "I32"
	Uint32   DType = "U32"
	Float32  DType = "F32"
	Int64    DType = "I64"
	Uint64   DType = "U64"
	Float64  DType = "F64"
)

// dtypes lists every type with its element size in bytes, in the order of messages.
var dtypes = []struct {
	dtype DType
	size  int
}{
	{Bool, 1}, {Uint8, 1}, {Int8, 1},
	{Int16, 2}, {Uint16, 2}, {Float16, 2}, {BFloat16, 2},
	{Int32, 4}, {Uint32, 4}, {Float32, 4},
	{Int64, 8}, {Uint64, 8}, {Float64, 8},
}

// Size is the number of bytes of one element, 0 for an unknown type.
func (d DType) Size() int {
	for _, known := range dtypes {
		if known.dtype == d {
			return known.size
		}
	}
	return 0
}

func dtypeNames() string {
	var names []string
	for _, known := range dtypes {
		names = append(names, string(known.dtype))
	}
	return strings.Join(names, " ")
}

// Float32s returns the elements of an F32, F16 or BF16 tensor, all exactly, in a slice of the caller's own.
func (t Tensor) Float32s() ([]float32, error) {
	switch t.DType {
	case Float32:
		return decode(t, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) })
	case Float16:
		return decode(t, func(b []byte) float32 { return halfToFloat(binary.LittleEndian.Uint16(b)) })
	case BFloat16:
		return decode(t, func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) })
	}
	return nil, t.wrongType("F32, F16 or BF16")
}

// Float64s returns the elements of an F64, F32, F16 or BF16 tensor, all exactly, in a slice of the caller's own.
func (t Tensor) Float64s() ([]float64, error) {
	if t.DType == Float64 {
		return decode(t, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) })
	}
	if t.DType != Float32 && t.DType != Float16 && t.DType != BFloat16 {
		return nil, t.wrongType("F64, F32, F16 or BF16")
	}
	narrow, err := t.Float32s()
	if err != nil {
		return nil, err
	}
	wide := make([]float64, len(narrow))
	for i, v := range narrow {
		wide[i] = float64(v)
	}
	return wide, nil
}

// Int64s returns the elements of an integer tensor other than U64, in a slice of the caller's own.
func (t Tensor) Int64s() ([]int64, error) {
	switch t.DType {
	case Int64:
		return decode(t, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) })
	case Int32:
		return decode(t, func(b []byte) int64 { return int64(int32(binary.LittleEndian.Uint32(b))) })
	case Uint32:
		return decode(t, func(b []byte) int64 { return int64(binary.LittleEndian.Uint32(b)) })
	case Int16:
		return decode(t, func(b []byte) int64 { return int64(int16(binary.LittleEndian.Uint16(b))) })
	case Uint16:
		return decode(t, func(b []byte) int64 { return int64(binary.LittleEndian.Uint16(b)) })
	case Int8:
		return decode(t, func(b []byte) int64 { return int64(int8(b[0])) })
	case Uint8:
		return decode(t, func(b []byte) int64 { return int64(b[0]) })
	}
	return nil, t.wrongType("I64, I32, I16, I8, U32, U16 or U8")
}

func (t Tensor) wrongType(want string) error {
	return fmt.Errorf("tensor %s: its type is %s, want %s", clip(t.Name), t.DType, want)
}

// decode applies element to each element's bytes. The bytes may lie at any address and, in a mapped file, may fault.
func decode[T any](t Tensor, element func([]byte) T) ([]T, error) {
	size := t.DType.Size()
	result := make([]T, len(t.Data)/size)
	err := guard(func() {
		for i := range result {
			result[i] = element(t.Data[i*size : (i+1)*size])
		}
	})
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", clip(t.Name), err)
	}
	return result, nil
}

// halfToFloat widens an IEEE 754 binary16: 1 sign bit, 5 exponent bits with bias 15, 10 fraction bits.
func halfToFloat(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exponent := uint32(h>>10) & 0x1f
	fraction := uint32(h & 0x3ff)
	switch exponent {
	case 0: // zero or subnormal: fraction · 2^-24, exact in float32
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*(1.0/(1<<24))))
	case 0x1f: // infinity or NaN, its payload kept
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// FromFloat32 makes an F32 tensor of a copy of data. Write checks that the shape fits.
func FromFloat32(name string, shape []int, data []float32) Tensor {
	return encode(name, Float32, shape, data, func(b []byte, v float32) {
		binary.LittleEndian.PutUint32(b, math.Float32bits(v))
	})
}

// FromFloat64 makes an F64 tensor of a copy of data. Write checks that the shape fits.
func FromFloat64(name string, shape []int, data []float64) Tensor {
	return encode(name, Float64, shape, data, func(b []byte, v float64) {
		binary.LittleEndian.PutUint64(b, math.Float64bits(v))
	})
}

// FromInt64 makes an I64 tensor of a copy of data. Write checks that the shape fits.
func FromInt64(name string, shape []int, data []int64) Tensor {
	return encode(name, Int64, shape, data, func(b []byte, v int64) {
		binary.LittleEndian.PutUint64(b, uint64(v))
	})
}

func encode[T any](name string, dtype DType, shape []int, data []T, element func([]byte, T)) Tensor {
	size := dtype.Size()
	bytes := make([]byte, len(data)*size)
	for i, v := range data {
		element(bytes[i*size:], v)
	}
	return Tensor{Name: name, DType: dtype, Shape: append([]int{}, shape...), Data: bytes}
}
