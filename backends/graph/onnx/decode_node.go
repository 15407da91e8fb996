package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/apex-x/apexx/backends/graph"
)

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

	encoded []byte // the AttributeProto itself
}

func decodeAttribute(b []byte) (rawAttribute, error) {
	a := rawAttribute{encoded: b}
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

// rawValue is a decoded ValueInfoProto; typed tells that it is a tensor.
type rawValue struct {
	name    string
	typed   bool
	shaped  bool
	elem    int64
	dims    []int64
	symbols []symbol // dimensions without a value
}

// symbol is a dimension that has a name, or "?", instead of a value.
type symbol struct {
	axis int
	name string
}

// resolve gives the dimensions with these names their values.
func (v *rawValue) resolve(dims map[string]int) {
	v.symbols = slices.DeleteFunc(v.symbols, func(s symbol) bool {
		n, ok := dims[s.name]
		if ok {
			v.dims[s.axis] = int64(n)
		}
		return ok
	})
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
	if !known {
		v.symbols = append(v.symbols, symbol{len(v.dims), name})
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
	case len(v.symbols) > 0:
		return graph.Type{}, fmt.Errorf("dimension %d (%s) has no number; only static shapes are supported", v.symbols[0].axis, v.symbols[0].name)
	}
	dtype, err := dtypeOf(v.elem)
	if err != nil {
		return graph.Type{}, err
	}
	s, err := shape(v.dims)
	return graph.Type{DType: dtype, Shape: s}, err
}
