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
