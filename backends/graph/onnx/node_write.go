package onnx

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/body"
	"github.com/apex-x/apexx/backends/tensor"
)

// nodeWriter is the mapping that turns the fields of one operator into attributes and constant inputs.
type nodeWriter struct {
	model *writer
	node  *graph.Node

	inputs     []string // names, the operands first
	attributes []message
	names      []string // of the attributes
	values     []any    // of the attributes
	signature  []string // NAME=VALUE of the attributes
	exact      message  // metadata entries for parameters that a float32 only approximates
}

func newNodeWriter(w *writer, n *graph.Node) *nodeWriter {
	nw := &nodeWriter{model: w, node: n}
	for _, v := range n.Inputs {
		name := ""
		if v != nil {
			name = v.Name
		}
		nw.inputs = append(nw.inputs, name)
	}
	return nw
}

func (n *nodeWriter) in(i int) graph.Type {
	if i >= len(n.node.Inputs) || n.node.Inputs[i] == nil {
		return graph.Type{}
	}
	return n.node.Inputs[i].Type
}

func (n *nodeWriter) attribute(name string, value any) {
	n.attributes = append(n.attributes, attribute(name, value))
	n.names = append(n.names, name)
	n.values = append(n.values, value)
	text := fmt.Sprint(value)
	if list, ok := value.([]int64); ok {
		text = commas(list)
	}
	n.signature = append(n.signature, name+"="+text)
}

func (n *nodeWriter) int(name string, p *int, _ ...int) { n.attribute(name, int64(*p)) }

func (n *nodeWriter) bool(name string, p *bool, _ ...bool) {
	v := int64(0)
	if *p {
		v = 1
	}
	n.attribute(name, v)
}

func (n *nodeWriter) ints(name string, p *[]int, _ ...[]int) { n.attribute(name, int64s(*p)) }

func (n *nodeWriter) float(name string, p *float64, _ ...float64) {
	v := float32(*p)
	n.attribute(name, v)
	n.keepExact(name, *p, widen(v))
}

// keepExact records a parameter as metadata unless it reads back as itself.
func (n *nodeWriter) keepExact(name string, value, read float64) {
	if value != read {
		n.exact.entry(nodeMetadata, exactKey+name, strconv.FormatFloat(value, 'g', -1, 64))
	}
}

func (n *nodeWriter) float32(name string, p *float32)            { n.attribute(name, *p) }
func (n *nodeWriter) string(name string, p *string, _ ...string) { n.attribute(name, *p) }

func (n *nodeWriter) fixed(name string, value any) {
	switch v := value.(type) {
	case int:
		n.attribute(name, int64(v))
	case []int:
		n.attribute(name, int64s(v))
	default:
		n.attribute(name, v)
	}
}

func (n *nodeWriter) standard(string, any) {}

func (n *nodeWriter) ignored(...string) {}

func (n *nodeWriter) constant(i int, name string, t *tensor.Tensor) {
	for len(n.inputs) <= i {
		n.inputs = append(n.inputs, "")
	}
	n.inputs[i] = n.model.parameter(n.node.Name+"."+name, t)
}

func (n *nodeWriter) intsInput(i int, name string, p *[]int) {
	list := *p
	if n.model.opts.Batch != "" {
		switch n.node.Op.(type) {
		case graph.Reshape:
			list = freeReshape(list)
		case graph.Resize:
			n.scales(list)
			return
		}
	}
	n.constant(i, name, tensor.Must(tensor.Of(int64s(list), len(list))))
}

func (n *nodeWriter) floatInput(i int, name string, p *float64, _ float64) {
	if n.in(0).DType == tensor.Float64 {
		n.constant(i, name, tensor.Scalar(*p))
		return
	}
	n.constant(i, name, tensor.Scalar(float32(*p)))
	n.keepExact(name, *p, widen(float32(*p)))
}

func (n *nodeWriter) noInput(int) {}

func (n *nodeWriter) floatsInput(int, string) []float32 { return nil }

func (n *nodeWriter) fail(err error) {
	n.model.fail(fmt.Errorf("node %s (%s): %w", n.node.Name, n.node.Op.OpType(), err))
}

// attribute encodes an AttributeProto. The value is an int64, float32, string, []int64, []float32, []string,
// a tensor or a body.ZeroPoint.
func attribute(name string, value any) message {
	var m message
	m.str(attributeName, name)
	kind := int64(0)
	switch v := value.(type) {
	case int64:
		kind = kindInt
		m.int(attributeI, v)
	case float32:
		kind = kindFloat
		m.float(attributeF, v)
	case string:
		kind = kindString
		m.str(attributeS, v)
	case []int64:
		kind = kindInts
		for _, x := range v {
			m.int(attributeInts, x)
		}
	case []float32:
		kind = kindFloats
		for _, x := range v {
			m.float(attributeFloats, x)
		}
	case []string:
		kind = kindStrings
		for _, x := range v {
			m.str(attributeStrings, x)
		}
	case *tensor.Tensor:
		kind = kindTensor
		m.bytes(attributeT, tensorProto(v))
	case body.ZeroPoint:
		kind = kindTensor
		m.bytes(attributeT, zeroPointProto(v))
	default:
		panic(fmt.Sprintf("onnx: attribute %s has the type %T", name, value))
	}
	m.int(attributeType, kind)
	return m
}

func int64s(list []int) []int64 {
	out := make([]int64, len(list))
	for i, v := range list {
		out[i] = int64(v)
	}
	return out
}

func commas[T any](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ",")
}
