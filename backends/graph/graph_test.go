package graph

import (
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/tensor"
)

func f32(shape ...int) Type { return Type{tensor.Float32, shape} }
func i64(shape ...int) Type { return Type{tensor.Int64, shape} }

func TestInfer(t *testing.T) {
	none := Type{}
	for _, c := range []struct {
		name string
		op   Op
		in   []Type
		want string // types of the outputs, or a part of the error after "!"
	}{
		{"conv stride 2", Conv{Strides: [2]int{2, 2}, Pads: [4]int{1, 1, 1, 1}, Group: 1}, []Type{f32(1, 3, 65, 97), f32(8, 3, 3, 3)}, "float32[1 8 33 49]"},
		{"conv depthwise", Conv{Strides: [2]int{1, 1}, Pads: [4]int{1, 1, 1, 1}, Group: 6}, []Type{f32(2, 6, 4, 4), f32(6, 1, 3, 3), f32(6)}, "float32[2 6 4 4]"},
		{"conv channels", Conv{Strides: [2]int{1, 1}, Group: 1}, []Type{f32(1, 3, 4, 4), f32(8, 4, 1, 1)}, "!does not fit weight"},
		{"conv kernel", Conv{Strides: [2]int{1, 1}, Group: 1}, []Type{f32(1, 3, 2, 2), f32(8, 3, 3, 3)}, "!larger than"},
		{"group norm", GroupNormalization{Groups: 2}, []Type{f32(1, 6, 4, 4), f32(6), f32(6)}, "float32[1 6 4 4]"},
		{"group norm groups", GroupNormalization{Groups: 4}, []Type{f32(1, 6, 4, 4), f32(6), f32(6)}, "!do not divide"},
		{"is nan", Unary{Fn: IsNaN}, []Type{f32(3)}, "bool[3]"},
		{"broadcast", Binary{Fn: Add}, []Type{f32(2, 1, 4), f32(3, 1)}, "float32[2 3 4]"},
		{"no broadcast", Binary{Fn: Add}, []Type{f32(2), f32(3)}, "!do not broadcast"},
		{"mixed types", Binary{Fn: Add}, []Type{f32(2), i64(2)}, "!one numeric type"},
		{"gemm", Gemm{TransB: true}, []Type{f32(5, 12), f32(32, 12), f32(32)}, "float32[5 32]"},
		{"matmul", MatMul{}, []Type{f32(2, 50, 32), f32(2, 32, 4096)}, "float32[2 50 4096]"},
		{"split", Split{Axis: 1, Sizes: []int{3, 2}}, []Type{f32(1, 5)}, "float32[1 3] float32[1 2]"},
		{"split sum", Split{Axis: 1, Sizes: []int{3, 3}}, []Type{f32(1, 5)}, "!do not add up"},
		{"gather", Gather{Axis: 2}, []Type{f32(1, 4, 5, 6), i64(9)}, "float32[1 4 9 6]"},
		{"reduce", Reduce{Fn: ReduceMean, Axes: []int{3, 4}}, []Type{f32(1, 2, 3, 4, 4)}, "float32[1 2 3]"},
		{"reduce nothing", Reduce{Fn: ReduceMean, Axes: []int{1}}, []Type{f32(1, 0)}, "!no elements"},
		{"resize", Resize{Height: 8, Width: 6}, []Type{f32(1, 2, 4, 3)}, "float32[1 2 8 6]"},
		{"aggregate", TileAggregate{FeatureHeight: 64, FeatureWidth: 64, Tile: 16}, []Type{f32(1, 4, 32, 32)}, "float32[1 16 12]"},
		{"aggregate tiles", TileAggregate{FeatureHeight: 60, FeatureWidth: 64, Tile: 16}, []Type{f32(1, 4, 32, 32)}, "!divisible"},
		{"greedy", GreedySelect{Count: 8}, []Type{f32(2, 16)}, "int64[2 8]"},
		{"greedy too many", GreedySelect{Count: 17}, []Type{f32(2, 16)}, "!cannot choose 17 of 16"},
		{"split select", SplitSelect{Count: 4, GridHeight: 4, GridWidth: 4}, []Type{f32(1, 16), i64(1, 8)}, "int64[1 16]"},
		{"split select grid", SplitSelect{Count: 4, GridHeight: 3, GridWidth: 4}, []Type{f32(1, 16), i64(1, 8)}, "!want [1 12]"},
		{"order", TileOrder{GridHeight: 4, GridWidth: 4, Mode: "hilbert"}, []Type{i64(1, 8)}, "int64[1 8]"},
		{"order mode", TileOrder{GridHeight: 4, GridWidth: 4, Mode: "lr"}, []Type{i64(1, 8)}, "!unknown order mode"},
		{"pack", TilePack{Tile: 16}, []Type{f32(1, 64, 64, 64), i64(1, 8)}, "float32[1 8 64 16 16]"},
		{"scan", TileSSMScan{Clamp: 1e4}, []Type{f32(1, 8, 64), f32(64), f32(64), f32(64), f32(64)}, "float32[1 8 64] float32[1 64]"},
		{"scan of nothing", TileSSMScan{Clamp: 1e4}, []Type{f32(1, 0, 2), f32(2), f32(2), f32(2), f32(2)}, "!at least one token"},
		{"unpack", TileUnpackFusion{}, []Type{f32(1, 6, 8, 8), f32(1, 3, 6, 4, 4), i64(1, 3), f32(1, 1, 8, 8)}, "float32[1 6 8 8]"},
		{"unpack without alpha", TileUnpackFusion{}, []Type{f32(1, 6, 8, 8), f32(1, 3, 6, 4, 4), i64(1, 3), none}, "float32[1 6 8 8]"},
		{"unpack tiles", TileUnpackFusion{}, []Type{f32(1, 6, 8, 8), f32(1, 3, 5, 4, 4), i64(1, 3)}, "!want [1 3 6 4 4]"},
		{"select detections", SelectDetections{Strides: []int{8}, ImageHeight: 16, ImageWidth: 16, PreNMSTopK: 5, MaxDetections: 7}, []Type{f32(1, 2, 2, 2), f32(1, 4, 2, 2), f32(1, 1, 2, 2)}, "int64[1 7] int64[1]"},
		{"select detections of no size", SelectDetections{Strides: []int{8}, PreNMSTopK: 5}, []Type{f32(1, 2, 2, 2), f32(1, 4, 2, 2), f32(1, 1, 2, 2)}, "!at least 1 of each"},
		{"select detections by a score", SelectDetections{Strides: []int{8}, ImageHeight: 16, ImageWidth: 16, PreNMSTopK: 5, ScoreThreshold: 1.5}, []Type{f32(1, 2, 2, 2), f32(1, 4, 2, 2), f32(1, 1, 2, 2)}, "!parameters out of range"},
		{"decode boxes", DecodeBoxes{Strides: []int{8}, ImageHeight: 16, ImageWidth: 16}, []Type{f32(1, 2, 2, 2), f32(1, 4, 2, 2), f32(1, 1, 2, 2), i64(1, 7), i64(1)}, "float32[1 7 4] float32[1 7] int64[1 7]"},
		{"decode boxes of another batch", DecodeBoxes{Strides: []int{8}, ImageHeight: 16, ImageWidth: 16}, []Type{f32(1, 2, 2, 2), f32(1, 4, 2, 2), f32(1, 1, 2, 2), i64(2, 7), i64(2)}, "!want [1 7]"},
		{"decode boxes, no count", DecodeBoxes{Strides: []int{8}, ImageHeight: 16, ImageWidth: 16}, []Type{f32(1, 2, 2, 2), f32(1, 4, 2, 2), f32(1, 1, 2, 2), i64(1, 7)}, "!got 4 inputs, want 5"},
		{"pool", RoiMeanPool{ImageHeight: 8, ImageWidth: 8}, []Type{f32(1, 6, 4, 4), f32(1, 3, 4)}, "float32[1 3 6]"},
		{"box mask", BoxMask{ImageHeight: 8, ImageWidth: 8, Fill: -20}, []Type{f32(1, 3, 4, 4), f32(1, 3, 4)}, "float32[1 3 4 4] float32[1 3]"},
		{"round", Round{To: TF32}, []Type{f32(2, 0, 3)}, "float32[2 0 3]"},
		{"round ids", Round{To: FP16}, []Type{i64(3)}, "!floating-point"},
		{"round to nothing", Round{To: "fp12"}, []Type{f32(3)}, "!unknown format \"fp12\" (want one of tf32, fp16, bf16, int8, fp8)"},
		{"round with a scale", Round{To: INT8}, []Type{f32(2, 3), f32()}, "float32[2 3]"},
		{"round with scales", Round{To: FP8, Axis: 1}, []Type{f32(2, 3), f32(3)}, "float32[2 3]"},
		{"round without its scale", Round{To: INT8}, []Type{f32(2, 3)}, "!got 1 inputs, want 2"},
		{"round with a scale too many", Round{To: FP16}, []Type{f32(2, 3), f32()}, "!got 2 inputs, want 1"},
		{"round with scales of another axis", Round{To: INT8}, []Type{f32(2, 3), f32(3)}, "!the scale has shape [3], want [] or [2]"},
		{"round with scales beyond the axes", Round{To: INT8, Axis: 2}, []Type{f32(2, 3), f32(3)}, "!axis 2 is outside the shape [2 3]"},
		{"round with integer scales", Round{To: INT8}, []Type{f32(2), i64(2)}, "!input 1 is int64[2], want a floating-point type"},
	} {
		out, err := c.op.Infer(c.in)
		var got []string
		for _, o := range out {
			got = append(got, o.String())
		}
		switch {
		case strings.HasPrefix(c.want, "!"):
			if err == nil || !strings.Contains(err.Error(), c.want[1:]) {
				t.Errorf("%s: got %v, %v; want an error with %q", c.name, got, err, c.want[1:])
			}
		case err != nil || strings.Join(got, " ") != c.want:
			t.Errorf("%s: got %v, %v; want %s", c.name, got, err, c.want)
		}
	}
}

func TestEveryOperatorRejectsMissingInputs(t *testing.T) {
	parametrised := []Op{Conv{Strides: [2]int{1, 1}, Group: 1}, GroupNormalization{Groups: 1}, Cast{To: tensor.Int64}, SelectDetections{Strides: []int{8}}, DecodeBoxes{Strides: []int{8}}}
	for _, op := range append(Operators(), parametrised...) {
		if _, err := op.Infer(nil); err == nil {
			t.Errorf("%s accepted no inputs", op.OpType())
		}
	}
}

func sample(t *testing.T) *Graph {
	t.Helper()
	b := NewBuilder("sample")
	x := b.Input("x", f32(2, 4))
	h := b.Add1("double", Binary{Fn: Mul}, x, b.Scalar(2))
	parts := b.Add("parts", Split{Axis: 1, Sizes: []int{1, 3}}, h)
	unused := b.Add1("unused", Unary{Fn: Tanh}, h)
	b.Tap("tanh", unused)
	b.Output("y", b.Add1("relu", Unary{Fn: Relu}, parts[1])) // a second name
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestBuilderNamesAndTaps(t *testing.T) {
	g := sample(t)
	const want = `input  x float32[2 4]
node   double = Mul(x, const.2) → double float32[2 4]
node   parts = Split(double) → parts.0 float32[2 1] parts.1 float32[2 3]
node   unused = Tanh(double) → unused float32[2 4]
node   relu = Relu(parts.1) → relu float32[2 3]
output y = relu float32[2 3]
`
	if got := g.Dump(); got != want {
		t.Errorf("got\n%s", got)
	}
	plain, err := g.WithTaps(nil)
	if err != nil || len(plain.Nodes) != 3 {
		t.Errorf("without taps %d nodes are left, %v; want 3", len(plain.Nodes), err)
	}
	tapped, err := g.WithTaps([]string{"all", "parts.0"})
	if err != nil || len(tapped.Outputs) != 3 || tapped.Outputs[1].Name != "tap.tanh" || tapped.Outputs[2].Name != "tap.parts.0" || len(tapped.Nodes) != 4 {
		t.Errorf("with taps: %v, %v", tapped.Outputs, err)
	}
	twice, err := g.WithTaps([]string{"parts.0", "tanh", "all", "parts.0", "tanh"})
	if err != nil || len(twice.Outputs) != 3 || twice.Outputs[1].Name != "tap.tanh" || twice.Outputs[2].Name != "tap.parts.0" {
		t.Errorf("taps that are named twice: %v, %v; want each once, the declared ones first", twice.Outputs, err)
	}
	if _, err := g.WithTaps([]string{"nothing"}); err == nil {
		t.Error("an unknown tap was accepted")
	}
}

func TestBuilderKeepsTheFirstError(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(b *Builder)
		want  string
	}{
		{"shape", func(b *Builder) {
			x := b.Input("x", f32(2, 4))
			p := b.Add("first", Split{Axis: 1, Sizes: []int{9}}, x)
			b.Output("y", b.Add1("second", Unary{Fn: Relu}, p[0]))
		}, "node first (Split)"},
		{"name twice", func(b *Builder) {
			x := b.Input("x", f32(2))
			b.Add1("a", Unary{Fn: Relu}, x)
			b.Output("y", b.Add1("a", Unary{Fn: Relu}, x))
		}, `"a" is used twice`},
		{"output of an input", func(b *Builder) { b.Output("y", b.Input("x", f32(2))) }, "not computed by a node"},
		{"sizes of what could not be computed", func(b *Builder) {
			p := b.AddNamed("first", Split{Axis: 1, Sizes: []int{9, 1}}, []string{"a", "b"}, b.Input("x", f32(2, 4)))
			boxes := b.Add("decode", DecodeBoxes{Strides: []int{8}}, p[0], p[1])[2]
			b.Output("y", b.Add1("rows", Reshape{Shape: []int{boxes.Dim(0), boxes.Dim(3)}}, boxes))
		}, "node first (Split)"},
		{"too few names", func(b *Builder) {
			b.AddNamed("first", Split{Axis: 1, Sizes: []int{2, 2}}, []string{"a"}, b.Input("x", f32(2, 4)))
		}, "node first (Split): got names for 1 outputs, it has 2"},
		{"a value's name twice", func(b *Builder) {
			b.AddNamed("first", Split{Axis: 1, Sizes: []int{2, 2}}, []string{"a", "a"}, b.Input("x", f32(2, 4)))
		}, `"a" is used twice`},
		{"an output's name twice", func(b *Builder) {
			x := b.Input("x", f32(2, 4))
			b.Output("x", b.Add1("y", Unary{Fn: Relu}, x))
		}, `"x" is used twice`},
		{"no outputs", func(b *Builder) { b.Input("x", f32(2)) }, "no outputs"},
	} {
		b := NewBuilder("g")
		c.build(b)
		if _, err := b.Build(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
