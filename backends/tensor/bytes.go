package tensor

import "unsafe"

// Bytes views the elements of a tensor as bytes, in the order of this machine; nil for a tensor without elements.
func Bytes(t *Tensor) []byte {
	switch t.DType() {
	case Float32:
		return raw(Data[float32](t))
	case Float64:
		return raw(Data[float64](t))
	case Int32:
		return raw(Data[int32](t))
	case Int64:
		return raw(Data[int64](t))
	}
	return raw(Data[bool](t))
}

func raw[T Element](d []T) []byte {
	if len(d) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(d))), len(d)*int(unsafe.Sizeof(d[0])))
}

// On returns a tensor whose elements lie in memory that is there already, as Bytes views them: aligned for them, of their length, and not moved while the
// tensor is in use. It panics where the length is not that of the shape.
func On(memory []byte, dtype DType, shape ...int) *Tensor {
	switch dtype {
	case Float32:
		return on[float32](memory, shape)
	case Float64:
		return on[float64](memory, shape)
	case Int32:
		return on[int32](memory, shape)
	case Int64:
		return on[int64](memory, shape)
	}
	return on[bool](memory, shape)
}

func on[T Element](memory []byte, shape []int) *Tensor {
	n := len(memory) / DTypeOf[T]().Size()
	return Must(Of(unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(memory))), n), shape...))
}
