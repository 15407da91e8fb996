package onnx

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// reader rebuilds one graph.
type reader struct {
	g        *graph.Graph
	external *external        // file of weights; nil where there is none
	opsets   map[string]int64 // versions by domain
	values   map[string]*graph.Value
	ports    map[string]*graph.Value // by the names of outputs that are not their values'
	nodes    map[string]bool         // names

	takeOpaque bool // operators that package graph lacks; for them:
	functions  map[functionKey]bool
	declared   map[string]rawValue // types of values
	dims       map[string]int      // of symbolic dimensions
	made       int                 // elements of constants that take no room in the file
}

// read decodes a GraphProto: first what it declares, then its nodes in order.
func (r *reader) read(data []byte) error {
	var inputs, outputs []rawValue
	var nodes [][]byte
	err := fields(data, func(f field) error {
		switch f.num {
		case graphName:
			return f.str(&r.g.Name)
		case graphInitializer:
			return r.initializer(f.data)
		case graphSparse:
			return errors.New("sparse initializers are not supported")
		case graphNode:
			nodes = append(nodes, f.data)
			return f.want(protowire.BytesType)
		case graphInput, graphOutput:
			v, err := decodeValue(f.data)
			v.resolve(r.dims)
			if f.num == graphInput {
				inputs = append(inputs, v)
			} else {
				outputs = append(outputs, v)
			}
			r.declare(v)
			return err
		case graphValueInfo:
			if !r.takeOpaque {
				return nil
			}
			v, err := decodeValue(f.data)
			v.resolve(r.dims)
			r.declare(v)
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, v := range inputs {
		if err := r.input(v); err != nil {
			return fmt.Errorf("input %q: %w", v.name, err)
		}
	}
	for _, b := range nodes {
		if err := r.node(b); err != nil {
			return err
		}
	}
	return r.outputs(outputs)
}

// declare keeps the type that the file gives a value.
func (r *reader) declare(v rawValue) {
	if r.takeOpaque {
		r.declared[v.name] = v
	}
}

// define adds a value under its name.
func (r *reader) define(v *graph.Value) error {
	if err := r.free(v.Name); err != nil {
		return err
	}
	r.values[v.Name] = v
	return nil
}

func (r *reader) free(name string) error {
	if name == "" || r.values[name] != nil || r.ports[name] != nil {
		return fmt.Errorf("the value name %q is empty or used twice", name)
	}
	return nil
}

func (r *reader) constant(name string, raw rawTensor) error {
	t, err := raw.tensor(r.external)
	if err != nil {
		return fmt.Errorf("constant %q: %w", name, err)
	}
	return r.define(graph.Constant(name, t))
}

func (r *reader) initializer(b []byte) error {
	raw, err := decodeTensor(b)
	if err != nil {
		return fmt.Errorf("initializer %q: %w", raw.name, err)
	}
	return r.constant(raw.name, raw)
}

func (r *reader) input(raw rawValue) error {
	if v := r.values[raw.name]; v != nil && v.Const != nil {
		return nil // an input with a default is a constant here
	}
	t, err := raw.graphType()
	if err != nil {
		return err
	}
	v := &graph.Value{Name: raw.name, Type: t}
	r.g.Inputs = append(r.g.Inputs, v)
	return r.define(v)
}

func (r *reader) node(b []byte) error {
	n, err := decodeNode(b)
	if err == nil {
		err = r.named(n)
	}
	if err != nil {
		return fmt.Errorf("node %s (%s): %w", n.name, n.opType, err)
	}
	return nil
}

// named adds a decoded node under its name, which no other node has.
func (r *reader) named(n *rawNode) error {
	if n.domain == "ai.onnx" {
		n.domain = ""
	}
	if n.opType == "Constant" && n.domain == "" {
		return r.constantNode(n)
	}
	if r.nodes[n.name] {
		return errors.New("there are two nodes of that name")
	}
	r.nodes[n.name] = true
	read, ok := familiar[n.opType]
	if ok && r.takeOpaque && n.domain == "" {
		if err := r.addFamiliar(n, read); err != nil {
			return r.opaque(n, err)
		}
		return nil
	}
	err := r.decoded(n)
	if err != nil && r.takeOpaque && n.domain != graph.Domain {
		return r.opaque(n, err)
	}
	return err
}

// decoded adds a node with an operator of package graph.
func (r *reader) decoded(n *rawNode) error {
	if n.domain == graph.Domain {
		n.opType = operatorOf(n.opType)
	}
	e, ok := entries[n.opType]
	function := n.opType == "GroupNormalization" && n.domain == graph.Domain
	switch {
	case !ok || n.domain != e.domain && !function:
		return fmt.Errorf("the operator %q of the domain %q is not supported", n.opType, n.domain)
	case n.opType == "GroupNormalization" && !function && r.opsets[""] < graph.OpsetVersion:
		return fmt.Errorf("its scale is per group before version %d of the standard operator set", graph.OpsetVersion)
	}
	inputs, err := r.inputs(n)
	if err != nil {
		return err
	}
	if value, marked := n.metadata[portKey]; marked {
		return r.port(n, value, inputs)
	}
	op, operands, err := newNodeReader(n, inputs).read(e)
	if err != nil {
		return err
	}
	return r.add(&graph.Node{Name: n.name, Op: op, Inputs: operands}, n.outputs)
}

// port takes the second name of a value from the node that writer.port made.
func (r *reader) port(n *rawNode, value string, inputs []*graph.Value) error {
	if n.opType != string(graph.Identity) || len(inputs) != 1 || inputs[0] == nil || inputs[0].Name != value || len(n.outputs) != 1 || len(n.attributes) != 0 {
		return fmt.Errorf("its metadata say that it names an output of the value %q, and it is another node", value)
	}
	if err := r.free(n.outputs[0]); err != nil {
		return err
	}
	r.ports[n.outputs[0]] = inputs[0]
	return nil
}

func (r *reader) inputs(n *rawNode) ([]*graph.Value, error) {
	inputs := make([]*graph.Value, len(n.inputs))
	for i, name := range n.inputs {
		if name == "" {
			continue
		}
		if inputs[i] = r.values[name]; inputs[i] == nil {
			return nil, fmt.Errorf("it reads %q, which no input, constant or earlier node provides", name)
		}
	}
	return inputs, nil
}

// add infers the types of a node's outputs and adds the node to the graph.
func (r *reader) add(n *graph.Node, names []string) error {
	types := make([]graph.Type, len(n.Inputs))
	for i, v := range n.Inputs {
		if v != nil {
			types[i] = v.Type
		}
	}
	out, err := n.Op.Infer(types)
	if err != nil {
		return err
	}
	if len(names) > len(out) {
		return fmt.Errorf("it has %d outputs, want %d", len(names), len(out))
	}
	if err := checkIndices(n); err != nil {
		return err
	}
	for i, t := range out {
		if _, err := shape(int64s(t.Shape)); err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
		name := fmt.Sprintf("%s.%d", n.Name, i) // of an output that nobody reads
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		v := &graph.Value{Name: name, Type: t, Producer: n}
		if err := r.define(v); err != nil {
			return err
		}
		n.Outputs = append(n.Outputs, v)
	}
	r.g.Nodes = append(r.g.Nodes, n)
	return nil
}

// checkIndices refuses constant indices of a Gather outside its axis: ONNX counts negative ones from the end, graph.Gather
// does not.
func checkIndices(n *graph.Node) error {
	op, ok := n.Op.(graph.Gather)
	if !ok || n.Inputs[1].Const == nil {
		return nil
	}
	axis, x := op.Axis, n.Inputs[0].Shape
	if axis < 0 {
		axis += len(x)
	}
	for _, i := range tensor.Data[int64](n.Inputs[1].Const) {
		if i < 0 || i >= int64(x[axis]) {
			return fmt.Errorf("index %d is outside axis %d of %v", i, axis, x)
		}
	}
	return nil
}

// constantNode turns a Constant node into a constant.
func (r *reader) constantNode(n *rawNode) error {
	if len(n.inputs) != 0 || len(n.outputs) != 1 || len(n.attributes) != 1 {
		return fmt.Errorf("it has %d inputs, %d outputs and %d attributes, want 0, 1 and 1", len(n.inputs), len(n.outputs), len(n.attributes))
	}
	a := n.attributes[0]
	raw := rawTensor{elem: elemTypes[tensor.Int64]}
	switch a.name {
	case "value":
		var err error
		if raw, err = decodeTensor(a.t); err != nil {
			return err
		}
	case "value_int":
		raw.ints = []int64{a.i}
	case "value_ints":
		raw.ints, raw.dims = a.ints, []int64{int64(len(a.ints))}
	case "value_float":
		raw.floats, raw.elem = []float32{a.f}, elemTypes[tensor.Float32]
	case "value_floats":
		raw.floats, raw.elem, raw.dims = a.floats, elemTypes[tensor.Float32], []int64{int64(len(a.floats))}
	default:
		return fmt.Errorf("attribute %q is not supported", a.name)
	}
	return r.constant(n.outputs[0], raw)
}

// outputs resolves the graph's outputs and checks the types that the file declares for them.
func (r *reader) outputs(declared []rawValue) error {
	seen := map[string]bool{}
	for _, d := range declared {
		v := r.ports[d.name]
		if v == nil {
			v = r.values[d.name]
		}
		if v == nil || v.Producer == nil && v.Name == d.name {
			return fmt.Errorf("output %q is not computed by a node", d.name)
		}
		if seen[d.name] {
			return fmt.Errorf("output %q is listed twice", d.name)
		}
		seen[d.name] = true
		if t, err := d.graphType(); err == nil && t.String() != v.Type.String() {
			return fmt.Errorf("output %q is declared %v and computed %v", d.name, t, v.Type)
		}
		r.g.Outputs = append(r.g.Outputs, graph.Port{Name: d.name, Value: v})
	}
	if len(r.g.Outputs) == 0 {
		return errors.New("the graph has no outputs")
	}
	return nil
}
