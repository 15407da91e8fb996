package onnx

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
)

// Attribute is an attribute of a node as a file has it: an int64, []int64, float32 or string.
type Attribute struct {
	Name  string
	Value any
}

// Attributes returns the attributes that an operator of the domain "apexx" is written with, in their order. Other operators are an error: theirs
// depend on their operands.
func Attributes(op graph.Op) ([]Attribute, error) {
	e, ok := entries[op.OpType()]
	if !ok || op.OpDomain() != graph.Domain {
		return nil, fmt.Errorf("attributes of %s: want an operator of the domain %s", op.OpType(), graph.Domain)
	}
	n := newNodeWriter(&writer{}, &graph.Node{Op: op})
	e.write(n, op)
	list := make([]Attribute, len(n.names))
	for i, name := range n.names {
		list[i] = Attribute{name, n.values[i]}
	}
	return list, n.model.err
}

// Plugin returns an operator of the domain "apexx" that package graph does not have, for a node of a model in the form Plugins: a plugin of several nodes of
// the graph.
func Plugin(opType string, attributes []Attribute, outputs ...graph.Type) graph.Opaque {
	op := graph.Opaque{Type: opType, Domain: graph.Domain, Version: graph.DomainVersion, Outputs: outputs}
	for i := range outputs {
		op.Places = append(op.Places, i)
	}
	for _, a := range append(slices.Clone(attributes), pluginAttributes...) {
		op.Attributes = append(op.Attributes, attribute(a.Name, a.Value))
	}
	return op
}

// pluginAttributes are those by which TensorRT's parser finds the plugin of a node.
var pluginAttributes = []Attribute{{"plugin_namespace", graph.Domain}, {"plugin_version", PluginVersion}}
