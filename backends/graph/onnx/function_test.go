package onnx

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/body"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
	"github.com/apex-x/apexx/backends/tensor"
)

// calls lists the nodes and the functions of a model.
func calls(t *testing.T, data []byte) string {
	t.Helper()
	var s strings.Builder
	node := func(f field) error {
		if f.num != graphNode {
			return nil
		}
		n, err := decodeNode(f.data)
		fmt.Fprintf(&s, "node %s: %q %s %v\n", n.name, n.domain, n.opType, n.inputs)
		return err
	}
	function := func(f field) error {
		var text string
		switch f.num {
		case functionName, functionDomain, functionDoc, functionAttribute:
			err := f.str(&text)
			fmt.Fprintf(&s, " %q", text)
			return err
		}
		return nil
	}
	err := fields(data, func(f field) error {
		switch f.num {
		case modelGraph:
			return fields(f.data, node)
		case modelFunctions:
			s.WriteString("function")
			defer s.WriteByte('\n')
			return fields(f.data, function)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.String()
}

func TestFunctionsAreSpecialisedAndShared(t *testing.T) {
	b := graph.NewBuilder("g")
	x := b.Input("x", f32(1, 4, 8, 8))
	scale := b.Const("scale", ramp(4))
	for i, eps := range []float64{1e-5, 1e-5, 1e-3} {
		x = b.Add1(fmt.Sprintf("norm%d", i), graph.GroupNormalization{Groups: 2, Epsilon: eps}, x, scale, scale)
	}
	ids := b.Const("ids", ints(0, 3))
	two := b.Add1("ids2", graph.Reshape{Shape: []int{1, 2}}, ids)
	b.Output("unpack", b.Add1("unpack", graph.TileUnpackFusion{}, x, b.Add1("pack", graph.TilePack{Tile: 4}, x, two), two, nil))
	g := build(t, b)

	for _, c := range []struct {
		opts WriteOptions
		want string
	}{
		{WriteOptions{Form: Plain}, `node norm0: "" GroupNormalization [x scale scale]
node norm1: "" GroupNormalization [norm0 scale scale]
node norm2: "" GroupNormalization [norm1 scale scale]
node ids2: "" Reshape [ids ids2.shape]
node pack: "apexx" TilePack [norm2 ids2]
node unpack: "apexx" TileUnpackFusion [norm2 pack ids2 ]
`},
		{WriteOptions{}, `node norm0: "apexx" GroupNormalization_1 [x scale scale]
node norm1: "apexx" GroupNormalization_1 [norm0 scale scale]
node norm2: "apexx" GroupNormalization_2 [norm1 scale scale]
node ids2: "" Reshape [ids ids2.shape]
node pack: "apexx" TilePack_1 [norm2 ids2]
node unpack: "apexx" TileUnpackFusion_1 [norm2 pack ids2 ]
function "GroupNormalization_1" "num_groups" "epsilon" "float32[1,4,8,8] float32[4] float32[4] num_groups=2 epsilon=1e-05" "apexx"
function "GroupNormalization_2" "num_groups" "epsilon" "float32[1,4,8,8] float32[4] float32[4] num_groups=2 epsilon=0.001" "apexx"
function "TilePack_1" "tile_size" "float32[1,4,8,8] int64[1,2] tile_size=4" "apexx"
function "TileUnpackFusion_1" "blend" "blend_alpha" "float32[1,4,8,8] float32[1,2,4,4,4] int64[1,2] - blend=0 blend_alpha=0" "apexx"
`},
	} {
		data, err := Marshal(g, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := calls(t, data); got != c.want {
			t.Errorf("%+v: got\n%swant\n%s", c.opts, got, c.want)
		}
	}
}

// parts are a model as a parser sees it that knows functions by domain and name alone, takes the first of a name, and knows nothing
// of overloads.
type parts struct {
	nodes     []*rawNode
	functions map[string][]message // the nodes of a function, by domain and name
}

func parse(t *testing.T, data []byte) parts {
	t.Helper()
	p := parts{functions: map[string][]message{}}
	node := func(f field) error {
		if f.num != graphNode {
			return nil
		}
		n, err := decodeNode(f.data)
		p.nodes = append(p.nodes, n)
		return err
	}
	err := fields(data, func(f field) error {
		switch f.num {
		case modelGraph:
			return fields(f.data, node)
		case modelFunctions:
			name, nodes, err := functionParts(f.data)
			if p.functions[name] == nil {
				p.functions[name] = nodes
			}
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func functionParts(data []byte) (name string, nodes []message, err error) {
	var domain string
	err = fields(data, func(f field) error {
		switch f.num {
		case functionName:
			return f.str(&name)
		case functionDomain:
			return f.str(&domain)
		case functionNode:
			nodes = append(nodes, f.data)
		}
		return nil
	})
	return domain + " " + name, nodes, err
}

// completeModel has most of our operators several times, with different shapes and parameters.
func completeModel(t *testing.T) *graph.Graph {
	t.Helper()
	g := modeltest.Hashed(t, 1, model.Options{Batch: 1, Height: 256, Width: 256}, "model.num_classes=3", "model.nesting_depth=2", "model.kmax_l2=8", "routing.budget_b3=2")
	low, err := graph.Lower(g, graph.FP16)
	if err != nil {
		t.Fatal(err)
	}
	return low
}

// TestFunctionsByNameAlone: a parser that ignores the field overload, as TensorRT's does, finds for every call the body that was made
// for its operands and attributes.
func TestFunctionsByNameAlone(t *testing.T) {
	g := completeModel(t)
	data, err := Marshal(g, WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	called, types := parse(t, data), map[string]bool{}
	for i, n := range g.Nodes {
		if !hasBody(n.Op) {
			continue
		}
		in := make([]graph.Type, len(n.Inputs))
		for k, v := range n.Inputs {
			if v != nil {
				in[k] = v.Type
			}
		}
		want, err := body.For(n.Op, in)
		if err != nil {
			t.Fatal(err)
		}
		call := called.nodes[i]
		got := called.functions[call.domain+" "+call.opType]
		same := len(got) == len(want.Nodes)
		for k := 0; same && k < len(got); k++ {
			same = bytes.Equal(got[k], bodyNode(want.Nodes[k], func(name string) string { return name }))
		}
		if !same {
			t.Errorf("node %s calls %s, whose body was made for another one", n.Name, call.opType)
		}
		types[call.opType] = true
	}
	if !types["TilePack_2"] || !types["GroupNormalization_2"] {
		t.Errorf("the model calls %d functions, and no operator with two bodies", len(types))
	}
}

// TestInlined: the inlined form has no functions and no operators but standard ones, every value is computed once and before it is read,
// and outputs keep their names. No Slice is moved towards the end, by Pad or Concat: TensorRT 10.6 leaves its elements in their places.
func TestInlined(t *testing.T) {
	for _, form := range []Form{Inlined, Instances} {
		testInlined(t, form)
	}
}

func testInlined(t *testing.T, form Form) {
	t.Helper()
	g := completeModel(t)
	data, err := Marshal(g, WriteOptions{Form: form})
	if err != nil {
		t.Fatal(err)
	}
	inlined, known := parse(t, data), map[string]bool{"": true}
	if len(inlined.functions) > 0 {
		t.Errorf("%d functions are left", len(inlined.functions))
	}
	for _, v := range g.Inputs {
		known[v.Name] = true
	}
	err = fields(data, func(f field) error {
		if f.num != modelGraph {
			return nil
		}
		return fields(f.data, func(f field) error {
			if f.num != graphInitializer {
				return nil
			}
			raw, err := decodeTensor(f.data)
			known[raw.name] = true
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	names, sliced := map[string]bool{}, map[string]bool{}
	for _, n := range inlined.nodes {
		if n.opType == "Pad" && sliced[n.inputs[0]] || n.opType == "Concat" && slices.ContainsFunc(n.inputs[1:], func(name string) bool { return sliced[name] }) {
			t.Errorf("node %s (%s) moves a slice", n.name, n.opType)
		}
		sliced[n.outputs[0]] = n.opType == "Slice"
		if n.domain != "" || names[n.name] {
			t.Errorf("node %s (%s of the domain %q) is no standard operator, or not the only one of its name", n.name, n.opType, n.domain)
		}
		names[n.name] = true
		for _, name := range n.inputs {
			if !known[name] {
				t.Errorf("node %s reads %s before it is there", n.name, name)
			}
		}
		for _, name := range n.outputs {
			if name != "" && known[name] {
				t.Errorf("%s is computed twice", name)
			}
			known[name] = true
		}
	}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if !known[v.Name] {
				t.Errorf("nothing computes %s", v.Name)
			}
		}
	}
	chosen := slices.IndexFunc(inlined.nodes, func(n *rawNode) bool { return n.opType == selecting })
	if name := inlined.nodes[chosen].outputs[0]; !bytes.Contains(data, namedInfo(name, graph.Type{DType: tensor.Int64, Shape: []int{0, 3}}, name)) {
		t.Errorf("the first dimension of %s has no name", name)
	}
	const want = "read ONNX model: the operators of the domain apexx are inlined in it: read the file that apexx export writes without --inline"
	if _, err := Read(data); err == nil || err.Error() != want {
		t.Errorf("read back: %v, want %s", err, want)
	}
}
