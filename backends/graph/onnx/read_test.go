package onnx

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// foreign is a model as another program may write it: parts of messages in any order, given by the tests.
type foreign struct {
	opset int64 // 0 means 21
	parts []message
}

func (f foreign) bytes() []byte {
	var g, m message
	for _, p := range f.parts {
		g = append(g, p...)
	}
	g.str(graphName, "g")
	if f.opset == 0 {
		f.opset = 21
	}
	m.opset(modelOpsetImport, "ai.onnx", f.opset)
	m.opset(modelOpsetImport, "other", 3)
	m.bytes(modelGraph, g)
	return m
}

// part wraps a message as a field of GraphProto.
func part(field protowire.Number, m message) message {
	var out message
	out.bytes(field, m)
	return out
}

func in(name string, shape ...int) message  { return part(graphInput, valueInfo(name, f32(shape...))) }
func out(name string, shape ...int) message { return part(graphOutput, valueInfo(name, f32(shape...))) }

// node is a NodeProto without a name: text is "Type in,in out,out".
func node(text string, attributes ...message) message {
	words := strings.Split(text, " ")
	var m message
	m.str(nodeOpType, words[0])
	for _, name := range strings.Split(words[1], ",") {
		if words[1] != "" {
			m.str(nodeInput, name)
		}
	}
	for _, name := range strings.Split(words[2], ",") {
		m.str(nodeOutput, name)
	}
	for _, a := range attributes {
		m.bytes(nodeAttribute, a)
	}
	return part(graphNode, m)
}

func initial(name string, t *tensor.Tensor) message {
	return part(graphInitializer, appendRaw(tensorHead(name, t), t, 0, t.Len()))
}

func TestReadModelsOfOthers(t *testing.T) {
	var packed, typed message // dims packed, data as float_data
	packed = protowire.AppendTag(packed, tensorDims, protowire.BytesType)
	packed = protowire.AppendBytes(packed, []byte{2, 2})
	typed = append(typed, packed...)
	typed.int(tensorDataType, 1)
	for _, v := range []float32{1, 2, 3, 4} {
		typed.float(tensorFloatData, v)
	}
	typed.str(tensorName, "w")
	for _, c := range []struct {
		name string
		m    foreign
		want string
	}{
		{"reshape placeholders, unnamed node", foreign{parts: []message{in("x", 2, 3, 4), initial("s", ints(0, -1)), node("Reshape x,s y"), out("y", 2, 12)}},
			"input  x float32[2 3 4]\nnode   y = Reshape(x) → y float32[2 12]\noutput y float32[2 12]\n"},
		{"parameters from Constant nodes", foreign{parts: []message{in("x", 4, 2), node("Constant  sizes", attribute("value_ints", []int64{1, 3})), node("Split x,sizes a,b"), out("b", 3, 2)}},
			"input  x float32[4 2]\nnode   a = Split(x) → a float32[1 2] b float32[3 2]\noutput b float32[3 2]\n"},
		{"weights listed as inputs, typed data", foreign{opset: 18, parts: []message{in("x", 1, 2), in("w", 2, 2), part(graphInitializer, typed), node("Gemm x,w y"), out("y", 1, 2)}},
			"input  x float32[1 2]\nnode   y = Gemm(x, w) → y float32[1 2]\noutput y float32[1 2]\n"},
		{"negative axes, one bound", foreign{parts: []message{in("x", 2, 3), initial("a", ints(-1)), node("ReduceMean x,a m"), initial("lo", tensor.Scalar(float32(0))), node("Clip m,lo y"), out("y", 2, 1)}},
			"input  x float32[2 3]\nnode   m = ReduceMean(x) → m float32[2 1]\nnode   y = Clip(m) → y float32[2 1]\noutput y float32[2 1]\n"},
		{"resize by scales", foreign{parts: []message{in("x", 1, 2, 4, 6), initial("s", tensor.Must(tensor.Of([]float32{1, 1, 2, 1.5}, 4))),
			node("Resize x,,s y", attribute("mode", "linear"), attribute("cubic_coeff_a", float32(-0.75))), out("y", 1, 2, 8, 9)}},
			"input  x float32[1 2 4 6]\nnode   y = Resize(x) → y float32[1 2 8 9]\noutput y float32[1 2 8 9]\n"},
		{"explicit defaults", foreign{parts: []message{in("x", 1, 2, 5, 5), initial("w", ramp(1, 2, 3, 3)), node("Conv x,w y", attribute("dilations", []int64{1, 1}), attribute("kernel_shape", []int64{3, 3}), attribute("auto_pad", "NOTSET")), out("y", 1, 1, 3, 3)}},
			"input  x float32[1 2 5 5]\nnode   y = Conv(x, w) → y float32[1 1 3 3]\noutput y float32[1 1 3 3]\n"},
	} {
		g, err := Read(c.m.bytes())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := g.Dump(); got != c.want {
			t.Errorf("%s: got\n%swant\n%s", c.name, got, c.want)
		}
	}
}

func TestReadErrors(t *testing.T) {
	x, y := in("x", 2), out("y", 2)
	var long, half, twice, external, symbolic, dim, shape, typ, outer message
	long.int(tensorDims, 1<<20)
	long.int(tensorDims, 1<<20)
	long.int(tensorDims, 1<<20)
	long.int(tensorDataType, 1)
	long.str(tensorName, "big")
	half.int(tensorDims, 3)
	half.int(tensorDataType, 1)
	half.bytes(tensorRawData, make([]byte, 8))
	half.str(tensorName, "half")
	external.int(tensorDataType, 1)
	external.int(tensorDataLocation, 1)
	twice.bytes(modelGraph, nil)
	twice.bytes(modelGraph, nil)
	dim.str(dimParam, "batch")
	shape.bytes(shapeDim, dim)
	typ.int(typeTensorElem, 1)
	typ.bytes(typeTensorShape, shape)
	outer.bytes(typeTensor, typ)
	symbolic.str(valueInfoName, "x")
	symbolic.bytes(valueInfoType, outer)
	whole := foreign{parts: []message{x, node("Relu x y"), y}}.bytes()

	model := func(opset int64, parts ...message) []byte { return foreign{opset, parts}.bytes() }
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "no graph"},
		{"text", []byte("this is no model"), "mismatching end group marker"},
		{"truncated", whole[:len(whole)-4], "unexpected EOF"},
		{"huge length", append([]byte{0x3a}, protowire.AppendVarint(nil, 1<<62)...), "unexpected EOF"},
		{"two graphs", twice, "two graphs"},
		{"old operators", model(11, x, node("Relu x y"), y), "version 11 of the standard operator set"},
		{"unknown operator", model(0, x, node("Einsum x y"), y), `node y (Einsum): the operator "Einsum" of the domain ""`},
		{"cycle", model(0, x, node("Add x,b a"), node("Relu a b"), out("b", 2)), `node a (Add): it reads "b", which no`},
		{"missing producer", model(0, x, node("Relu z y"), y), `it reads "z"`},
		{"value twice", model(0, x, node("Relu x x"), y), `"x" is empty or used twice`},
		{"input twice", model(0, x, x, node("Relu x y"), y), `input "x"`},
		{"output missing", model(0, x, node("Relu x z"), y), `output "y" is not computed`},
		{"output of an input", model(0, x, out("x", 2)), `output "x" is not computed`},
		{"output twice", model(0, x, node("Relu x y"), y, y), "listed twice"},
		{"no outputs", model(0, x, node("Relu x y")), "no outputs"},
		{"output type", model(0, x, node("Relu x y"), out("y", 3)), "declared float32[3] and computed float32[2]"},
		{"symbolic input", model(0, part(graphInput, symbolic), node("Relu x y"), y), `input "x": dimension 0 (batch) has no number`},
		{"too many elements", model(0, part(graphInitializer, long), x, node("Relu x y"), y), "more than 2^40 elements"},
		{"data and shape", model(0, part(graphInitializer, half), x, node("Relu x y"), y), `constant "half": float32[3] has 8 bytes of data, want 12`},
		{"external data", model(0, part(graphInitializer, external), x, node("Relu x y"), y), "external file"},
		{"computed parameter", model(0, x, in("s", 2), node("Reshape x,s y"), y), "input 1 (shape) is computed"},
		{"foreign attribute", model(0, x, node("Relu x y", attribute("alpha", float32(1))), y), `attribute "alpha" is not supported`},
		{"attribute twice", model(0, x, node("Concat x,x y", attribute("axis", int64(0)), attribute("axis", int64(0))), out("y", 4)), "given twice"},
		{"attribute type", model(0, x, node("Concat x,x y", attribute("axis", float32(0))), out("y", 4)), `"axis" has the type 1`},
		{"attribute missing", model(0, x, node("Concat x,x y"), out("y", 4)), `"axis" is missing`},
		{"other default", model(0, in("x", 1, 1, 4, 4), initial("w", ramp(1, 1, 2, 2)), node("Conv x,w y", attribute("dilations", []int64{2, 2})), y), "dilations = [2 2] is not supported"},
		{"overflow of pads", model(0, in("x", 1, 1, 4, 4), initial("w", ramp(1, 1, 2, 2)), node("Conv x,w y", attribute("pads", []int64{1 << 62, 0, 1 << 62, 0})), y), "out of range"},
		{"growing shapes", model(0, in("x", 1<<39, 1), in("z", 1<<39), node("Add x,z y"), y), "more than 2^40 elements"},
		{"inference", model(0, x, in("z", 3), node("Add x,z y"), y), "do not broadcast"},
		{"gather index", model(0, x, initial("i", ints(0, 2)), node("Gather x,i y"), y), "index 2 is outside axis 0"},
		{"axis twice", model(0, in("x", 2, 2), initial("i", ints(1, -1)), node("ReduceMean x,i y"), y), "name one axis twice"},
		{"group norm of opset 18", model(18, in("x", 1, 2, 2), initial("s", ramp(2)), node("GroupNormalization x,s,s y", attribute("num_groups", int64(1))), y), "per group before version 21"},
		{"resize by a fraction", model(0, in("x", 1, 1, 3, 3), initial("s", tensor.Must(tensor.Of([]float32{1, 1, 1.5, 1}, 4))), node("Resize x,,s y", attribute("mode", "linear"), attribute("coordinate_transformation_mode", "half_pixel")), y), "give no whole sizes"},
		{"resize of another mode", model(0, in("x", 1, 1, 3, 3), initial("s", ints(1, 1, 6, 6)), node("Resize x,,,s y", attribute("mode", "linear"), attribute("coordinate_transformation_mode", "asymmetric")), y), "= asymmetric is not supported"},
		{"too many outputs", model(0, x, node("Relu x y,z"), y), "it has 2 outputs, want 1"},
		{"name not UTF-8", model(0, x, node("Relu x \xff"), y), "not UTF-8"},
	} {
		if g, err := Read(c.data); err == nil || g != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestReadRefusesMarks(t *testing.T) {
	marked := func(list string) []byte {
		m := message(foreign{parts: []message{
			in("x", 2, 5), initial("unread", ints(1)), part(graphInput, valueInfo("ids", graph.Type{DType: tensor.Int64, Shape: []int{2, 3}})),
			node("Relu x y"), node("Identity ids kept"), node("Gather x,ids picked", attribute("axis", int64(1))), out("y", 2, 5),
		}}.bytes())
		m.entry(modelMetadata, decisionsKey, list)
		return m
	}
	const good = `{"value":"kept","limit":5,"scores":["x"]}`
	g, err := Read(marked("[" + good + "]"))
	if err != nil || len(g.Decisions) != 1 || g.Decisions[0].Name() != "kept" || g.Metadata[decisionsKey] != "" {
		t.Fatalf("%v, %v", g, err)
	}
	for list, want := range map[string]string{
		`{`:                                                "metadata apexx.decisions: unexpected end",
		`[{"value":7}]`:                                    "metadata apexx.decisions: json",
		`[{"value":"none","limit":5}]`:                     `no node has to do with the value "none"`,
		`[{"value":"ids","limit":5}]`:                      `no node has to do with the value "ids"`,
		`[{"value":"y","limit":5}]`:                        `decision "y" is float32[2 5], want int64 of rank 2`,
		`[{"value":"kept","limit":0}]`:                     `decision "kept" of int64[2 3] has ids below 0`,
		`[{"value":"kept","limit":2}]`:                     `decision "kept" of int64[2 3] has ids below 2`,
		`[{"value":"kept","limit":5,"count":"y"}]`:         `counts in "y", which is float32[2 5]`,
		`[{"value":"kept","limit":5,"count":"n"}]`:         `no node has to do with the value "n"`,
		`[{"value":"kept","limit":5,"scores":["unread"]}]`: `no node has to do with the value "unread"`,
		"[" + good + "," + good + "]":                      `decision "kept" is declared twice`,
	} {
		if _, err := Read(marked(list)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", list, err, want)
		}
	}
}

func TestReadRefusesAnOlderOperatorSet(t *testing.T) {
	old := message(foreign{parts: []message{in("x", 2), node("Relu x y"), out("y", 2)}}.bytes())
	old.opset(modelOpsetImport, graph.Domain, 1)
	const want = "it uses version 1 of the operator set apexx, want 2: export the model again with this version of apexx"
	if _, err := Read(old); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// FuzzRead checks that any bytes give a graph or an error, and that a graph survives being written and read again.
func FuzzRead(f *testing.F) {
	for _, g := range []*graph.Graph{standardOps(f), ownOps(f)} {
		for _, opts := range []WriteOptions{{}, {Form: Plain}} {
			data, err := Marshal(g, opts)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	for _, n := range []string{"Relu x y", "Reshape x,s y", "Gather x,s y", "Split x,s y,z", "ReduceL2 x,s y"} {
		f.Add(foreign{parts: []message{in("x", 2, 2), initial("s", ints(1, 1)), node(n), out("y", 2, 2)}}.bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Read(data)
		if err != nil {
			return
		}
		if g.Name == "" { // ONNX demands a name; Write refuses to invent one
			return
		}
		again, err := Marshal(g, WriteOptions{Form: Plain})
		if err != nil {
			t.Fatalf("a graph that was read cannot be written: %v\n%s", err, g.Dump())
		}
		back, err := Read(again)
		if err != nil {
			t.Fatalf("a graph that was written cannot be read: %v\n%s", err, g.Dump())
		}
		if want, got := describeGraph(g), describeGraph(back); want != got {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}
