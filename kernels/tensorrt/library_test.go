//go:build cgo && linux

package tensorrt

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/cuda/emulation"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/kernels"
)

// pluginsVariable names a library, such as on a device.
const pluginsVariable = "APEXX_TENSORRT_PLUGINS"

// On a device these flags say how hard it is tried.
var (
	many     = flag.Int("many", 3, "how often TestManyRuns runs each plugin")
	captured = flag.Int("captured", 0, "how often a CUDA graph has each plugin; 0: none")
)

// libraries calls f with each library that can be had: the one that APEXX_TENSORRT_PLUGINS names, or those with emulated kernels.
func libraries(t *testing.T, f func(*testing.T, *Library)) {
	t.Helper()
	if path := os.Getenv(pluginsVariable); path != "" {
		f(t, opened(t, path))
		return
	}
	t.Run("operators", func(t *testing.T) { f(t, emulated(t)) })
	t.Run("interfaces", func(t *testing.T) {
		root := os.Getenv("TENSORRT_ROOT")
		if root == "" {
			t.Skip("TENSORRT_ROOT names no headers of TensorRT: its interfaces are not tried")
		}
		f(t, emulated(t, "-DAPEXX_TENSORRT", "-isystem", filepath.Join(root, "include"), "-isystem", cudaHeaders(t)))
	})
}

// cudaHeaders finds cuda_runtime_api.h, which TensorRT's headers include, with what it includes itself, which not every wheel has.
func cudaHeaders(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{os.Getenv("TENSORRT_CUDA_HEADERS"), os.Getenv("CUDA_INCLUDE"), "/usr/local/cuda/include"} {
		if _, err := os.Stat(filepath.Join(dir, "crt", "host_defines.h")); dir != "" && err == nil {
			return dir
		}
	}
	t.Skip("there is no cuda_runtime_api.h with crt/ beside it: name its folder in TENSORRT_CUDA_HEADERS")
	return ""
}

func emulated(t *testing.T, flags ...string) *Library {
	t.Helper()
	return opened(t, built(t, flags...))
}

func built(t *testing.T, flags ...string) string {
	t.Helper()
	// Hidden, or the second library that a test opens would share inline variables with the first.
	path, err := emulation.Build("..", "emulator/plugins.cpp", append(flags, "-fvisibility=hidden")...)
	if errors.Is(err, emulation.ErrNoCompiler) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return path
}

func opened(t *testing.T, path string) *Library {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// layout is how maps come to a plugin.
type layout struct {
	name    string
	element Element
	format  Format
}

var layouts = []layout{{"fp32", Float, Linear}, {"fp16", Half, Linear}, {"fp16 nhwc", Half, HWC8}}

// mapsOf are the operands of an operator that come in the layout: all others are float32 or int64.
func mapsOf(op graph.Op, operands int) []int {
	switch op.(type) {
	case graph.TileAggregate, graph.TilePack, graph.TileSSMScan, graph.RoiMeanPool, graph.BoxMask:
		return []int{0}
	case graph.TileUnpackFusion:
		return []int{0, 1, 3}
	case graph.SelectDetections, graph.DecodeBoxes:
		all := make([]int, operands/3*3)
		for i := range all {
			all[i] = i
		}
		return all
	case graph.GroupNormalization:
		return []int{0}
	}
	return nil
}

// rounded returns a tensor whose values are those of an element.
func rounded(x *tensor.Tensor, e Element) *tensor.Tensor {
	if e != Half || x.DType() != tensor.Float32 {
		return x
	}
	x = x.Clone()
	for i, v := range tensor.Data[float32](x) {
		tensor.Data[float32](x)[i] = kernels.FromHalf(kernels.Half(v))
	}
	return x
}

// operand lays a tensor out.
func operand(x *tensor.Tensor, l layout) Tensor {
	switch {
	case x.DType() == tensor.Int64:
		return Tensor{Int64, Linear, x.Shape(), slices.Clone(tensor.Bytes(x))}
	case l.element == Float:
		return Tensor{Float, Linear, x.Shape(), slices.Clone(tensor.Bytes(x))}
	}
	t := Tensor{Element: Half, Format: l.format, Shape: x.Shape()}
	if x.Rank() != 4 {
		t.Format = Linear
	}
	t.Data = make([]byte, t.bytes())
	for i := range t.Data {
		t.Data[i] = 0xff // a NaN where there are no channels
	}
	for i, v := range tensor.Data[float32](x) {
		binary.LittleEndian.PutUint16(t.Data[2*place(t, i):], kernels.Half(v))
	}
	return t
}

// place returns where element i of the row-major order lies.
func place(t Tensor, i int) int {
	if t.Format != HWC8 {
		return i
	}
	c, plane := t.Shape[1], t.Shape[2]*t.Shape[3]
	image, channel, pixel := i/plane/c, i/plane%c, i%plane
	return (image*plane+pixel)*((c+7)/8*8) + channel
}

// values returns the elements of an operand in row-major order.
func values(t Tensor) []float64 {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	list := make([]float64, n)
	for i := range list {
		at := place(t, i)
		switch t.Element {
		case Float:
			list[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*at:])))
		case Half:
			list[i] = float64(kernels.FromHalf(binary.LittleEndian.Uint16(t.Data[2*at:])))
		default:
			list[i] = float64(int64(binary.LittleEndian.Uint64(t.Data[8*at:])))
		}
	}
	return list
}

// compare holds an output to the oracle's: 8 units of float32 of scale·(|w|+1), and half a unit of what it is stored as; integers exactly.
func compare(got Tensor, want *tensor.Tensor, scale float64) error {
	if !slices.Equal(got.Shape, want.Shape()) {
		return fmt.Errorf("shape %v, want %v", got.Shape, want.Shape())
	}
	wanted := want.Float64s()
	for i, g := range values(got) {
		w := wanted[i]
		limit := 8 * 0x1p-23 * scale * (math.Abs(w) + 1)
		switch got.Element {
		case Half:
			limit += 0x1p-11*math.Abs(w) + 0x1p-25
			if math.Abs(w) > 65504 {
				w = math.Copysign(math.Inf(1), w)
			}
		case Int64:
			limit = 0
		}
		if !(math.Abs(g-w) <= limit || g == w || math.IsNaN(g) && math.IsNaN(w)) {
			return fmt.Errorf("element %d is %g, want %g", i, g, w)
		}
	}
	return nil
}

// subject is a plugin with fields and operands, and what has to come out.
type subject struct {
	name     string
	plugin   string
	values   []Value
	inputs   []*tensor.Tensor
	maps     []int
	scale    float64
	expected func(inputs []*tensor.Tensor) ([]*tensor.Tensor, error)
}

// takes tells whether the plugin has the layout. Those between convolutions take float16 maps of whole cells as convolutions leave them.
func (s subject) takes(at layout) bool {
	switch {
	case at.element == Half && len(s.maps) == 0, at.format == HWC8 && s.inputs[0].Rank() != 4:
		return false
	case at.element == Half && at.format == Linear && (s.plugin == "GroupNormFusion" || s.plugin == "Logits"):
		return !slices.ContainsFunc(s.maps, func(i int) bool { return i < len(s.inputs) && s.inputs[i].Shape()[1]%8 == 0 })
	}
	return true
}

func (s subject) run(l *Library, at layout, o Options) (Result, []*tensor.Tensor, error) {
	inputs, operands := slices.Clone(s.inputs), make([]Tensor, len(s.inputs))
	for i, x := range inputs {
		how := layout{"", Float, Linear}
		if slices.Contains(s.maps, i) {
			how = at
		}
		inputs[i] = rounded(x, how.element)
		operands[i] = operand(inputs[i], how)
	}
	want, err := s.expected(inputs)
	if err != nil {
		return Result{}, nil, err
	}
	got, err := l.Run(s.plugin, s.values, operands, o)
	return got, want, err
}

// check runs a subject and compares.
func (s subject) check(t *testing.T, l *Library, at layout) {
	got, want, err := s.run(l, at, Options{Repeats: 2, Captured: *captured})
	if err != nil {
		t.Fatal(err)
	}
	if got.Different != 0 {
		t.Errorf("a second run left other bits")
	}
	for i := range want {
		if err := compare(got.Outputs[i], want[i], s.scale); err != nil {
			t.Errorf("output %d: %v", i, err)
		}
	}
}

// ofCase makes a subject of a case of the compliance suite, and tells whether there is a plugin for it.
func ofCase(t *testing.T, c backendtest.Case) (subject, bool) {
	s := subject{name: c.Name, plugin: c.Op.OpType(), scale: c.Scale, maps: mapsOf(c.Op, len(c.In))}
	for _, o := range c.In {
		s.inputs = append(s.inputs, o.Tensor)
	}
	if norm, ok := c.Op.(graph.GroupNormalization); ok && s.inputs[0].Rank() == 4 {
		s.plugin = "GroupNormFusion"
		s.values = []Value{{"num_groups", int32(norm.Groups)}, {"epsilon", float32(norm.Epsilon)}}
	} else if _, rounds := c.Op.(graph.Round); rounds || c.Op.OpDomain() != graph.Domain {
		return s, false
	} else {
		s.values = valuesOf(t, c.Op)
	}
	s.expected = func(inputs []*tensor.Tensor) ([]*tensor.Tensor, error) { return oracle(c.Op, inputs) }
	return s, true
}

// oracle evaluates an operator in float64.
func oracle(op graph.Op, inputs []*tensor.Tensor) ([]*tensor.Tensor, error) {
	b := graph.NewBuilder("case")
	operands := make([]*graph.Value, len(inputs))
	for i, x := range inputs {
		operands[i] = b.Const(fmt.Sprintf("x%d", i), x)
	}
	for i, v := range b.Add("op", op, operands...) {
		b.Output(fmt.Sprintf("y%d", i), v)
	}
	g, err := b.Build()
	if err != nil {
		return nil, err
	}
	list, err := backendtest.Oracle(g, nil)
	out := make([]*tensor.Tensor, len(list))
	for i, named := range list {
		out[i] = named.Tensor
	}
	return out, err
}

// valuesOf returns the fields of an operator as the export writes them, integers as TensorRT's parser gives them on.
func valuesOf(t *testing.T, op graph.Op) []Value {
	t.Helper()
	attributes, err := onnx.Attributes(op)
	if err != nil {
		t.Fatal(err)
	}
	var list []Value
	for _, a := range attributes {
		v := Value{a.Name, a.Value}
		switch x := a.Value.(type) {
		case int64:
			v.Value = int32(x)
		case []int64:
			short := make([]int32, len(x))
			for i := range x {
				short[i] = int32(x[i])
			}
			v.Value = short
		}
		list = append(list, v)
	}
	return list
}

// subjects are the cases of the compliance suite that have a plugin, and those of what plugins have beside.
func subjects(t *testing.T) []subject {
	var list []subject
	for _, c := range backendtest.Cases() {
		if s, ok := ofCase(t, c); ok {
			list = append(list, s)
		}
	}
	return append(list, beside()...)
}

// TestOperators holds every plugin to the float64 oracle, with maps in every type and format.
func TestOperators(t *testing.T) {
	all := subjects(t)
	libraries(t, func(t *testing.T, l *Library) {
		seen := map[string]bool{}
		for _, s := range all {
			seen[s.plugin] = true
			for _, at := range layouts {
				if !s.takes(at) {
					continue
				}
				t.Run(at.name+"/"+s.name, func(t *testing.T) { s.check(t, l, at) })
			}
		}
		for _, p := range l.Plugins() {
			if !seen[p.Name] {
				t.Errorf("the plugin %s has no case", p.Name)
			}
		}
	})
}

// TestManyRuns: the last case of each plugin, and each of the model's sizes, leaves the same bits every time.
func TestManyRuns(t *testing.T) {
	last := map[string]subject{}
	for _, s := range subjects(t) {
		last[s.plugin] = s
	}
	list := slices.SortedFunc(maps.Values(last), func(a, b subject) int { return strings.Compare(a.plugin, b.plugin) })
	if *captured > 0 { // on a device
		list = append(list, large()...)
	}
	libraries(t, func(t *testing.T, l *Library) {
		for _, s := range list {
			for _, at := range layouts {
				if !s.takes(at) {
					continue
				}
				got, _, err := s.run(l, at, Options{Repeats: *many, Captured: *captured})
				if err != nil || got.Different != 0 {
					t.Errorf("%s %s: %d of %d runs differ (%v)", s.plugin, at.name, got.Different, *many, err)
				}
				t.Logf("%-18s %-9s %8.1f µs  %s", s.plugin, at.name, float64(got.Time.Nanoseconds())/1000, s.name)
			}
		}
	})
}

// TestPluginsAreTheOperators: for each operator of the domain there is a plugin, whose fields take what the export writes. Others are named here.
func TestPluginsAreTheOperators(t *testing.T) {
	operators := []graph.Op{
		graph.TileAggregate{}, graph.GreedySelect{}, graph.SplitSelect{}, graph.TileOrder{}, graph.TilePack{}, graph.TileSSMScan{}, graph.TileUnpackFusion{},
		graph.SelectDetections{}, graph.DecodeBoxes{}, graph.RoiMeanPool{}, graph.BoxMask{},
	}
	ours := []string{"BoxVector", "Gates", "GroupNormFusion", "HeavyPath", "Logits", "MaskDetail", "PrototypeMasks", "Proxies", "Route"}
	libraries(t, func(t *testing.T, l *Library) {
		left := map[string]Plugin{}
		for _, p := range l.Plugins() {
			if p.Version != "1" || p.Namespace != graph.Domain {
				t.Errorf("%s has version %q and namespace %q", p.Name, p.Version, p.Namespace)
			}
			left[p.Name] = p
		}
		for _, op := range operators {
			p, ok := left[op.OpType()]
			if !ok {
				t.Errorf("there is no plugin %s", op.OpType())
				continue
			}
			delete(left, op.OpType())
			written := map[string]bool{}
			for _, v := range valuesOf(t, op) {
				written[v.Name] = true
				kind := map[string]Kind{"int32": Integer, "[]int32": Integers, "float32": Real, "string": Text}[fmt.Sprintf("%T", v.Value)]
				if !slices.ContainsFunc(p.Fields, func(f Field) bool { return f.Name == v.Name && f.Kind == kind }) {
					t.Errorf("%s has no field %s for %T", p.Name, v.Name, v.Value)
				}
			}
			for _, f := range p.Fields {
				if f.Required && !written[f.Name] {
					t.Errorf("%s needs a field %s, which the export does not write", p.Name, f.Name)
				}
			}
		}
		for name := range left {
			if !slices.Contains(ours, name) {
				t.Errorf("the plugin %s is no operator of the graph", name)
			}
		}
	})
}

func TestRegisterNeedsARegistry(t *testing.T) {
	libraries(t, func(t *testing.T, l *Library) {
		want := "no registry"
		if l.TensorRT() == 0 {
			want = "the library was built without TensorRT's headers"
		}
		if err := l.Register(nil); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	})
}

func TestOpenRefusesOtherLibraries(t *testing.T) {
	for path, want := range map[string]string{"libdl.so.2": "there is no apexx_plugins_abi", "/nowhere/libapexx-tensorrt.so": "cannot open"} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", path, err, want)
		}
	}
}
