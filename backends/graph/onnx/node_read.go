package onnx

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// maxParameter bounds integer parameters from files, so that products of two and sums of many fit an int.
const maxParameter = 1 << 31

// nodeReader is the mapping that takes the fields of one operator from a node. The first error sticks.
type nodeReader struct {
	node     *rawNode
	inputs   []*graph.Value // as listed by the node; nil where absent
	used     map[string]bool
	operands int // inputs before the first constant one
	err      error
}

func newNodeReader(n *rawNode, inputs []*graph.Value) *nodeReader {
	return &nodeReader{node: n, inputs: inputs, used: map[string]bool{}, operands: len(inputs)}
}

// read returns the operator and its operands.
func (n *nodeReader) read(e entry) (graph.Op, []*graph.Value, error) {
	op := e.read(n, n.node.opType)
	if op != nil && op.OpDomain() == graph.Domain { // a constant has no operator
		n.ignored("plugin_namespace", "plugin_version") // of the form Plugins
	}
	for _, a := range n.node.attributes {
		if !n.used[a.name] {
			n.fail(fmt.Errorf("attribute %q is not supported or given twice", a.name))
		}
		delete(n.used, a.name)
	}
	return op, n.inputs[:n.operands], n.err
}

func (n *nodeReader) fail(err error) {
	if n.err == nil {
		n.err = err
	}
}

func (n *nodeReader) in(i int) graph.Type {
	if i >= len(n.inputs) || n.inputs[i] == nil {
		return graph.Type{}
	}
	return n.inputs[i].Type
}

// attribute returns the attribute of that name and kind, or nil where it is absent or in error.
func (n *nodeReader) attribute(name string, kind int64, optional bool) *rawAttribute {
	n.used[name] = true
	for i := range n.node.attributes {
		a := &n.node.attributes[i]
		if a.name != name {
			continue
		}
		if a.kind != kind {
			n.fail(fmt.Errorf("attribute %q has the type %d of AttributeProto.AttributeType, want %d", name, a.kind, kind))
			return nil
		}
		return a
	}
	if !optional {
		n.fail(fmt.Errorf("attribute %q is missing", name))
	}
	return nil
}

func (n *nodeReader) int(name string, p *int, def ...int) {
	if len(def) > 0 {
		*p = def[0]
	}
	if a := n.attribute(name, kindInt, len(def) > 0); a != nil {
		*p = n.bounded(name, a.i)
	}
}

// bounded converts an integer of the file.
func (n *nodeReader) bounded(name string, v int64) int {
	if v < -maxParameter || v > maxParameter {
		n.fail(fmt.Errorf("%s: %d is out of range", name, v))
		return 0
	}
	return int(v)
}

func (n *nodeReader) boundedList(name string, list []int64) []int {
	out := make([]int, len(list))
	for i, v := range list {
		out[i] = n.bounded(name, v)
	}
	return out
}

func (n *nodeReader) bool(name string, p *bool, def ...bool) {
	if len(def) > 0 {
		*p = def[0]
	}
	if a := n.attribute(name, kindInt, len(def) > 0); a != nil {
		*p = a.i != 0
	}
}

func (n *nodeReader) ints(name string, p *[]int, def ...[]int) {
	if len(def) > 0 {
		*p = def[0]
	}
	if a := n.attribute(name, kindInts, len(def) > 0); a != nil {
		*p = n.boundedList(name, a.ints)
	}
}

func (n *nodeReader) float(name string, p *float64, def ...float64) {
	if len(def) > 0 {
		*p = def[0]
	}
	if a := n.attribute(name, kindFloat, len(def) > 0); a != nil {
		*p = n.finite(name, n.exact(name, a.f))
	}
}

func (n *nodeReader) finite(name string, v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		n.fail(fmt.Errorf("attribute %q is %g", name, v))
	}
	return v
}

// exact returns the parameter that the metadata of the node gives for a float32, if the two agree.
func (n *nodeReader) exact(name string, v float32) float64 {
	if text, ok := n.node.metadata[exactKey+name]; ok {
		if d, err := strconv.ParseFloat(text, 64); err == nil && float32(d) == v {
			return d
		}
		n.fail(fmt.Errorf("%s is %g, the metadata say %q", name, v, text))
	}
	return widen(v)
}

func (n *nodeReader) float32(name string, p *float32) {
	if a := n.attribute(name, kindFloat, false); a != nil {
		*p = a.f
		n.finite(name, float64(a.f))
	}
}

func (n *nodeReader) string(name string, p *string, def ...string) {
	if len(def) > 0 {
		*p = def[0]
	}
	if a := n.attribute(name, kindString, len(def) > 0); a != nil {
		*p = a.s
	}
}

func (n *nodeReader) fixed(name string, want any) { n.only(name, want, false) }

func (n *nodeReader) standard(name string, want any) { n.only(name, want, true) }

func (n *nodeReader) ignored(names ...string) {
	for _, name := range names {
		n.used[name] = true
	}
}

// only refuses any value of an attribute but one.
func (n *nodeReader) only(name string, want any, optional bool) {
	var got any
	switch w := want.(type) {
	case int:
		if a := n.attribute(name, kindInt, optional); a != nil && a.i != int64(w) {
			got = a.i
		}
	case float32:
		if a := n.attribute(name, kindFloat, optional); a != nil && a.f != w {
			got = a.f
		}
	case string:
		if a := n.attribute(name, kindString, optional); a != nil && a.s != w {
			got = a.s
		}
	case []int:
		if a := n.attribute(name, kindInts, optional); a != nil && !slices.Equal(a.ints, int64s(w)) {
			got = a.ints
		}
	}
	if got != nil {
		n.fail(fmt.Errorf("%s = %v is not supported (only %v)", name, got, want))
	}
}

// constant returns the contents of input i, or nil when it is absent. It is an operand no more.
func (n *nodeReader) constant(i int, name string) *tensor.Tensor {
	n.operands = min(n.operands, i)
	if i >= len(n.inputs) || n.inputs[i] == nil {
		return nil
	}
	if n.inputs[i].Const == nil {
		n.fail(fmt.Errorf("input %d (%s) is computed; only constants are supported", i, name))
		return nil
	}
	return n.inputs[i].Const
}

func (n *nodeReader) intsInput(i int, name string, p *[]int) {
	t := n.constant(i, name)
	switch {
	case n.err != nil:
	case t == nil:
		n.fail(fmt.Errorf("input %d (%s) is missing", i, name))
	case t.DType() != tensor.Int64 || t.Rank() != 1:
		n.fail(fmt.Errorf("input %d (%s) is %v, want a list of int64", i, name, t))
	default:
		*p = n.boundedList(name, tensor.Data[int64](t))
	}
}

func (n *nodeReader) floatInput(i int, name string, p *float64, def float64) {
	*p = def
	t := n.constant(i, name)
	switch {
	case t == nil:
	case t.Len() != 1 || !t.DType().IsFloat() || t.DType() != n.in(0).DType:
		n.fail(fmt.Errorf("input %d (%s) is %v, want one number of type %v", i, name, t, n.in(0).DType))
	case t.DType() == tensor.Float64:
		*p = tensor.Data[float64](t)[0]
	default:
		*p = n.exact(name, tensor.Data[float32](t)[0])
	}
}

func (n *nodeReader) noInput(i int) {
	n.operands = min(n.operands, i)
	if i < len(n.inputs) && n.inputs[i] != nil {
		n.fail(fmt.Errorf("input %d is not supported", i))
	}
}

func (n *nodeReader) floatsInput(i int, name string) []float32 {
	t := n.constant(i, name)
	if t == nil || t.Len() == 0 { // older exporters leave an empty list beside sizes
		return nil
	}
	if t.DType() != tensor.Float32 || t.Rank() != 1 {
		n.fail(fmt.Errorf("input %d (%s) is %v, want a list of float32", i, name, t))
		return nil
	}
	return tensor.Data[float32](t)
}
