//go:build cgo && linux

package tensorrt

import (
	"bytes"
	encoding "encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	kernels "github.com/apex-x/apexx/backends/cuda/emulation"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	plugins "github.com/apex-x/apexx/kernels/tensorrt"
)

// library opens the plugins with emulated kernels.
func library(t *testing.T) *plugins.Library {
	t.Helper()
	path, err := kernels.Build("../../kernels", "emulator/plugins.cpp", "-fvisibility=hidden")
	if errors.Is(err, kernels.ErrNoCompiler) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	l, err := plugins.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// factsOf are those of a library.
func factsOf(l *plugins.Library) Facts {
	var f Facts
	for _, p := range l.Plugins() {
		own := Plugin{Name: p.Name, Version: p.Version, Namespace: p.Namespace}
		for _, field := range p.Fields {
			own.Fields = append(own.Fields, field.Name)
			if field.Required {
				own.Required = append(own.Required, field.Name)
			}
		}
		f.Plugins = append(f.Plugins, own)
	}
	return f
}

// attributesOf reads the attributes of a node as a plugin takes them (AttributeProto: 1 name, 2 f, 3 i, 4 s, 8 ints, 20 type).
func attributesOf(op graph.Opaque) []plugins.Value {
	var list []plugins.Value
	for _, b := range op.Attributes {
		var v plugins.Value
		for len(b) > 0 {
			key, n := encoding.Uvarint(b)
			b = b[n:]
			switch key {
			case 2<<3 | 5:
				v.Value = math.Float32frombits(encoding.LittleEndian.Uint32(b))
				b = b[4:]
			case 1<<3 | 2, 4<<3 | 2:
				size, n := encoding.Uvarint(b)
				text := string(b[n : n+int(size)])
				if b = b[n+int(size):]; key == 1<<3|2 {
					v.Name = text
				} else {
					v.Value = text
				}
			default:
				number, n := encoding.Uvarint(b)
				switch b = b[n:]; key {
				case 3 << 3:
					v.Value = int32(number)
				case 8 << 3:
					list, _ := v.Value.([]int32)
					v.Value = append(list, int32(number))
				}
			}
		}
		if !strings.HasPrefix(v.Name, "plugin_") {
			list = append(list, v)
		}
	}
	return list
}

// interpreter executes a graph node by node, its plugins by a library.
type interpreter struct {
	t       *testing.T
	library *plugins.Library
	values  map[*graph.Value]*tensor.Tensor
}

func (x *interpreter) of(v *graph.Value) *tensor.Tensor {
	if v.Const != nil {
		return v.Const
	}
	return x.values[v]
}

func (x *interpreter) plugin(n *graph.Node, op graph.Opaque) {
	x.t.Helper()
	var in []plugins.Tensor
	for _, v := range n.Inputs {
		element := map[tensor.DType]plugins.Element{tensor.Float32: plugins.Float, tensor.Int64: plugins.Int64}[v.DType]
		in = append(in, plugins.Tensor{Element: element, Format: plugins.Linear, Shape: v.Shape, Data: tensor.Bytes(x.of(v))})
	}
	got, err := x.library.Run(op.Type, attributesOf(op), in, plugins.Options{})
	if err != nil {
		x.t.Fatalf("%s: %v", n.Name, err)
	}
	for i, v := range n.Outputs {
		if !slices.Equal(got.Outputs[i].Shape, v.Shape) {
			x.t.Fatalf("%s: output %d is %v, the graph says %v", n.Name, i, got.Outputs[i].Shape, v.Shape)
		}
		x.values[v] = tensor.New(v.DType, v.Shape...)
		copy(tensor.Bytes(x.values[v]), got.Outputs[i].Data)
	}
}

func (x *interpreter) node(n *graph.Node) {
	x.t.Helper()
	b := graph.NewBuilder("node")
	var list tensor.List
	operands := make([]*graph.Value, len(n.Inputs))
	known := map[*graph.Value]*graph.Value{}
	for i, v := range n.Inputs {
		switch {
		case v == nil:
		case known[v] != nil:
			operands[i] = known[v]
		case v.Const != nil:
			operands[i] = b.Const(v.Name, v.Const)
		default:
			operands[i] = b.Input(v.Name, v.Type)
			list = append(list, tensor.Named{Name: v.Name, Tensor: x.of(v)})
		}
		if v != nil {
			known[v] = operands[i]
		}
	}
	for i, v := range b.Add("node", n.Op, operands...) {
		b.Output(n.Outputs[i].Name, v)
	}
	g, err := b.Build()
	if err != nil {
		x.t.Fatal(err)
	}
	for i, p := range execute(x.t, g, list) {
		x.values[n.Outputs[i]] = p.Tensor.Clone()
	}
}

func execute(t *testing.T, g *graph.Graph, in tensor.List) tensor.List {
	t.Helper()
	s, err := reference.New().Compile(t.Context(), g, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := backends.Run(t.Context(), s, in)
	if err != nil {
		t.Fatal(err)
	}
	list := make(tensor.List, len(out))
	for i, p := range out {
		list[i] = tensor.Named{Name: p.Name, Tensor: p.Tensor.Clone()}
	}
	return list
}

// fused is what becomes of a lowered graph before its values get types.
func fused(t *testing.T, g *graph.Graph, f graph.Format, facts Facts) *graph.Graph {
	t.Helper()
	out, _, _, err := fuseAll(g, f, facts)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func built(t *testing.T, set ...string) *graph.Graph {
	t.Helper()
	d := model.DefaultDecode()
	d.MaxDetections = 6
	g := modeltest.Hashed(t, 7, model.Options{Batch: 2, Height: 128, Width: 256, Decode: d}, append([]string{"model.num_classes=3"}, set...)...)
	return g
}

// TestWithoutPlugins: a session tells which plugins it does without, by name, version or namespace; without ours it is slower, and computes the same.
func TestWithoutPlugins(t *testing.T) {
	facts := factsOf(library(t))
	if got := facts.without(); len(got) != 0 {
		t.Errorf("the library lacks %v", got)
	}
	at := func(name string) *Plugin {
		return &facts.Plugins[slices.IndexFunc(facts.Plugins, func(p Plugin) bool { return p.Name == name })]
	}
	at("Route").Name, at("HeavyPath").Version, at("Gates").Namespace = "Routing", "2", ""
	if got, want := facts.without(), []string{"Gates", "HeavyPath", "Route"}; !slices.Equal(got, want) {
		t.Errorf("it lacks %v, want %v", got, want)
	}
	g, _ := tiles(t)
	s, err := New(newEmulated()).Compile(t.Context(), g, options(CacheOption, NoCache))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if want := "TensorRT 10.6.0, without the plugins " + strings.Join(fusing, ", "); s.Plan().Library != want {
		t.Errorf("the plan says %q, want %q", s.Plan().Library, want)
	}
}

// What plugins compute in the place of whole regions is what the nodes give one by one, but for the order of sums: the contract between the export, which names
// operands and fields, and the plugins, which read them.
func TestPluginsAsNodes(t *testing.T) {
	l := library(t)
	facts := factsOf(l)
	for _, c := range []struct {
		name    string
		set     []string
		plugins []string // which are there
	}{
		{"nano", nil, []string{"Proxies", "Gates", "Route", "HeavyPath", "BoxVector", "MaskDetail", "PrototypeMasks", "GroupNormFusion"}},
		{"forward", []string{"model.scan_mode=forward", "model.order_mode=l2r"}, []string{"Route", "HeavyPath"}},
	} {
		for _, f := range []graph.Format{"", graph.FP16} {
			t.Run(c.name+" "+string(f), func(t *testing.T) {
				low, err := graph.Lower(built(t, c.set...), f)
				if err != nil {
					t.Fatal(err)
				}
				want := c.plugins
				if f == graph.FP16 {
					want = append(want, logitsPlugin)
				}
				comparePlugins(t, l, low, fused(t, low, f, facts), want, f)
			})
		}
	}
}

// Convolutions of one map are one, of whose channels the normalisations take their own.
func TestWideConvolutionsAsNodes(t *testing.T) {
	l := library(t)
	r := rand.New(rand.NewPCG(5, 9))
	b := graph.NewBuilder("wide")
	constant := func(name string, shape ...int) *graph.Value {
		x := tensor.New(tensor.Float32, shape...)
		for i := range tensor.Data[float32](x) {
			tensor.Data[float32](x)[i] = float32(r.NormFloat64())
		}
		return b.Const(name, x)
	}
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{2, 8, 4, 4}})
	for _, c := range []struct {
		name    string
		outputs int
	}{{"a", 8}, {"b", 16}, {"c", 8}} {
		conv := b.Add1(c.name, graph.Conv{Strides: [2]int{1, 1}, Pads: [4]int{1, 1, 1, 1}, Group: 1}, x, constant(c.name+".weight", c.outputs, 8, 3, 3), constant(c.name+".bias", c.outputs))
		norm := b.Add1(c.name+".norm", graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}, conv, constant(c.name+".scale", c.outputs), constant(c.name+".shift", c.outputs))
		silu := b.Add1(c.name+".silu", graph.Binary{Fn: graph.Mul}, norm, b.Add1(c.name+".gate", graph.Unary{Fn: graph.Sigmoid}, norm))
		b.Output(c.name+".y", b.Add1(c.name+".last", graph.Conv{Strides: [2]int{1, 1}, Group: 1}, silu, constant(c.name+".last.weight", 4, c.outputs, 1, 1)))
	}
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []graph.Format{"", graph.FP16} {
		low, err := graph.Lower(g, f)
		if err != nil {
			t.Fatal(err)
		}
		wide := fused(t, low, f, factsOf(l))
		if n := count(wide, "Conv"); n != 4 {
			t.Errorf("%q: %d convolutions, want one and the last three", f, n)
		}
		comparePlugins(t, l, low, wide, []string{normFusion}, f)
	}
}

func comparePlugins(t *testing.T, l *plugins.Library, low, g *graph.Graph, want []string, f graph.Format) {
	t.Helper()
	r, image := rand.New(rand.NewPCG(3, 8)), tensor.New(tensor.Float32, low.Inputs[0].Shape...)
	for i := range tensor.Data[float32](image) {
		tensor.Data[float32](image)[i] = r.Float32()
	}
	x := &interpreter{t, l, map[*graph.Value]*tensor.Tensor{g.Inputs[0]: image}}
	seen := map[string]bool{}
	for _, n := range g.Nodes {
		if op, plugin := n.Op.(graph.Opaque); plugin {
			seen[op.Type] = true
			x.plugin(n, op)
			continue
		}
		x.node(n)
	}
	for _, name := range want {
		if !seen[name] || !slices.Contains(fusing, name) {
			t.Errorf("no plugin %s, or none that fuses", name)
		}
	}
	unit := 0x1p-20
	if f == graph.FP16 {
		unit = 0x1p-10 // a sum in another order turns roundings over
	}
	for i, p := range execute(t, low, tensor.List{{Name: low.Inputs[0].Name, Tensor: image}}) {
		got, wanted := x.of(g.Outputs[i].Value).Float64s(), p.Tensor.Float64s()
		var squares, size float64
		for k, w := range wanted {
			if d := got[k] - w; d == d {
				squares, size = squares+d*d, size+w*w
			} else {
				t.Fatalf("%s: element %d is %g, want %g", p.Name, k, got[k], w)
			}
		}
		if p.Tensor.DType() == tensor.Int64 && squares > 0 || squares > 64*unit*unit*size {
			t.Errorf("%s differs by %g of its length", p.Name, math.Sqrt(squares/size))
		}
	}
}

// TestModelOfBatches: every form of the model has one ONNX file for all batches, in every precision, and another one for another batch where it has not.
func TestModelOfBatches(t *testing.T) {
	facts := newEmulated().facts
	fusing := factsOf(library(t))
	for name, set := range map[string][]string{
		"plain":        nil,
		"depth 2, kan": {"model.nesting_depth=2", "model.kmax_l2=8", "routing.budget_b3=2", "model.router_backend=kan"},
		"blend, dense": {"model.scan_mode=forward", "model.overlap_mode=blend", "model.force_dense_routing=true"},
		"no tiles":     {"routing.budget_b1=0", "model.router_backend=identity"},
	} {
		precisions := []backends.Precision{backends.FP32, backends.FP16}
		if strings.Contains(name, "kan") { // whose router's products are sums
			precisions = append(precisions, backends.TF32)
		}
		for _, p := range precisions {
			var first [2][]byte
			for batch := 1; batch <= 3; batch++ {
				g, _ := batched(t, batch, set...)
				applied, err := (backends.Options{Precision: p}).Apply(g)
				if err != nil {
					t.Fatal(err)
				}
				for i, f := range []Facts{facts, fusing} {
					e, err := exportOf(applied, p.Format(), f, Batches{1, 1, 4})
					if err != nil {
						t.Fatalf("%s, %s: %v", name, p, err)
					}
					if first[i] == nil {
						first[i] = e.model
					}
					if !bytes.Equal(first[i], e.model) {
						t.Errorf("%s, %s: the model of a batch of %d is another one", name, p, batch)
					}
				}
			}
		}
	}
}

// TestHeldOfTheModel: in every low precision the list of held nodes names what must not be narrower, node by node, also where a plugin computes it: the router, the
// gates and the decoding.
func TestHeldOfTheModel(t *testing.T) {
	facts := factsOf(library(t))
	for _, router := range []string{"tiny_mlp", "kan"} {
		g := built(t, "model.router_backend="+router)
		g.Calibration = everyRange(g)
		for _, f := range []graph.Format{graph.FP16, graph.BF16, graph.INT8, graph.FP8} {
			low, err := graph.Lower(g, f)
			if err != nil {
				t.Fatal(err)
			}
			e, err := exportOf(low, f, facts, Batches{})
			if err != nil {
				t.Fatal(err)
			}
			sensitive := []string{"ff.l0_path.fusion_gate", "ff.l1_path.fusion_gate", "det.cls.P3", "detections", "masks", "embeddings"}
			for v := range low.Routed() {
				sensitive = append(sensitive, v.Producer.Name)
			}
			for _, name := range sensitive {
				if !slices.Contains(e.holds, name) {
					t.Errorf("%s, %s: %s is not held", router, f, name)
				}
			}
			for _, name := range free(low, f) {
				if slices.Contains(e.holds, name) {
					t.Errorf("%s, %s: %s is held", router, f, name)
				}
			}
		}
	}
}

// free are some nodes whose results may be narrower.
func free(g *graph.Graph, f graph.Format) []string {
	if f == graph.FP16 {
		return []string{"pv.backbone.down_s4.0.unrounded"}
	}
	var names []string
	for _, n := range g.Nodes {
		if _, round := n.Op.(graph.Round); round && f.Scaled() && n.Inputs[0].Producer != nil {
			names = append(names, n.Inputs[0].Producer.Name)
		}
	}
	return names
}

// TestTwins: the plan tells of taps inside a plugin, whose values are computed once more, and of no others.
func TestTwins(t *testing.T) {
	g := built(t)
	var taps []string
	for _, p := range g.Taps {
		taps = append(taps, p.Name)
	}
	tapped, err := g.WithTaps(taps)
	if err != nil {
		t.Fatal(err)
	}
	facts := factsOf(library(t))
	for _, f := range []graph.Format{"", graph.FP16} {
		low, err := graph.Lower(tapped, f)
		if err != nil {
			t.Fatal(err)
		}
		_, _, split, err := fuseAll(low, f, facts)
		want := []backends.Split{{Node: "utilities", Step: "Route", Value: "router.x"}, {Node: "embeddings", Step: "BoxVector", Value: "track.pooled"}}
		if err != nil || !slices.Equal(split, want) {
			t.Errorf("%q: %+v, %v, want %+v", f, split, err, want)
		}
	}
}

// everyRange is a calibration with a range for every value that needs one.
func everyRange(g *graph.Graph) *graph.Calibration {
	c := &graph.Calibration{Ranges: map[string]float32{}}
	g.Calibration = c
	for _, v := range g.Ranged() {
		c.Ranges[v.Name] = 8
	}
	return c
}

// TestRouterInTF32: where products may be TF32, those of the router are no products, which changes nothing else of what they compute; and an engine that computes one by
// a kernel of TF32 is refused.
func TestRouterInTF32(t *testing.T) {
	b := graph.NewBuilder("router")
	maps := b.Input("maps", graph.Type{DType: tensor.Float32, Shape: []int{2, 1, 8, 8}})
	ramp := func(name string, shape ...int) *graph.Value {
		x := tensor.New(tensor.Float32, shape...)
		for i := range tensor.Data[float32](x) {
			tensor.Data[float32](x)[i] = float32(i%7) - 2.5
		}
		return b.Const(name, x)
	}
	tiles := b.Add1("tiles", graph.TileAggregate{FeatureHeight: 8, FeatureWidth: 8, Tile: 4}, maps)
	rows := b.Add1("rows", graph.Reshape{Shape: []int{8, 3}}, tiles)
	hidden := b.Add1("hidden", graph.Gemm{TransB: true}, rows, ramp("hidden.weight", 5, 3), ramp("hidden.bias", 5))
	b.Output("y", b.Add1("head", graph.Gemm{TransB: true}, hidden, ramp("head.weight", 1, 5)))
	b.Output("z", b.Add1("other", graph.Gemm{TransB: true}, b.Add1("flat", graph.Reshape{Shape: []int{2, 64}}, maps), ramp("other.weight", 4, 64)))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	low, err := graph.Lower(g, graph.TF32)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := typed(low, graph.TF32)
	if err != nil {
		t.Fatal(err)
	}
	const want = `tiles TileAggregate(maps)
rows Reshape(tiles)
hidden/rows Reshape(rows)
hidden/terms Mul(hidden/rows hidden/weight)
hidden/sum ReduceMean(hidden/terms)
hidden Add(hidden/sum hidden.bias)
head/rows Reshape(hidden)
head/terms Mul(head/rows head/weight)
head ReduceMean(head/terms)
flat Reshape(maps)
other Gemm(flat other.weight)
`
	if got := text(sums); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	image := tensor.New(tensor.Float32, 2, 1, 8, 8)
	for i := range tensor.Data[float32](image) {
		tensor.Data[float32](image)[i] = float32(i*i%11) / 8
	}
	in := tensor.List{{Name: "maps", Tensor: image}}
	wanted := execute(t, g, in)
	for i, got := range execute(t, sums, in) {
		for k, v := range got.Tensor.Float64s() {
			if w := wanted[i].Tensor.Float64s()[k]; !(math.Abs(v-w) <= 1e-5*(1+math.Abs(w))) {
				t.Errorf("%s: element %d is %g, want %g", got.Name, k, v, w)
			}
		}
	}
	holds := holdsOf(low, graph.TF32)
	if !slices.Equal(holds, []string{"hidden", "head"}) {
		t.Errorf("held are %v", holds)
	}
	layers := []Layer{{Name: "a", Nodes: []string{"hidden/terms", "hidden"}, Tactic: "sm80_xmma_gemm_f32f32"}, {Name: "b", Nodes: []string{"head/terms"}, Tactic: "sm80_xmma_gemm_tf32f32"},
		{Name: "c", Nodes: []string{"head"}, Tactic: "copy"}, {Name: "d", Nodes: []string{"other"}, Tactic: "sm80_xmma_gemm_tf32f32"}}
	err = checkHeld(evidence(low, holds, layers))
	var missing *backends.Unavailable
	if !errors.As(err, &missing) || missing.Detail != "1 of 2 nodes that compute in float32 do not: head is computed by sm80_xmma_gemm_tf32f32" {
		t.Errorf("%v", err)
	}
	o := options(CacheOption, NoCache)
	o.Precision = backends.TF32
	s, err := New(newEmulated()).Compile(t.Context(), g, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Plan().Check(low); err != nil {
		t.Error(err)
	}
	layers[1].Tactic = "kgen"
	if err := checkHeld(evidence(low, holds, layers)); err != nil {
		t.Error(err)
	}
}
