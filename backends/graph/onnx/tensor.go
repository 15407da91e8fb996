package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/body"
	"github.com/apex-x/apexx/backends/tensor"
)

// elemTypes are the values of TensorProto.DataType for the element types of package tensor.
var elemTypes = map[tensor.DType]int64{tensor.Float32: 1, tensor.Int32: 6, tensor.Int64: 7, tensor.Bool: 9, tensor.Float64: 11}

// dtypeOf returns the element type with a number of TensorProto.DataType.
func dtypeOf(elem int64) (tensor.DType, error) {
	for d, e := range elemTypes {
		if e == elem {
			return d, nil
		}
	}
	return tensor.Invalid, fmt.Errorf("element type %d of TensorProto.DataType is not supported (want float, double, int32, int64 or bool)", elem)
}

// tensorHead encodes a TensorProto up to the length of its raw data, which follows as the last field.
func tensorHead(name string, t *tensor.Tensor) message {
	m := describedTensor(name, t)
	m = protowire.AppendTag(m, tensorRawData, protowire.BytesType)
	return protowire.AppendVarint(m, uint64(rawSize(t)))
}

// describedTensor encodes a TensorProto without data.
func describedTensor(name string, t *tensor.Tensor) message {
	var m message
	for _, d := range t.Shape() {
		m.int(tensorDims, int64(d))
	}
	m.int(tensorDataType, elemTypes[t.DType()])
	if name != "" {
		m.str(tensorName, name)
	}
	return m
}

// tensorProto encodes a whole TensorProto: for small tensors, which are attributes.
func tensorProto(t *tensor.Tensor) message { return appendRaw(tensorHead("", t), t, 0, t.Len()) }

// zeroPointProto encodes a whole TensorProto of zeros of one byte each.
func zeroPointProto(z body.ZeroPoint) message {
	var m message
	for _, d := range z.Shape {
		m.int(tensorDims, int64(d))
	}
	m.int(tensorDataType, int64(z.ElemType))
	m.bytes(tensorRawData, make(message, graph.Type{Shape: z.Shape}.Len()))
	return m
}

func rawSize(t *tensor.Tensor) int { return t.Len() * t.DType().Size() }

// writeRaw writes the elements of t in little-endian order, a block at a time.
func writeRaw(w io.Writer, t *tensor.Tensor) error {
	const block = 1 << 16
	buf := make([]byte, 0, 8*min(block, t.Len()))
	for lo := 0; lo < t.Len(); lo += block {
		buf = appendRaw(buf[:0], t, lo, min(lo+block, t.Len()))
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

// appendRaw appends elements [lo, hi) of t in little-endian order.
func appendRaw(buf []byte, t *tensor.Tensor, lo, hi int) []byte {
	le := binary.LittleEndian
	switch t.DType() {
	case tensor.Float32:
		for _, v := range tensor.Data[float32](t)[lo:hi] {
			buf = le.AppendUint32(buf, math.Float32bits(v))
		}
	case tensor.Float64:
		for _, v := range tensor.Data[float64](t)[lo:hi] {
			buf = le.AppendUint64(buf, math.Float64bits(v))
		}
	case tensor.Int32:
		for _, v := range tensor.Data[int32](t)[lo:hi] {
			buf = le.AppendUint32(buf, uint32(v))
		}
	case tensor.Int64:
		for _, v := range tensor.Data[int64](t)[lo:hi] {
			buf = le.AppendUint64(buf, uint64(v))
		}
	case tensor.Bool:
		for _, v := range tensor.Data[bool](t)[lo:hi] {
			b := byte(0)
			if v {
				b = 1
			}
			buf = append(buf, b)
		}
	}
	return buf
}

// valueInfo encodes a ValueInfoProto with a static shape.
func valueInfo(name string, t graph.Type) message { return namedInfo(name, t, "") }

// namedInfo encodes a ValueInfoProto whose first dimension has a name instead of a number, unless it is "".
func namedInfo(name string, t graph.Type, batch string) message {
	var shape, typ, outer, m message
	for i, d := range t.Shape {
		var dim message
		if i == 0 && batch != "" {
			dim.str(dimParam, batch)
		} else {
			dim.int(dimValue, int64(d))
		}
		shape.bytes(shapeDim, dim)
	}
	typ.int(typeTensorElem, elemTypes[t.DType])
	typ.bytes(typeTensorShape, shape)
	outer.bytes(typeTensor, typ)
	m.str(valueInfoName, name)
	m.bytes(valueInfoType, outer)
	return m
}
