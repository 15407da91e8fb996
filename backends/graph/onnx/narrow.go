package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// narrowElements are the values of TensorProto.DataType for formats that package tensor has no type for.
var narrowElements = map[graph.Format]int64{graph.FP16: 10, graph.BF16: 16}

// NarrowCast returns the Cast to fp16 or bf16 of a value of that type, for a model in the form Plugins: the graph goes on to call its result float32.
func NarrowCast(f graph.Format, t graph.Type) graph.Opaque {
	return standard("Cast", t, attribute("to", narrowElements[f]))
}

// RoundConstant returns a float32 constant whose elements are rounded to fp16 or bf16, as NarrowConstant has them.
func RoundConstant(f graph.Format, t *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(tensor.Float32, t.Shape()...)
	to := tensor.Data[float32](out)
	for i, x := range tensor.Data[float32](t) {
		if f == graph.BF16 {
			to[i] = math.Float32frombits(uint32(bf16Bits(x)) << 16)
		} else {
			to[i] = fp16Value(fp16Bits(x))
		}
	}
	return out
}

// NarrowConstant returns a constant in fp16 or bf16, each element rounded to the nearest, halves to even, as a node.
func NarrowConstant(f graph.Format, t *tensor.Tensor) (graph.Opaque, error) {
	round := map[graph.Format]func(float32) uint16{graph.FP16: fp16Bits, graph.BF16: bf16Bits}[f]
	if round == nil || t == nil || t.DType() != tensor.Float32 {
		return graph.Opaque{}, fmt.Errorf("no float32 constant, or no format for one: %q", f)
	}
	var m message
	for _, d := range t.Shape() {
		m.int(tensorDims, int64(d))
	}
	m.int(tensorDataType, narrowElements[f])
	raw := make([]byte, 0, 2*t.Len())
	for _, x := range tensor.Data[float32](t) {
		raw = binary.LittleEndian.AppendUint16(raw, round(x))
	}
	m.bytes(tensorRawData, raw)
	var a message
	a.str(attributeName, "value")
	a.bytes(attributeT, m)
	a = protowire.AppendTag(a, attributeType, protowire.VarintType)
	a = protowire.AppendVarint(a, kindTensor)
	return standard("Constant", graph.Type{DType: t.DType(), Shape: t.Shape()}, a), nil
}

func standard(opType string, t graph.Type, attributes ...message) graph.Opaque {
	op := graph.Opaque{Type: opType, Version: graph.OpsetVersion, Outputs: []graph.Type{t}, Places: []int{0}}
	for _, a := range attributes {
		op.Attributes = append(op.Attributes, a)
	}
	return op
}

// bf16Bits rounds to bfloat16, the upper half of a float32. A NaN stays one.
func bf16Bits(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// fp16Bits rounds to IEEE 754 binary16. What is too large becomes an infinity.
func fp16Bits(x float32) uint16 {
	sign := uint16(math.Float32bits(x) >> 16 & 0x8000)
	a := math.Abs(float64(x))
	switch {
	case x != x:
		return 0x7e00
	case a >= 65520:
		return sign | 0x7c00
	case a < 0x1p-14: // steps of 2^-24
		return sign | uint16(math.RoundToEven(a*0x1p24))
	}
	fraction, exponent := math.Frexp(a)                                               // a = fraction·2^exponent, 0.5 ≤ fraction < 1
	return sign | (uint16(exponent+13)<<10 + uint16(math.RoundToEven(fraction*2048))) // the leading bit of the fraction adds 1 to the exponent
}

// fp16Value widens a binary16.
func fp16Value(h uint16) float32 {
	sign, exponent, mantissa := uint32(h&0x8000)<<16, int(h>>10&31), float64(h&0x3ff)
	var v float64
	switch {
	case exponent == 31 && mantissa != 0:
		return float32(math.NaN())
	case exponent == 31:
		v = math.Inf(1)
	case exponent == 0:
		v = math.Ldexp(mantissa, -24)
	default:
		v = math.Ldexp(1024+mantissa, exponent-25)
	}
	return math.Float32frombits(math.Float32bits(float32(v)) | sign)
}
