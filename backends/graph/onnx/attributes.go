package onnx

import "github.com/apex-x/apexx/backends/graph"

// Attributes names the attributes that a node of an operator of this package is written with, in their order; nil for an operator without a mapping.
func Attributes(n *graph.Node) []string {
	e, ok := entries[n.Op.OpType()]
	if !ok {
		return nil
	}
	nw := newNodeWriter(&writer{names: map[string]bool{}}, n)
	e.write(nw, n.Op)
	return nw.names
}
