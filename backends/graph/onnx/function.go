package onnx

import (
	"fmt"
	"strings"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/body"
	"github.com/apex-x/apexx/backends/tensor"
)

// needsFunction reports whether an operator is exported as a call of a model-local function.
func needsFunction(op graph.Op) bool {
	_, norm := op.(graph.GroupNormalization)
	return norm || op.OpDomain() == graph.Domain
}

// function makes sure that the model has the function of a node and returns its overload: the types of the operands, "-"
// for an absent one, and the attributes.
func (w *writer) function(n *nodeWriter) string {
	types := make([]graph.Type, len(n.node.Inputs))
	words := make([]string, len(types))
	for i := range types {
		types[i] = n.in(i)
		words[i] = "-"
		if types[i].DType != tensor.Invalid {
			words[i] = types[i].DType.String() + "[" + commas(types[i].Shape) + "]"
		}
	}
	opType := n.node.Op.OpType()
	overload := strings.Join(append(words, n.signature...), " ")
	key := opType + " " + overload
	if w.written[key] {
		return overload
	}
	w.written[key] = true
	f, err := w.body(n.node.Op, types)
	switch {
	case err != nil:
		n.fail(fmt.Errorf("no function body: %w", err))
	case f == nil:
		n.fail(fmt.Errorf("no function body for the inputs %s", overload))
	default:
		w.functions.bytes(modelFunctions, functionProto(opType, overload, n.names, f))
	}
	return overload
}

// functionProto encodes a FunctionProto of our domain.
func functionProto(opType, overload string, attributes []string, f *body.Function) message {
	var m message
	m.str(functionName, opType)
	for _, name := range f.Inputs {
		m.str(functionInput, name)
	}
	for _, name := range f.Outputs {
		m.str(functionOutput, name)
	}
	for _, name := range attributes {
		m.str(functionAttribute, name)
	}
	for _, n := range f.Nodes {
		m.bytes(functionNode, bodyNode(n))
	}
	m.opset(functionOpsetImport, "", graph.OpsetVersion)
	m.str(functionDomain, graph.Domain)
	m.str(functionOverload, overload)
	return m
}

func bodyNode(n body.Node) message {
	var m message
	for _, name := range n.Inputs {
		m.str(nodeInput, name)
	}
	for _, name := range n.Outputs {
		m.str(nodeOutput, name)
	}
	m.str(nodeName, n.Name)
	m.str(nodeOpType, n.OpType)
	for _, a := range n.Attrs {
		m.bytes(nodeAttribute, attribute(a.Name, a.Value))
	}
	return m
}
