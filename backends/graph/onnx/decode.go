package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

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
