package graph

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// Type is what shape inference knows of a value: its element type and its static shape.
type Type struct {
	DType tensor.DType
	Shape []int
}

// String describes the type, such as "float32[1 64 128 128]".
func (t Type) String() string { return fmt.Sprintf("%v%v", t.DType, t.Shape) }

// Len returns the number of elements.
func (t Type) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Dim returns the size of an axis, from 0, and 1 where the type has no such axis. So code that builds a graph from a value of another
// rank than it expects, or from one that a builder could not compute, goes on to the operator that reads it, which tells what is wrong.
func (t Type) Dim(axis int) int {
	if axis >= len(t.Shape) {
		return 1
	}
	return t.Shape[axis]
}

// Op is an operator with its parameters. The concrete types of this package are the complete set; executors switch on them.
type Op interface {
	// OpType returns the ONNX operator type, such as "Conv".
	OpType() string
	// OpDomain returns "" for a standard ONNX operator and Domain for one of ours.
	OpDomain() string
	// Infer checks the types of the inputs and returns the types of the outputs. An optional input that is absent has an
	// Invalid DType.
	Infer(in []Type) ([]Type, error)
}

// arity returns how many outputs an operator has, which no input changes.
func arity(op Op) int {
	switch o := op.(type) {
	case Split:
		return len(o.Sizes)
	case TileSSMScan, SelectDetections, BoxMask, TopK:
		return 2
	case DecodeBoxes, LSTM:
		return 3
	case Opaque:
		return len(o.Outputs)
	}
	return 1
}

// Value is an edge of the graph: an input, a constant or the output of a node. Its name is unique in the graph.
type Value struct {
	Name string
	Type
	Producer *Node          // nil for inputs and constants
	Const    *tensor.Tensor // set for constants alone
}

// Constant returns a constant of that name.
func Constant(name string, t *tensor.Tensor) *Value {
	return &Value{Name: name, Type: Type{t.DType(), t.Shape()}, Const: t}
}

// Node is one application of an operator. Inputs holds nil where an optional input is absent.
type Node struct {
	Name    string
	Op      Op
	Inputs  []*Value
	Outputs []*Value
}

// Port gives a value a public name: an output or a tap.
type Port struct {
	Name  string
	Value *Value
}

// Graph is a complete computation. Nodes are in topological order; constants are reached through the inputs of nodes.
type Graph struct {
	Name      string
	Inputs    []*Value
	Nodes     []*Node
	Outputs   []Port
	Taps      []Port            // intermediates that a session can return on request
	Decisions []Decision        // intermediates that hold choices, in topological order
	Metadata  map[string]string // carried into files, such as the digest of the weights

	// Calibration tells Lower the ranges of values in formats with a scale; nil where nobody has looked.
	Calibration *Calibration

	// Parts names the nodes of each part of a graph that Apart made; nil in any other. A session merges nothing of different parts into
	// one step: whoever takes a graph apart asks what each part computes by itself.
	Parts [][]string
}

// Output returns the output of that name.
func (g *Graph) Output(name string) (*Value, bool) { return find(g.Outputs, name) }

// Tap returns the value that a tap names, or else the value with that name: any intermediate can be tapped.
func (g *Graph) Tap(name string) (*Value, bool) {
	if v, ok := find(g.Taps, name); ok {
		return v, ok
	}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v.Name == name {
				return v, true
			}
		}
	}
	return nil, false
}

func find(ports []Port, name string) (*Value, bool) {
	for _, p := range ports {
		if p.Name == name {
			return p.Value, true
		}
	}
	return nil, false
}

// Constants returns the constants that the nodes read, each once, in the order of first use.
func (g *Graph) Constants() []*Value {
	var out []*Value
	seen := map[*Value]bool{}
	for _, n := range g.Nodes {
		for _, v := range n.Inputs {
			if v != nil && v.Const != nil && !seen[v] {
				seen[v] = true
				out = append(out, v)
			}
		}
	}
	return out
}

// WithTaps returns a graph that computes g's outputs and, after them, the named taps as outputs called "tap.NAME"; what
// neither needs is left out. Nodes and values are shared with g. The name "all" stands for every declared tap; a name that is given
// twice is one tap.
func (g *Graph) WithTaps(names []string) (*Graph, error) {
	out := *g
	out.Outputs = slices.Clone(g.Outputs)
	for _, name := range g.expandTaps(names) {
		v, ok := g.Tap(name)
		if !ok {
			return nil, fmt.Errorf("graph %s has no tap or value %q", g.Name, name)
		}
		out.Outputs = append(out.Outputs, Port{"tap." + name, v})
	}
	out.Nodes = reachable(out.Nodes, out.Outputs)
	return &out, nil
}

// expandTaps replaces "all" by the declared taps, which come first, and lists every name once.
func (g *Graph) expandTaps(names []string) []string {
	var taps []string
	if slices.Contains(names, "all") {
		for _, t := range g.Taps {
			taps = append(taps, t.Name)
		}
	}
	for _, name := range names {
		if name != "all" && !slices.Contains(taps, name) {
			taps = append(taps, name)
		}
	}
	return taps
}

// reachable returns the nodes that the ports depend on, in the order of nodes.
func reachable(nodes []*Node, ports []Port) []*Node {
	need := map[*Node]bool{}
	for _, p := range ports {
		if p.Value.Producer != nil {
			need[p.Value.Producer] = true
		}
	}
	for _, n := range slices.Backward(nodes) {
		if !need[n] {
			continue
		}
		for _, v := range n.Inputs {
			if v != nil && v.Producer != nil {
				need[v.Producer] = true
			}
		}
	}
	var out []*Node
	for _, n := range nodes {
		if need[n] {
			out = append(out, n)
		}
	}
	return out
}
