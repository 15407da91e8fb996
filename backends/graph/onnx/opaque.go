package onnx

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
)

// oldestOpaque is the oldest version of the standard operator set of a model with opaque operators. What the operators of package graph
// are written as means the same from it on, and older models have those that changed since, such as a ReduceMean with the axes as an
// attribute, as opaque ones.
const oldestOpaque = 14

// opaqueKey marks, in the metadata of a model, that it holds opaque operators on purpose.
const opaqueKey = "apexx.opaque"

// ReadAny is Read for models from elsewhere, in versions 14 to 23 of the standard operator set: what is no operator of package graph
// becomes a graph.Opaque, if the file declares the types of its outputs, as shape inference does. Control flow and sparse constants
// remain errors, and so do calls of functions that the file defines. A symbolic dimension takes the value that dims has for its name; those
// without one are an error, too.
func ReadAny(data []byte, dims map[string]int) (*graph.Graph, error) {
	g, err := readModel(data, nil, &anyModel{dims})
	if err != nil {
		return nil, fmt.Errorf("read ONNX model: %w", err)
	}
	return g, nil
}

// anyModel asks readModel to take opaque operators.
type anyModel struct {
	dims map[string]int // of symbolic dimensions
}

// functionKey names a function by domain and name.
type functionKey struct{ domain, name string }

// decodeFunctionKey reads which function a FunctionProto defines.
func decodeFunctionKey(b []byte) (k functionKey, err error) {
	err = fields(b, func(f field) error {
		switch f.num {
		case functionName:
			return f.str(&k.name)
		case functionDomain:
			return f.str(&k.domain)
		}
		return nil
	})
	return k, err
}

// opaque adds a node that is no operator of package graph; why says what it was refused for.
func (r *reader) opaque(n *rawNode, why error) error {
	if r.functions[functionKey{n.domain, n.opType}] {
		return errors.New("it calls a function that the file defines; inline the functions (onnx.inliner.inline_local_functions)")
	}
	version, ok := r.opsets[n.domain]
	if !ok {
		return fmt.Errorf("the file imports no operator set of its domain %q", n.domain)
	}
	op := graph.Opaque{Type: n.opType, Domain: n.domain, Version: version, Why: why.Error()}
	for i := range n.attributes {
		a := &n.attributes[i]
		if a.kind == kindGraph || a.kind == kindGraphs {
			return fmt.Errorf("its attribute %q is a graph: control flow is not supported", a.name)
		}
		op.Attributes = append(op.Attributes, bytes.Clone(a.encoded))
	}
	var names []string
	for i, name := range n.outputs {
		if name == "" {
			continue
		}
		t, err := r.declared[name].graphType()
		if err != nil {
			return fmt.Errorf("%w; as an opaque operator it needs the type of its output %q, which the file does not declare: %v (onnx.shape_inference adds types)", why, name, err)
		}
		op.Outputs, op.Places, names = append(op.Outputs, t), append(op.Places, i), append(names, name)
	}
	inputs, err := r.inputs(n)
	if err != nil {
		return err
	}
	return r.add(&graph.Node{Name: n.name, Op: op, Inputs: inputs}, names)
}

// opaque encodes a NodeProto as the file had it.
func (w *writer) opaque(n *graph.Node, op graph.Opaque) {
	var m message
	for _, v := range n.Inputs {
		if v == nil {
			m.str(nodeInput, "")
			continue
		}
		m.str(nodeInput, v.Name)
	}
	place := 0
	for i, v := range n.Outputs {
		for ; place < op.Places[i]; place++ {
			m.str(nodeOutput, "")
		}
		m.str(nodeOutput, v.Name)
		place++
	}
	m.str(nodeName, n.Name)
	m.str(nodeOpType, op.Type)
	for _, a := range op.Attributes {
		m.bytes(nodeAttribute, a)
	}
	if op.Domain != "" {
		m.str(nodeDomain, op.Domain)
	}
	w.nodes.bytes(graphNode, m)
}

// opsetsOf returns the versions of the operator sets that a graph is written in: the current ones, and those of its opaque operators.
func opsetsOf(g *graph.Graph) (map[string]int64, error) {
	versions := map[string]int64{"": graph.OpsetVersion, graph.Domain: graph.DomainVersion}
	given := map[string]bool{}
	for _, n := range g.OpaqueNodes() {
		op := n.Op.(graph.Opaque)
		if given[op.Domain] && versions[op.Domain] != op.Version {
			return nil, fmt.Errorf("node %s is of version %d of the operator set %q, another is of %d", n.Name, op.Version, op.Domain, versions[op.Domain])
		}
		versions[op.Domain], given[op.Domain] = op.Version, true
	}
	return versions, nil
}

// kindGraph and kindGraphs are the values of AttributeProto.type that only control flow has.
const (
	kindGraph  = 5
	kindGraphs = 10
)
