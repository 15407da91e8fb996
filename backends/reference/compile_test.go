package reference

import (
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// steps lists what a session executes, in order.
func steps(s *session) []string {
	var list []string
	for _, st := range s.steps {
		list = append(list, st.node.op.OpType())
	}
	return list
}

// TestFusions lists the steps that remain of each chain, and what a tap in the middle of a chain does to it.
func TestFusions(t *testing.T) {
	block := func(n *network, x *graph.Value) *graph.Value {
		return n.silu("act", n.norm("norm", n.conv("conv", x, 4, 3, 1, true), 2))
	}
	for _, c := range []struct {
		name  string
		build func(n *network, x *graph.Value) *graph.Value
		taps  []string
		want  []string
	}{
		{"convolution, normalisation, SiLU", block, nil, []string{"GroupNormalization"}},
		{"tapped convolution", block, []string{"conv"}, []string{"Conv", "GroupNormalization"}},
		{"tapped normalisation", block, []string{"norm"}, []string{"GroupNormalization", "SiLU"}},
		{"tapped sigmoid", block, []string{"act.sigmoid"}, []string{"GroupNormalization", "Sigmoid", "Mul"}},
		{"gate with residual", (*network).block, nil, []string{"GroupNormGate"}},
		{"gate with a tapped product", (*network).block, []string{"block.gate"}, []string{"GroupNormGate", "Add"}},
		{"gate with a tapped half", (*network).block, []string{"block.split.0"}, []string{"GroupNormalization", "Relu", "Mul", "Add"}},
		{"gate with a tapped convolution", (*network).block, []string{"block.conv"}, []string{"Conv", "GroupNormGate"}},
		{"SiLU with the operands the other way", func(n *network, x *graph.Value) *graph.Value {
			return n.binary("act", graph.Mul, x, n.unary("s", graph.Sigmoid, x))
		}, nil, []string{"SiLU"}},
		{"sigmoid of something else", func(n *network, x *graph.Value) *graph.Value {
			return n.binary("act", graph.Mul, n.unary("r", graph.Relu, x), n.unary("s", graph.Sigmoid, x))
		}, nil, []string{"Relu", "Sigmoid", "Mul"}},
	} {
		n := newNetwork()
		n.Output("y", c.build(n, n.input("x", tensor.Float32, 1, 4, 5, 5)))
		g, err := built(t, n.Builder).WithTaps(c.taps)
		if err != nil {
			t.Fatal(err)
		}
		if got := steps(open(t, g, fp32())); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func (n *network) block(x *graph.Value) *graph.Value { return n.cheapBlock("block", x) }

// Masks interpolated inside their boxes alone are the same, bit for bit, as those that were interpolated as a whole.
func TestFusedMasks(t *testing.T) {
	for _, c := range []struct {
		name   string
		common []int // shape of what is added to the masks, nil for nothing
		taps   []string
		want   []string
	}{
		{"alone", nil, nil, []string{"ResizeBoxMask"}},
		{"with a common map", []int{2, 1, 9, 14}, nil, []string{"ResizeBoxMask"}},
		{"with a map for each mask", []int{2, 3, 9, 14}, nil, []string{"Resize", "Add", "BoxMask"}},
		{"with a map for all images", []int{1, 1, 9, 14}, nil, []string{"Resize", "Add", "BoxMask"}},
		{"tapped", []int{2, 1, 9, 14}, []string{"large"}, []string{"Resize", "Add", "BoxMask"}},
		{"tapped sum", []int{2, 1, 9, 14}, []string{"sum"}, []string{"Resize", "Add", "BoxMask"}},
	} {
		n := newNetwork()
		inputs := tensor.List{{Name: "x", Tensor: wave(1, 2, 3, 4, 7)}, {Name: "rois", Tensor: boxesFor(2)}}
		logits := n.Add1("large", graph.Resize{Height: 9, Width: 14}, n.input("x", tensor.Float32, 2, 3, 4, 7))
		rois := n.input("rois", tensor.Float32, 2, 3, 4)
		if c.common != nil {
			inputs = append(inputs, tensor.Named{Name: "common", Tensor: wave(2, c.common...)})
			logits = n.binary("sum", graph.Add, n.input("common", tensor.Float32, c.common...), logits)
		}
		out := n.Add("masks", graph.BoxMask{ImageHeight: 32, ImageWidth: 48, Fill: -20}, logits, rois)
		n.Output("logits", out[0])
		n.Output("scores", out[1])
		g, err := built(t, n.Builder).WithTaps(c.taps)
		if err != nil {
			t.Fatal(err)
		}
		if got := steps(open(t, g, fp32())); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		unfused := fp32()
		unfused.unfused = true
		requireSame(t, c.name, outputs(t, g, inputs, fp32()), outputs(t, g, inputs, unfused))
	}
}

func TestFolding(t *testing.T) {
	b := graph.NewBuilder("fold")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{2}})
	w := b.Const("w", f32s([]int{2}, 0, 1))
	gate := b.Add1("gate", graph.Unary{Fn: graph.Sigmoid}, w)
	view := b.Add1("view", graph.Reshape{Shape: []int{1, 2}}, gate)
	parts := b.Add("parts", graph.Split{Axis: 1, Sizes: []int{1, 1}}, view)
	b.Output("half", parts[0])
	b.Output("y", b.Add1("sum", graph.Binary{Fn: graph.Add}, x, b.Add1("twice", graph.Binary{Fn: graph.Add}, gate, gate)))
	g := built(t, b)
	for _, set := range []settings{fp32(), fp64()} {
		s := open(t, g, set)
		if got := steps(s); !slices.Equal(got, []string{"Add"}) {
			t.Errorf("steps %v, want the sum alone", got)
		}
		got, err := s.Run(t.Context(), tensor.List{{Name: "x", Tensor: f32s([]int{2}, 10, 20)}})
		if err != nil {
			t.Fatal(err)
		}
		requireNear(t, "half", got[0].Tensor, []float64{0.5}, 0)
		requireNear(t, "y", got[1].Tensor, []float64{11, 20 + 2*0.7310585786300049}, 1e-7)
	}
	if v := w.Const.Float64s(); v[0] != 0 || v[1] != 1 {
		t.Errorf("the constant became %v", v)
	}
}

// In-place results save memory: a chain of element-wise steps needs one buffer.
func TestChainsRunInPlace(t *testing.T) {
	n := newNetwork()
	x := n.input("x", tensor.Float32, 64, 64)
	y := n.unary("relu", graph.Relu, n.binary("add", graph.Add, x, n.Scalar(1)))
	n.Output("y", n.unary("tanh", graph.Tanh, n.Add1("clip", graph.Clip{Low: -1, High: 1}, y)))
	s := open(t, built(t, n.Builder), fp32())
	if got := s.Memory().Host; got != 64*64*4 {
		t.Errorf("%d bytes, want the %d of one value", got, 64*64*4)
	}
}

func TestCompileRefusesFloat64Values(t *testing.T) {
	b := graph.NewBuilder("wide")
	x := b.Input("x", graph.Type{DType: tensor.Float64, Shape: []int{1}})
	b.Output("y", b.Add1("relu", graph.Unary{Fn: graph.Relu}, x))
	if _, err := compile(t.Context(), built(t, b), fp32()); err == nil {
		t.Error("a float64 value was accepted")
	}
}
