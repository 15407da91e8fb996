package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// maxRank bounds the rank of tensors from files.
const maxRank = 16

// field is one field of an encoded message: its bytes, or its integer (varint, fixed32 or fixed64).
type field struct {
	num  protowire.Number
	typ  protowire.Type
	data []byte
	n    uint64
}

// fields calls f for every field of a message, in file order.
func fields(b []byte, f func(field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		v := field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			v.n, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var x uint32
			x, n = protowire.ConsumeFixed32(b)
			v.n = uint64(x)
		case protowire.Fixed64Type:
			v.n, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			v.data, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

func (f field) want(typ protowire.Type) error {
	if f.typ != typ {
		return fmt.Errorf("field %d has the wire type %d, want %d", f.num, f.typ, typ)
	}
	return nil
}

func (f field) bytes(p *[]byte) error {
	*p = f.data
	return f.want(protowire.BytesType)
}

func (f field) str(p *string) error {
	if !utf8.Valid(f.data) {
		return fmt.Errorf("field %d is not UTF-8", f.num)
	}
	*p = string(f.data)
	return f.want(protowire.BytesType)
}

func (f field) strs(p *[]string) error {
	var s string
	err := f.str(&s)
	*p = append(*p, s)
	return err
}

func (f field) int(p *int64) error {
	*p = int64(f.n)
	return f.want(protowire.VarintType)
}

// ints appends one integer, or a packed list of them.
func (f field) ints(p *[]int64) error {
	if f.typ != protowire.BytesType {
		*p = append(*p, int64(f.n))
		return f.want(protowire.VarintType)
	}
	for b := f.data; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		*p = append(*p, int64(v))
		b = b[n:]
	}
	return nil
}

// floats appends one float, or a packed list of them.
func (f field) floats(p *[]float32) error {
	if f.typ != protowire.BytesType {
		*p = append(*p, math.Float32frombits(uint32(f.n)))
		return f.want(protowire.Fixed32Type)
	}
	if len(f.data)%4 != 0 {
		return fmt.Errorf("field %d has %d bytes of floats", f.num, len(f.data))
	}
	for b := f.data; len(b) > 0; b = b[4:] {
		*p = append(*p, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return nil
}

// doubles appends one double, or a packed list of them.
func (f field) doubles(p *[]float64) error {
	if f.typ != protowire.BytesType {
		*p = append(*p, math.Float64frombits(f.n))
		return f.want(protowire.Fixed64Type)
	}
	if len(f.data)%8 != 0 {
		return fmt.Errorf("field %d has %d bytes of doubles", f.num, len(f.data))
	}
	for b := f.data; len(b) > 0; b = b[8:] {
		*p = append(*p, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	return nil
}

// decodeEntry reads a StringStringEntryProto.
func decodeEntry(b []byte) (key, value string, err error) {
	err = fields(b, func(f field) error {
		switch f.num {
		case entryKey:
			return f.str(&key)
		case entryValue:
			return f.str(&value)
		}
		return nil
	})
	return key, value, err
}

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
	external bool
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
func (t rawTensor) tensor() (*tensor.Tensor, error) {
	if t.external {
		return nil, errors.New("its data are in an external file, which is not supported")
	}
	s, err := shape(t.dims)
	if err != nil {
		return nil, err
	}
	dtype, err := dtypeOf(t.elem)
	if err != nil {
		return nil, err
	}
	elements, _ := tensor.Elements(s)
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

// rawAttribute is a decoded AttributeProto.
type rawAttribute struct {
	name   string
	kind   int64
	f      float32
	i      int64
	s      string
	t      []byte
	ints   []int64
	floats []float32
}

func decodeAttribute(b []byte) (rawAttribute, error) {
	var a rawAttribute
	err := fields(b, func(f field) error {
		switch f.num {
		case attributeName:
			return f.str(&a.name)
		case attributeType:
			return f.int(&a.kind)
		case attributeF:
			a.f = math.Float32frombits(uint32(f.n))
			return f.want(protowire.Fixed32Type)
		case attributeI:
			return f.int(&a.i)
		case attributeS:
			return f.str(&a.s)
		case attributeT:
			return f.bytes(&a.t)
		case attributeInts:
			return f.ints(&a.ints)
		case attributeFloats:
			return f.floats(&a.floats)
		}
		return nil
	})
	return a, err
}

// rawNode is a decoded NodeProto.
type rawNode struct {
	name, opType, domain string
	inputs, outputs      []string
	attributes           []rawAttribute
	metadata             map[string]string
}

func decodeNode(b []byte) (*rawNode, error) {
	n := &rawNode{metadata: map[string]string{}}
	err := fields(b, func(f field) error {
		switch f.num {
		case nodeInput:
			return f.strs(&n.inputs)
		case nodeOutput:
			return f.strs(&n.outputs)
		case nodeName:
			return f.str(&n.name)
		case nodeOpType:
			return f.str(&n.opType)
		case nodeDomain:
			return f.str(&n.domain)
		case nodeAttribute:
			a, err := decodeAttribute(f.data)
			n.attributes = append(n.attributes, a)
			return err
		case nodeMetadata:
			key, value, err := decodeEntry(f.data)
			n.metadata[key] = value
			return err
		}
		return nil
	})
	if n.name == "" && len(n.outputs) > 0 {
		n.name = n.outputs[0]
	}
	return n, err
}

// rawValue is a decoded ValueInfoProto. Symbolic is the first dimension without a value; typed tells that it is a tensor.
type rawValue struct {
	name     string
	typed    bool
	shaped   bool
	elem     int64
	dims     []int64
	symbolic string
}

func decodeValue(b []byte) (rawValue, error) {
	var v rawValue
	err := fields(b, func(f field) error {
		switch f.num {
		case valueInfoName:
			return f.str(&v.name)
		case valueInfoType:
			return fields(f.data, v.decodeType)
		}
		return nil
	})
	return v, err
}

// decodeType reads a field of TypeProto.
func (v *rawValue) decodeType(f field) error {
	if f.num != typeTensor {
		return nil
	}
	v.typed = true
	return fields(f.data, func(f field) error {
		switch f.num {
		case typeTensorElem:
			return f.int(&v.elem)
		case typeTensorShape:
			v.shaped = true
			return fields(f.data, v.decodeDim)
		}
		return nil
	})
}

// decodeDim reads a field of TensorShapeProto.
func (v *rawValue) decodeDim(f field) error {
	if f.num != shapeDim {
		return nil
	}
	value, known, name := int64(0), false, "?"
	err := fields(f.data, func(f field) error {
		switch f.num {
		case dimValue:
			known = true
			return f.int(&value)
		case dimParam:
			return f.str(&name)
		}
		return nil
	})
	if !known && v.symbolic == "" {
		v.symbolic = fmt.Sprintf("%d (%s)", len(v.dims), name)
	}
	v.dims = append(v.dims, value)
	return err
}

// graphType returns the static type of a value.
func (v rawValue) graphType() (graph.Type, error) {
	switch {
	case !v.typed:
		return graph.Type{}, errors.New("it is not a tensor")
	case !v.shaped:
		return graph.Type{}, errors.New("it has no shape; only static shapes are supported")
	case v.symbolic != "":
		return graph.Type{}, fmt.Errorf("dimension %s has no number; only static shapes are supported", v.symbolic)
	}
	dtype, err := dtypeOf(v.elem)
	if err != nil {
		return graph.Type{}, err
	}
	s, err := shape(v.dims)
	return graph.Type{DType: dtype, Shape: s}, err
}
