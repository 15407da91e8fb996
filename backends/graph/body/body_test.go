package body

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/goldenfile"
)

func f32(shape ...int) graph.Type { return graph.Type{DType: tensor.Float32, Shape: shape} }
func i64(shape ...int) graph.Type { return graph.Type{DType: tensor.Int64, Shape: shape} }

// heads are the predictions of two levels.
func heads(batch, classes int) []graph.Type {
	return []graph.Type{
		f32(batch, classes, 4, 5), f32(batch, classes, 2, 3), f32(batch, 4, 4, 5), f32(batch, 4, 2, 3), f32(batch, 1, 4, 5), f32(batch, 1, 2, 3),
	}
}

// kept are the predictions of two levels and n kept pairs.
func kept(batch, classes, n int) []graph.Type {
	return append(heads(batch, classes), i64(batch, n), i64(batch))
}

var decode = graph.DecodeBoxes{Strides: []int{8, 16}, ImageHeight: 32, ImageWidth: 40}

var choose = graph.SelectDetections{
	Strides: []int{8, 16}, ImageHeight: 32, ImageWidth: 40, ScoreThreshold: 0.05, PreNMSTopK: 20, IoUThreshold: 0.6, MaxDetections: 10,
}

func chooseRows(n int) graph.SelectDetections {
	o := choose
	o.MaxDetections = n
	return o
}

var cases = []struct {
	name string
	op   graph.Op
	in   []graph.Type
}{
	{"group norm", graph.GroupNormalization{Groups: 2, Epsilon: 1e-5}, []graph.Type{f32(2, 6, 5, 7), f32(6), f32(6)}},
	{"group norm of nothing", graph.GroupNormalization{Groups: 2, Epsilon: 1e-5}, []graph.Type{f32(0, 6, 5, 7), f32(6), f32(6)}},
	{"aggregate", graph.TileAggregate{FeatureHeight: 64, FeatureWidth: 64, Tile: 16}, []graph.Type{f32(1, 4, 32, 32)}},
	{"aggregate uneven", graph.TileAggregate{FeatureHeight: 10, FeatureWidth: 10, Tile: 5}, []graph.Type{f32(2, 4, 3, 4)}},
	{"greedy", graph.GreedySelect{Count: 6}, []graph.Type{f32(2, 16)}},
	{"split", graph.SplitSelect{Count: 4, GridHeight: 3, GridWidth: 5}, []graph.Type{f32(2, 15), i64(2, 6)}},
	{"order", graph.TileOrder{GridHeight: 2, GridWidth: 2, Mode: "hilbert"}, []graph.Type{i64(1, 3)}},
	{"order of nothing", graph.TileOrder{GridHeight: 2, GridWidth: 2, Mode: "hilbert"}, []graph.Type{i64(2, 0)}},
	{"pack", graph.TilePack{Tile: 4}, []graph.Type{f32(1, 3, 8, 12), i64(1, 5)}},
	{"pack batch", graph.TilePack{Tile: 4}, []graph.Type{f32(2, 3, 8, 12), i64(2, 5)}},
	{"scan", graph.TileSSMScan{Clamp: 1e4}, []graph.Type{f32(2, 9, 3), f32(3), f32(3), f32(3), f32(3)}},
	{"scan backward", graph.TileSSMScan{Clamp: 1e4, Backward: true}, []graph.Type{f32(2, 1, 3), f32(3), f32(3), f32(3), f32(3)}},
	{"unpack", graph.TileUnpackFusion{}, []graph.Type{f32(2, 3, 8, 8), f32(2, 2, 3, 4, 4), i64(2, 2)}},
	{"unpack, absent alpha", graph.TileUnpackFusion{}, []graph.Type{f32(1, 3, 8, 8), f32(1, 2, 3, 4, 4), i64(1, 2), {}}},
	{"unpack blend, alpha", graph.TileUnpackFusion{Blend: true, BlendAlpha: 0.3}, []graph.Type{f32(1, 3, 8, 8), f32(1, 2, 3, 4, 4), i64(1, 2), f32(1, 1, 8, 8)}},
	{"choose", choose, heads(2, 3)},
	{"choose of one class", choose, heads(1, 1)},
	{"choose more than there are", chooseRows(1000), heads(1, 3)},
	{"choose none", chooseRows(0), heads(2, 3)},
	{"decode", decode, kept(2, 3, 10)},
	{"decode one class", decode, kept(1, 1, 10)},
	{"decode nothing", decode, kept(2, 3, 0)},
	{"roi", graph.RoiMeanPool{ImageHeight: 32, ImageWidth: 40}, []graph.Type{f32(2, 3, 4, 5), f32(2, 6, 4)}},
	{"roi of no boxes", graph.RoiMeanPool{ImageHeight: 32, ImageWidth: 40}, []graph.Type{f32(2, 3, 4, 5), f32(2, 0, 4)}},
	{"mask", graph.BoxMask{ImageHeight: 32, ImageWidth: 40, Fill: -20}, []graph.Type{f32(2, 6, 8, 10), f32(2, 6, 4)}},
	{"round to fp16", graph.Round{To: graph.FP16}, []graph.Type{f32(2, 3)}},
	{"round to bf16", graph.Round{To: graph.BF16}, []graph.Type{f32(0, 3)}},
	{"round to tf32", graph.Round{To: graph.TF32}, []graph.Type{f32()}},
	{"round to int8", graph.Round{To: graph.INT8}, []graph.Type{f32(2, 3), f32()}},
	{"round slices to int8", graph.Round{To: graph.INT8, Axis: 1}, []graph.Type{f32(2, 3), f32(3)}},
	{"round to fp8", graph.Round{To: graph.FP8}, []graph.Type{f32(), f32()}},
}

func TestBodiesAreWellFormed(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, err := For(c.op, c.in)
			if err != nil {
				t.Fatal(err)
			}
			outputs, err := c.op.Infer(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Inputs) != len(c.in) || len(f.Outputs) != len(outputs) {
				t.Errorf("%d inputs and %d outputs, the operator has %d and %d", len(f.Inputs), len(f.Outputs), len(c.in), len(outputs))
			}
			for _, problem := range problems(f, c.in) {
				t.Error(problem)
			}
			if t.Failed() {
				t.Log(dump(f))
			}
		})
	}
}

// problems lists what is malformed in a function: a name defined twice or read before its definition, an absent input that
// is read, a result that nobody uses, an output that is an input or listed twice.
func problems(f *Function, in []graph.Type) (found []string) {
	complain := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	defined, used, nodes := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i, name := range f.Inputs {
		defined[name] = in[i].DType != tensor.Invalid
	}
	for _, n := range f.Nodes {
		if n.Name == "" || nodes[n.Name] {
			complain("node name %q is empty or taken", n.Name)
		}
		nodes[n.Name] = true
		for _, v := range n.Inputs {
			if v != "" && !defined[v] {
				complain("node %s reads %q, which no earlier node computes", n.Name, v)
			}
			used[v] = true
		}
		for _, v := range n.Outputs {
			if _, taken := defined[v]; v == "" || taken {
				complain("node %s computes %q, which is empty or taken", n.Name, v)
			}
			defined[v] = true
		}
		for _, a := range n.Attrs {
			switch a.Value.(type) {
			case int64, []int64, *tensor.Tensor, ZeroPoint:
			default:
				complain("node %s: attribute %s has type %T", n.Name, a.Name, a.Value)
			}
		}
	}
	outputs := map[string]bool{}
	for _, v := range f.Outputs {
		if !defined[v] || outputs[v] || strings.HasPrefix(v, "in") {
			complain("output %q is not computed, or listed twice", v)
		}
		outputs[v] = true
	}
	for _, n := range f.Nodes {
		live := n.OpType == "TopK" || n.OpType == "Split" // of which one output may do
		for _, v := range n.Outputs {
			live = live || used[v] || outputs[v]
		}
		if !live {
			complain("nobody uses node %s", n.Name)
		}
	}
	return found
}

func TestProblemsAreFound(t *testing.T) {
	node := func(name, in, out string) Node {
		return Node{Name: name, OpType: "Identity", Inputs: []string{in}, Outputs: []string{out}}
	}
	for _, c := range []struct {
		name string
		f    Function
		in   []graph.Type
		want string
	}{
		{"order", Function{[]string{"in0"}, []string{"b"}, []Node{node("n", "a", "b"), node("m", "in0", "a")}}, []graph.Type{f32(1)}, "no earlier node"},
		{"absent", Function{[]string{"in0"}, []string{"b"}, []Node{node("n", "in0", "b")}}, []graph.Type{{}}, "no earlier node"},
		{"twice", Function{[]string{"in0"}, []string{"b"}, []Node{node("n", "in0", "b"), node("m", "in0", "b")}}, []graph.Type{f32(1)}, "taken"},
		{"dead", Function{[]string{"in0"}, []string{"b"}, []Node{node("n", "in0", "b"), node("m", "in0", "c")}}, []graph.Type{f32(1)}, "nobody uses"},
		{"output", Function{[]string{"in0"}, []string{"in0"}, nil}, []graph.Type{f32(1)}, "not computed"},
	} {
		if got := strings.Join(problems(&c.f, c.in), "; "); !strings.Contains(got, c.want) {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
}

func TestEveryOperatorOfTheDomainHasABody(t *testing.T) {
	covered := map[string]bool{}
	for _, c := range cases {
		covered[c.op.OpType()] = true
	}
	for _, op := range graph.Operators() {
		if op.OpDomain() == graph.Domain && !covered[op.OpType()] {
			t.Errorf("operator %s has no case", op.OpType())
		}
	}
}

func TestStandardOperatorsHaveNoBody(t *testing.T) {
	f, err := For(graph.Conv{Strides: [2]int{1, 1}, Group: 1}, []graph.Type{f32(1, 3, 4, 4), f32(8, 3, 1, 1)})
	if f != nil || err != nil {
		t.Errorf("got %v, %v", f, err)
	}
}

func TestForRefuses(t *testing.T) {
	double := graph.Type{DType: tensor.Float64, Shape: []int{1, 16}}
	for _, c := range []struct {
		op   graph.Op
		in   graph.Type
		want string
	}{
		{graph.GreedySelect{Count: 17}, f32(1, 16), "body of GreedySelect: cannot choose 17 of 16 tiles"},
		{graph.GreedySelect{Count: 4}, double, "body of GreedySelect: input 0 is float64[1 16]; bodies compute in float32"},
	} {
		if _, err := For(c.op, []graph.Type{c.in}); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func TestGolden(t *testing.T) {
	for file, name := range map[string]string{"order.txt": "order", "scan.txt": "scan", "choose.txt": "choose", "decode.txt": "decode", "int8.txt": "round slices to int8"} {
		for _, c := range cases {
			if c.name != name {
				continue
			}
			f, err := For(c.op, c.in)
			if err != nil {
				t.Fatal(err)
			}
			goldenfile.Check(t, file, dump(f))
		}
	}
}

// dump lists a function as text, one node a line.
func dump(f *Function) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s → %s\n", strings.Join(f.Inputs, ", "), strings.Join(f.Outputs, ", "))
	for _, n := range f.Nodes {
		fmt.Fprintf(&s, "%s = %s(%s)", strings.Join(n.Outputs, ", "), n.OpType, strings.Join(n.Inputs, ", "))
		for _, a := range n.Attrs {
			fmt.Fprintf(&s, " %s=%v", a.Name, a.Value)
			if x, ok := a.Value.(*tensor.Tensor); ok && x.Len() <= 16 {
				fmt.Fprintf(&s, " %v", x.Float64s())
			}
		}
		s.WriteByte('\n')
	}
	return s.String()
}
