package lower_test

import (
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// TestFuse tells for small graphs of the inputs x and w [1,2,2,2] what the steps cover, with a rule for x·σ(x) and one for
// a·relu(b) of the halves of a split.
func TestFuse(t *testing.T) {
	swish := lower.Rule{Name: "Swish", Pattern: lower.Pattern{Op: "Mul", Role: "mul", Commutes: true, In: []lower.Pattern{
		{Role: "x"}, {Op: "Sigmoid", Role: "sigmoid", In: []lower.Pattern{{Role: "x"}}},
	}}}
	gate := lower.Rule{Name: "Gate", Where: func(m lower.Match) bool { return len(m.Node("split").Out) == 2 },
		Pattern: lower.Pattern{Op: "Mul", Role: "mul", Commutes: true, In: []lower.Pattern{
			{Op: "Split", Role: "split", In: []lower.Pattern{{Role: "x"}}},
			{Op: "Relu", Role: "relu", In: []lower.Pattern{{Op: "Split", Role: "split", Output: 1}}},
		}}}
	sum := lower.Rule{Name: "Sum", Pattern: lower.Pattern{Op: "Add", Role: "add", Commutes: true, In: []lower.Pattern{
		{Op: "Relu", Role: "relu"}, {Role: "y"},
	}}}
	for _, c := range []struct {
		name  string
		build func(b *toyBuilder) *graph.Value
		taps  []string
		want  string
	}{
		{"in the pattern's order", func(b *toyBuilder) *graph.Value { return b.mul("y", b.x, b.unary("s", graph.Sigmoid, b.x)) }, nil, "Swish(s y)"},
		{"in the other order", func(b *toyBuilder) *graph.Value { return b.mul("y", b.unary("s", graph.Sigmoid, b.x), b.x) }, nil, "Swish(s y)"},
		{"one role, two values", func(b *toyBuilder) *graph.Value { return b.mul("y", b.w, b.unary("s", graph.Sigmoid, b.x)) }, nil, "Sigmoid(s) Mul(y)"},
		{"a second reader", func(b *toyBuilder) *graph.Value {
			s := b.unary("s", graph.Sigmoid, b.x)
			return b.mul("z", b.mul("y", b.x, s), s)
		}, nil, "Sigmoid(s) Mul(y) Mul(z)"},
		{"a second reader for a tap alone", func(b *toyBuilder) *graph.Value {
			s := b.unary("s", graph.Sigmoid, b.x)
			b.mul("z", s, s)
			return b.mul("y", b.x, s)
		}, []string{"z"}, "Swish(s y) Mul(z)"},
		{"a chain of two", func(b *toyBuilder) *graph.Value {
			y := b.mul("y", b.x, b.unary("s", graph.Sigmoid, b.x))
			return b.mul("z", b.unary("r", graph.Sigmoid, y), y)
		}, nil, "Swish(s y) Swish(r z)"},
		{"halves", func(b *toyBuilder) *graph.Value {
			halves := b.halves("h", b.x)
			return b.mul("y", halves[0], b.unary("r", graph.Relu, halves[1]))
		}, []string{"h.0", "r"}, "Gate(h r y)"},
		{"halves the wrong way round", func(b *toyBuilder) *graph.Value {
			halves := b.halves("h", b.x)
			return b.mul("y", halves[1], b.unary("r", graph.Relu, halves[0]))
		}, nil, "Split(h) Relu(r) Mul(y)"},
		{"halves of two splits", func(b *toyBuilder) *graph.Value {
			return b.mul("y", b.halves("h", b.x)[0], b.unary("r", graph.Relu, b.halves("i", b.x)[1]))
		}, nil, "Split(h) Split(i) Relu(r) Mul(y)"},
		{"an operand that is inside the chain", func(b *toyBuilder) *graph.Value {
			r := b.unary("r", graph.Relu, b.x)
			return b.Add1("y", graph.Binary{Fn: graph.Add}, r, r)
		}, nil, "Relu(r) Add(y)"},
		{"the second order where the first does not close", func(b *toyBuilder) *graph.Value {
			r := b.unary("r", graph.Relu, b.x)
			y := b.Add1("y", graph.Binary{Fn: graph.Add}, r, b.unary("q", graph.Relu, b.w))
			return b.mul("z", y, r)
		}, nil, "Relu(r) Sum(q y) Mul(z)"},
	} {
		build := newToyBuilder()
		build.Output("out", build.Add1("out", graph.Unary{Fn: graph.Identity}, c.build(build)))
		g, err := build.Build()
		check(t, err)
		p, err := lower.Import(g, tensor.Float32, c.taps)
		check(t, err)
		p.Fuse([]lower.Rule{swish, gate, sum})
		var got []string
		for _, n := range p.Nodes {
			if n.Op.OpType() != "Identity" {
				got = append(got, n.Op.OpType()+"("+strings.Join(n.Covers(), " ")+")")
			}
			for _, v := range n.Aside() {
				if v.Producer != n {
					t.Errorf("%s: %v is not of the node that stores it", c.name, v)
				}
			}
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

type toyBuilder struct {
	*graph.Builder
	x, w *graph.Value
}

func newToyBuilder() *toyBuilder {
	b := &toyBuilder{Builder: graph.NewBuilder("fuse")}
	four := graph.Type{DType: tensor.Float32, Shape: []int{1, 2, 2, 2}}
	b.x, b.w = b.Input("x", four), b.Input("w", four)
	return b
}

func (b *toyBuilder) unary(name string, fn graph.UnaryFn, x *graph.Value) *graph.Value {
	return b.Add1(name, graph.Unary{Fn: fn}, x)
}

func (b *toyBuilder) mul(name string, x, y *graph.Value) *graph.Value {
	return b.Add1(name, graph.Binary{Fn: graph.Mul}, x, y)
}

func (b *toyBuilder) halves(name string, x *graph.Value) []*graph.Value {
	return b.Add(name, graph.Split{Axis: 1, Sizes: []int{1, 1}}, x)
}

// A rule may fuse what it has just made, and does so whatever is tapped inside.
func TestARuleOfItsOwnResult(t *testing.T) {
	element := []string{"Sigmoid", "Relu", "Mul"}
	chain := lower.Rule{Name: "Chain", Pattern: lower.Pattern{Op: "Add", Or: element, Role: "last", Commutes: true, In: []lower.Pattern{
		{Op: "Chain", Or: append([]string{"Add"}, element...), Role: "before"},
	}}}
	for _, taps := range [][]string{nil, {"a"}, {"b"}, {"c"}, {"a", "b", "c", "d"}} {
		build := newToyBuilder()
		a := build.unary("a", graph.Relu, build.x)
		b := build.mul("b", build.w, a) // the chain comes in by the second operand
		c := build.unary("c", graph.Sigmoid, b)
		build.Output("d", build.mul("d", c, build.w))
		g, err := build.Build()
		check(t, err)
		p, err := lower.Import(g, tensor.Float32, taps)
		check(t, err)
		p.Fuse([]lower.Rule{chain})
		if len(p.Nodes) != 1 || strings.Join(p.Nodes[0].Covers(), " ") != "a b c d" || len(p.Nodes[0].Parts()) != 4 {
			t.Errorf("taps %q: %d nodes, the first covers %q", taps, len(p.Nodes), p.Nodes[0].Covers())
		}
	}
}
