package onnx

import (
	"fmt"
	"strings"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/body"
	"github.com/apex-x/apexx/backends/tensor"
)

// hasBody reports whether an operator has a body of standard operators.
func hasBody(op graph.Op) bool {
	_, norm := op.(graph.GroupNormalization)
	return norm || op.OpDomain() == graph.Domain
}

// function makes sure that the model has the function of a node and returns its name. Nodes whose bodies depend on the same share one.
func (w *writer) function(n *nodeWriter) string {
	opType, signature := n.node.Op.OpType(), n.callSignature()
	key := opType + " " + signature
	name, ok := w.calls[key]
	if ok {
		return name
	}
	w.bodies[opType]++
	name = fmt.Sprintf("%s_%d", opType, w.bodies[opType])
	w.calls[key] = name
	if f := n.functionBody(); f != nil {
		w.functions.bytes(modelFunctions, functionProto(name, signature, n.names, f))
	}
	return name
}

// callSignature says what the body of the node depends on: the types of the operands, "-" for an absent one, and the attributes.
func (n *nodeWriter) callSignature() string {
	words := make([]string, len(n.node.Inputs))
	for i := range words {
		words[i] = "-"
		if t := n.in(i); t.DType != tensor.Invalid {
			words[i] = t.DType.String() + "[" + commas(t.Shape) + "]"
		}
	}
	return strings.Join(append(words, n.signature...), " ")
}

// functionBody returns the body of the node. Where there is none, it records an error and returns nil.
func (n *nodeWriter) functionBody() *body.Function {
	types := make([]graph.Type, len(n.node.Inputs))
	for i := range types {
		types[i] = n.in(i)
	}
	f, err := n.model.body(n.node.Op, types)
	switch {
	case err != nil:
		n.fail(fmt.Errorf("no function body: %w", err))
	case f == nil:
		n.fail(fmt.Errorf("no function body for the inputs %s", n.callSignature()))
	}
	return f
}

// operatorOf returns the operator type of what a node of our domain calls: function numbers it.
func operatorOf(name string) string {
	opType, number, numbered := strings.Cut(name, "_")
	if numbered && number != "" && strings.Trim(number, "0123456789") == "" {
		return opType
	}
	return name
}

// functionProto encodes a FunctionProto of our domain.
func functionProto(name, signature string, attributes []string, f *body.Function) message {
	var m message
	m.str(functionName, name)
	for _, in := range f.Inputs {
		m.str(functionInput, in)
	}
	for _, out := range f.Outputs {
		m.str(functionOutput, out)
	}
	for _, a := range attributes {
		m.str(functionAttribute, a)
	}
	for _, n := range f.Nodes {
		m.bytes(functionNode, bodyNode(n, func(name string) string { return name }))
	}
	m.str(functionDoc, signature)
	m.opset(functionOpsetImport, "", graph.OpsetVersion)
	m.str(functionDomain, graph.Domain)
	return m
}

// inline adds the nodes of a node's body. Values inside are called NODE/INNER.
func (w *writer) inline(n *nodeWriter) {
	f := n.functionBody()
	if f == nil {
		return
	}
	if w.opts.Batch != "" {
		freeBody(f)
	}
	outside := map[string]string{"": ""}
	for i, name := range f.Inputs {
		outside[name] = n.inputs[i]
	}
	for i, name := range f.Outputs {
		outside[name] = n.node.Outputs[i].Name
	}
	name := func(inner string) string {
		if out, ok := outside[inner]; ok {
			return out
		}
		return n.node.Name + "/" + inner
	}
	for _, node := range f.Nodes {
		for _, inner := range node.Outputs {
			if _, ok := outside[inner]; !ok {
				w.claim(name(inner))
			}
		}
		if node.OpType == selecting {
			chosen := name(node.Outputs[0])
			w.selected.bytes(graphValueInfo, namedInfo(chosen, graph.Type{DType: tensor.Int64, Shape: []int{0, 3}}, chosen))
		}
		node.Name = n.node.Name + "/" + node.Name
		w.nodes.bytes(graphNode, bodyNode(node, name))
	}
}

// selecting is the operator of bodies whose output has as many rows as it finds. Inference leaves that dimension without a number and without a
// name; with a name, its readers have shapes too, which runtimes want that hand parts of a model to others (ONNX Runtime to TensorRT).
const selecting = "NonMaxSuppression"

// bodyNode encodes a node of a body, with its values under the names that value gives.
func bodyNode(n body.Node, value func(inner string) string) message {
	var m message
	for _, name := range n.Inputs {
		m.str(nodeInput, value(name))
	}
	for _, name := range n.Outputs {
		m.str(nodeOutput, value(name))
	}
	m.str(nodeName, n.Name)
	m.str(nodeOpType, n.OpType)
	for _, a := range n.Attrs {
		m.bytes(nodeAttribute, attribute(a.Name, a.Value))
	}
	return m
}
