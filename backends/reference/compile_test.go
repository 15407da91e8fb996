package reference

import (
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// steps lists what a session executes, in order.
func steps(s *session) []string {
	var list []string
	for _, st := range s.steps {
		list = append(list, st.op)
	}
	return list
}

// TestFusions lists the steps that remain of each chain. Tapping its values, each alone and all together, changes neither the steps nor
// the result, and a tap gives what the nodes give one by one.
func TestFusions(t *testing.T) {
	block := func(n *network, x *graph.Value) *graph.Value {
		return n.silu("act", n.norm("norm", n.conv("conv", x, 4, 3, 1, true), 2))
	}
	for _, c := range []struct {
		name  string
		build func(n *network, x *graph.Value) *graph.Value
		want  []string
	}{
		{"convolution, normalisation, SiLU", block, []string{"ConvGroupNormSiLU"}},
		{"convolution, normalisation", func(n *network, x *graph.Value) *graph.Value {
			return n.norm("norm", n.conv("conv", x, 4, 3, 1, false), 2)
		}, []string{"ConvGroupNorm"}},
		{"normalisation, SiLU", func(n *network, x *graph.Value) *graph.Value { return n.silu("act", n.norm("norm", x, 2)) }, []string{"GroupNormSiLU"}},
		{"gate with residual", (*network).block, []string{"ConvGroupNormGate"}},
		{"gate of an input", func(n *network, x *graph.Value) *graph.Value { return n.gate("gate", n.norm("norm", x, 1)) }, []string{"GroupNormGate"}},
		{"SiLU with the operands the other way", func(n *network, x *graph.Value) *graph.Value {
			return n.binary("act", graph.Mul, x, n.unary("s", graph.Sigmoid, x))
		}, []string{"SiLU"}},
		{"sigmoid of something else", func(n *network, x *graph.Value) *graph.Value {
			return n.binary("act", graph.Mul, n.unary("r", graph.Relu, x), n.unary("s", graph.Sigmoid, x))
		}, []string{"Relu", "Sigmoid", "Mul"}},
		{"normalised values that a second node reads", func(n *network, x *graph.Value) *graph.Value {
			h := n.norm("norm", n.conv("conv", x, 4, 3, 1, true), 2)
			return n.binary("both", graph.Add, n.silu("act", h), h)
		}, []string{"ConvGroupNorm", "SiLU", "Add"}},
		{"halves gated twice", func(n *network, x *graph.Value) *graph.Value {
			parts := n.Add("split", graph.Split{Axis: 1, Sizes: []int{2, 2}}, n.norm("norm", x, 1))
			r := n.unary("relu", graph.Relu, parts[1])
			return n.binary("y", graph.Add, n.binary("gate", graph.Mul, parts[0], r), r)
		}, []string{"GroupNormalization", "Relu", "Mul", "Add"}}, // a split of one image is a view
		{"residual that is the gated value", func(n *network, x *graph.Value) *graph.Value {
			y := n.gate("gate", n.norm("norm", x, 1))
			return n.binary("twice", graph.Add, y, y)
		}, []string{"GroupNormGate", "Add"}},
	} {
		n := newNetwork()
		n.Output("y", c.build(n, n.input("x", tensor.Float32, 1, 4, 5, 5)))
		requireTaps(t, c.name, built(t, n.Builder), tensor.List{{Name: "x", Tensor: wave(1, 1, 4, 5, 5)}}, c.want)
	}
}

func (n *network) block(x *graph.Value) *graph.Value { return n.cheapBlock("block", x) }

// requireTaps holds a session with taps, each value of the graph alone and then all of them, to one without, bit for bit, and the
// taps to a session without fusion.
func requireTaps(t *testing.T, name string, g *graph.Graph, inputs tensor.List, want []string) {
	t.Helper()
	all := computed(g)
	for _, c := range []struct {
		set settings
		tol float64
	}{{fp32(), 2e-5}, {fp64(), 1e-12}} {
		if got := steps(open(t, g, c.set)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		plain := c.set
		plain.unfused, plain.taps = unfused{all: true}, all
		apart, untapped := outputs(t, g, inputs, plain), outputs(t, g, inputs, c.set)
		sets := [][]string{all}
		for _, v := range all {
			sets = append(sets, []string{v})
		}
		for _, taps := range sets {
			tapped := c.set
			tapped.taps = taps
			if got := steps(open(t, g, tapped)); !slices.Equal(got, want) {
				t.Errorf("%s, tapped %v: %v, want %v", name, taps, got, want)
			}
			got := outputs(t, g, inputs, tapped)
			requireSame(t, name, got, untapped)
			for _, o := range got[len(g.Outputs):] {
				requireNear(t, name+" "+o.Name, o.Tensor, apart.Get(o.Name).Float64s(), c.tol)
			}
		}
	}
}

// computed lists what the nodes of a graph compute.
func computed(g *graph.Graph) []string {
	var names []string
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			names = append(names, v.Name)
		}
	}
	return names
}

// Masks interpolated inside their boxes alone are the same, bit for bit, as those that were interpolated as a whole.
func TestFusedMasks(t *testing.T) {
	for _, c := range []struct {
		name   string
		common []int // shape of what is added to the masks, nil for nothing
		want   []string
	}{
		{"alone", nil, []string{"ResizeBoxMask"}},
		{"with a common map", []int{2, 1, 9, 14}, []string{"ResizeBoxMask"}},
		{"with a map for each mask", []int{2, 3, 9, 14}, []string{"Resize", "Add", "BoxMask"}},
		{"with a map for all images", []int{1, 1, 9, 14}, []string{"Resize", "Add", "BoxMask"}},
	} {
		for _, first := range []bool{true, false} { // operand of the sum
			n := newNetwork()
			inputs := tensor.List{{Name: "x", Tensor: wave(1, 2, 3, 4, 7)}, {Name: "rois", Tensor: boxesFor(2)}}
			logits := n.Add1("large", graph.Resize{Height: 9, Width: 14}, n.input("x", tensor.Float32, 2, 3, 4, 7))
			rois := n.input("rois", tensor.Float32, 2, 3, 4)
			if c.common != nil {
				inputs = append(inputs, tensor.Named{Name: "common", Tensor: wave(2, c.common...)})
				operands := []*graph.Value{n.input("common", tensor.Float32, c.common...), logits}
				if !first {
					slices.Reverse(operands)
				}
				logits = n.binary("sum", graph.Add, operands[0], operands[1])
			}
			out := n.Add("masks", graph.BoxMask{ImageHeight: 32, ImageWidth: 48, Fill: -20}, logits, rois)
			n.Output("logits", out[0])
			n.Output("scores", out[1])
			g := built(t, n.Builder)
			requireTaps(t, c.name, g, inputs, c.want)
			apart := fp32()
			apart.unfused.all = true
			requireSame(t, c.name, outputs(t, g, inputs, fp32()), outputs(t, g, inputs, apart))
		}
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
		got, err := backends.Run(t.Context(), s, tensor.List{{Name: "x", Tensor: f32s([]int{2}, 10, 20)}})
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

// In-place results save memory: a chain of element-wise steps needs one buffer beside the input, which stays.
func TestChainsRunInPlace(t *testing.T) {
	n := newNetwork()
	x := n.input("x", tensor.Float32, 64, 64)
	y := n.unary("relu", graph.Relu, n.binary("add", graph.Add, x, n.Scalar(1)))
	n.Output("y", n.unary("tanh", graph.Tanh, n.Add1("clip", graph.Clip{Low: -1, High: 1}, y)))
	s := open(t, built(t, n.Builder), fp32())
	if got := s.Memory().Host; got != 2*64*64*4+4 {
		t.Errorf("%d bytes, want the %d of the input, one value and the constant", got, 2*64*64*4+4)
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
