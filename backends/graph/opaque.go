package graph

import "fmt"

// Opaque is an operator that this package has no type for: what a model from elsewhere holds besides the others. A runtime that reads ONNX
// can execute it; an executor of ours refuses it by its name. Its inputs are as the file has them, its outputs those that have a name there.
type Opaque struct {
	Type   string // such as LSTM
	Domain string // "" for a standard operator
	// Version is that of the operator set by which the type and the attributes are meant.
	Version int64
	// Attributes are encoded AttributeProtos, in the order of the file.
	Attributes [][]byte
	// Outputs are the types that the file declares for the outputs, and Places their positions in the list of the node, ascending: an
	// operator may leave out an optional output.
	Outputs []Type
	Places  []int
	// Why says what keeps the operator from being one of this package.
	Why string
}

// OpType implements Op.
func (o Opaque) OpType() string { return o.Type }

// OpDomain implements Op.
func (o Opaque) OpDomain() string { return o.Domain }

// Infer implements Op. The file is believed.
func (o Opaque) Infer([]Type) ([]Type, error) {
	if len(o.Outputs) == 0 || len(o.Places) != len(o.Outputs) {
		return nil, fmt.Errorf("an opaque operator with %d outputs at %d places", len(o.Outputs), len(o.Places))
	}
	return o.Outputs, nil
}

// OpaqueNodes returns the nodes of g whose operators only a runtime that reads ONNX can execute.
func (g *Graph) OpaqueNodes() []*Node {
	var out []*Node
	for _, n := range g.Nodes {
		if _, ok := n.Op.(Opaque); ok {
			out = append(out, n)
		}
	}
	return out
}
