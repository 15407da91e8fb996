package onnx

import (
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

func info(name string, shape ...int) message {
	return part(graphValueInfo, valueInfo(name, f32(shape...)))
}

// TestReadAny reads nodes of models from elsewhere: what they become, in the order of the graph, or what is wrong with them.
func TestReadAny(t *testing.T) {
	x, y := in("x", 2, 3, 4, 4), out("y", 2, 3, 4, 4)
	for _, c := range []struct {
		name  string
		opset int64
		dims  map[string]int
		parts []message
		want  string // types of the nodes, an opaque one with "?", or the error
	}{
		{"unknown operator", 21, nil, []message{x, node("Elu x y", attribute("alpha", float32(2))), y}, "Elu?"},
		{"known operator with an unknown attribute", 21, nil, []message{x, node("Relu x y", attribute("alpha", float32(1))), y}, "Relu?"},
		{"unknown domain", 21, nil, []message{x, part(graphNode, slices.Concat(nodeOf("Gelu x y"), domain("other"))), y}, "Gelu?"},
		{"domain without operator set", 21, nil, []message{x, part(graphNode, slices.Concat(nodeOf("Gelu x y"), domain("nobody"))), y}, `the file imports no operator set of its domain "nobody"`},
		{"declared between", 21, nil, []message{x, node("Elu x h"), node("Relu h y"), info("h", 2, 3, 4, 4), y}, "Elu? Relu"},
		{"undeclared between", 21, nil, []message{x, node("Elu x h"), node("Relu h y"), y}, `needs the type of its output "h", which the file does not declare`},
		{"flatten", 21, nil, []message{x, node("Flatten x y"), out("y", 2, 48)}, "Reshape"},
		{"flatten of an axis", 21, nil, []message{x, node("Flatten x y", attribute("axis", int64(-1))), out("y", 24, 4)}, "Reshape"},
		{"sum of two", 21, nil, []message{x, node("Sum x,x y"), y}, "Add"},
		{"sum of three", 21, nil, []message{x, node("Sum x,x,x y"), y}, "Sum?"},
		{"dropout with an unread mask", 21, nil, []message{x, node("Dropout x y,mask"), y}, "Identity"},
		{"old reduction", 17, nil, []message{x, node("ReduceMean x y", attribute("axes", []int64{1}), attribute("keepdims", int64(1))), out("y", 2, 1, 4, 4)}, "ReduceMean?"},
		{"too old", 13, nil, []message{x, node("Relu x y"), y}, "version 13 of the standard operator set, want 14 to 23"},
		{"symbolic batch", 21, nil, []message{part(graphInput, symbolic("x", "n", 3)), node("Relu x y"), part(graphOutput, symbolic("y", "n", 3))}, "dimension 0 (n) has no number"},
		{"symbolic batch of a given size", 21, map[string]int{"n": 5}, []message{part(graphInput, symbolic("x", "n", 3)), node("Elu x y"), part(graphOutput, symbolic("y", "n", 3))}, "Elu?"},
		{"control flow", 21, nil, []message{x, node("Body x y", graphAttribute("body")), y}, `its attribute "body" is a graph: control flow is not supported`},
		{"two nodes of one name", 21, nil, []message{x, node("Elu x y"), node("Elu x y"), y}, "two nodes of that name"},
	} {
		g, err := ReadAny(foreign{opset: c.opset, parts: c.parts}.bytes(), c.dims)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
			continue
		}
		var got []string
		for _, n := range g.Nodes {
			name := n.Op.OpType()
			if op, ok := n.Op.(graph.Opaque); ok {
				name += "?"
				if op.Why == "" {
					t.Errorf("%s: nothing says why %s is opaque", c.name, n.Name)
				}
			}
			got = append(got, name)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
	}
}

// TestOpaqueSurvives writes a graph with an opaque operator and reads it again, twice: attributes, positions of outputs and versions stay.
func TestOpaqueSurvives(t *testing.T) {
	b := graph.NewBuilder("gru")
	x := b.Input("x", f32(5, 2, 3))
	op := graph.Opaque{Type: "GRU", Version: 18, Attributes: [][]byte{attribute("hidden_size", int64(4)), attribute("direction", "forward")},
		Outputs: []graph.Type{f32(1, 2, 4)}, Places: []int{1}, Why: "it is foreign"}
	h := b.Add("gru", op, x, b.Const("w", ramp(1, 12, 3)), b.Const("r", ramp(1, 12, 4)), nil)[0]
	b.Output("y", b.Add1("y", graph.Unary{Fn: graph.Relu}, h))
	g := build(t, b)
	for range 2 {
		data, err := Marshal(g, WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeModel(data); err != nil {
			t.Fatal(err)
		}
		if g, err = Read(data); err != nil { // it says of itself what it holds
			t.Fatal(err)
		}
		got := g.Nodes[0].Op.(graph.Opaque)
		if got.Type != "GRU" || got.Version != 18 || !slices.Equal(got.Places, []int{1}) || len(got.Attributes) != 2 || !slices.Equal(got.Attributes[1], op.Attributes[1]) {
			t.Errorf("read %+v, wrote %+v", got, op)
		}
		if n := g.Nodes[0]; len(n.Outputs) != 1 || len(n.Inputs) != 4 || n.Inputs[3] != nil {
			t.Errorf("%d outputs, inputs %v", len(n.Outputs), n.Inputs)
		}
	}
}

// FuzzReadAny checks that any bytes give a graph or an error, and that such a graph can be written and read.
func FuzzReadAny(f *testing.F) {
	f.Add(foreign{parts: []message{in("x", 2, 3), node("Elu x y"), out("y", 2, 3)}}.bytes())
	f.Add(foreign{parts: []message{part(graphInput, symbolic("x", "n", 3)), node("Shape x s"), node("ConstantOfShape s y"), out("y", 1, 3)}}.bytes())
	f.Add(foreign{parts: []message{in("x", 2, 3), node("LSTM x,, ,y"), out("y", 2, 3)}}.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := ReadAny(data, map[string]int{"n": 1})
		if err != nil {
			return
		}
		again, err := Marshal(g, WriteOptions{})
		if err != nil {
			t.Skip(err) // names of metadata that are reserved, sizes of files
		}
		if _, err := ReadAny(again, nil); err != nil {
			t.Fatalf("a graph that was read cannot be read again: %v", err)
		}
	})
}

// nodeOf is node without the field of GraphProto around it.
func nodeOf(text string) message {
	whole := node(text)
	var inner message
	_ = fields(whole, func(f field) error { inner = f.data; return nil })
	return inner
}

func domain(name string) message {
	var m message
	m.str(nodeDomain, name)
	return m
}

// symbolic is a float32 ValueInfoProto whose first dimension has a name.
func symbolic(name, dim string, rest ...int) message {
	var m, typ, tensorType, shape, d message
	d.str(dimParam, dim)
	shape.bytes(shapeDim, d)
	for _, n := range rest {
		var d message
		d.int(dimValue, int64(n))
		shape.bytes(shapeDim, d)
	}
	tensorType.int(typeTensorElem, int64(elemTypes[tensor.Float32]))
	tensorType.bytes(typeTensorShape, shape)
	typ.bytes(typeTensor, tensorType)
	m.str(valueInfoName, name)
	m.bytes(valueInfoType, typ)
	return m
}

func graphAttribute(name string) message {
	var m message
	m.str(attributeName, name)
	m.int(attributeType, kindGraph)
	return m
}
