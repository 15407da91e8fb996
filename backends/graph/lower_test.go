package graph_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/goldenfile"
)

// network has every kind of point, and beside each what has none.
func network(t *testing.T) *graph.Graph {
	t.Helper()
	b := graph.NewBuilder("network")
	weight := func(name string, shape ...int) *graph.Value {
		return b.Const(name, tensor.New(tensor.Float32, shape...))
	}
	same := graph.Conv{Strides: [2]int{1, 1}, Pads: [4]int{1, 1, 1, 1}, Group: 1}
	deep := same
	deep.Group = 4
	image := b.Input("image", graph.Type{DType: tensor.Float32, Shape: []int{1, 3, 8, 8}})
	x := b.Add1("stem", same, image, weight("stem.weight", 4, 3, 3, 3), weight("stem.bias", 4))
	x = b.Add1("norm", graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}, x, weight("norm.weight", 4), weight("norm.bias", 4))
	x = b.Add1("silu", graph.Binary{Fn: graph.Mul}, x, b.Add1("silu.sigmoid", graph.Unary{Fn: graph.Sigmoid}, x))
	b.Tap("features", x)
	depthwise := b.Add1("depthwise", deep, x, weight("depthwise.weight", 4, 1, 3, 3))
	sum := b.Add1("sum", graph.Binary{Fn: graph.Add}, depthwise, x) // not stored: its reader takes it element by element
	x = b.Add1("half", graph.Binary{Fn: graph.Mul}, sum, b.Scalar(0.5))
	up := b.Add1("rows", graph.Gather{Axis: 2}, x, b.Const("rows.index", tensor.Must(tensor.Of([]int64{0, 0, 1, 1}, 4))))
	b.Output("up", b.Add1("columns", graph.Gather{Axis: 3}, up, b.Const("columns.index", tensor.Must(tensor.Of([]int64{3, 2}, 2)))))

	proxy := b.Add1("proxy", same, x, weight("proxy.weight", 1, 4, 3, 3))
	rows := b.Add1("rows3", graph.Reshape{Shape: []int{4, 3}}, b.Add1("stats", graph.TileAggregate{FeatureHeight: 8, FeatureWidth: 8, Tile: 4}, proxy))
	u := b.Add1("router", graph.Gemm{}, rows, weight("router.weight", 3, 1))
	ids := b.Add1("select", graph.GreedySelect{Count: 2}, b.Add1("utilities", graph.Reshape{Shape: []int{1, 4}}, u))
	b.Output("gate", b.Add1("gate.pack", graph.TilePack{Tile: 4}, proxy, ids))
	tiles := b.Add1("pack", graph.TilePack{Tile: 4}, x, ids)
	tokens := b.Add1("tokens", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{3, 4}}, tiles)
	film := b.Add1("film", graph.Gemm{}, b.Add1("tokens.rows", graph.Reshape{Shape: []int{2, 4}}, tokens), weight("film.weight", 4, 4))
	scaled := b.Add1("scaled", graph.Binary{Fn: graph.Mul}, tiles, b.Add1("film.tiles", graph.Reshape{Shape: []int{1, 2, 4, 1, 1}}, film))
	merged := b.Add1("merged", graph.TileUnpackFusion{}, x, scaled, ids, b.Add1("alpha", graph.Unary{Fn: graph.Sigmoid}, proxy))
	pooled := b.Add1("pooled", graph.RoiMeanPool{ImageHeight: 8, ImageWidth: 8}, merged, weight("boxes", 1, 2, 4))
	b.Output("masks", b.Add1("combine", graph.MatMul{}, pooled, b.Add1("prototypes", graph.Reshape{Shape: []int{1, 4, 64}}, merged)))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func lower(t *testing.T, g *graph.Graph, f graph.Format) *graph.Graph {
	t.Helper()
	low, err := graph.Lower(g, f)
	if err != nil {
		t.Fatal(err)
	}
	return low
}

func TestLower(t *testing.T) {
	g := network(t)
	var text strings.Builder
	for _, f := range graph.Formats {
		low := lower(t, g, f)
		fmt.Fprintf(&text, "%s\n%s", f, low.Dump())
		for _, p := range low.Taps {
			fmt.Fprintf(&text, "tap    %s = %s\n", p.Name, p.Value.Name)
		}
		if again := lower(t, low, f); again.Dump() != low.Dump() {
			t.Errorf("lowered to %s twice:\n%s\nonce:\n%s", f, again.Dump(), low.Dump())
		}
	}
	goldenfile.Check(t, "lowered.txt", text.String())
	if low := lower(t, g, ""); low != g {
		t.Error("lowering to no format gave another graph")
	}
}

func TestLowerRefuses(t *testing.T) {
	g := network(t)
	taken := graph.NewBuilder("taken")
	x := taken.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 2, 2}})
	taken.Output("y", taken.Add1("product", graph.MatMul{}, x, taken.Add1("x.fp16", graph.Unary{Fn: graph.Tanh}, x)))
	clash, err := taken.Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		g    *graph.Graph
		to   graph.Format
		want string
	}{
		{g, "fp12", `lower graph network: unknown format "fp12" (want one of tf32, fp16, bf16, int8, fp8)`},
		{lower(t, g, graph.FP16), graph.BF16, "lower graph network to bf16: node image.fp16 rounds to fp16: the graph has been lowered"},
		{clash, graph.FP16, `lower graph taken to fp16: the graph has the name "x.fp16" already`},
	} {
		if _, err := graph.Lower(c.g, c.to); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestEveryOperatorHasARule: a new operator is either in Points or in Keeps, and for a reason.
func TestEveryOperatorHasARule(t *testing.T) {
	for _, op := range graph.Operators() {
		name := op.OpType()
		point := slices.ContainsFunc(graph.Points, func(p graph.Point) bool { return p.Operator == name && p.Reason != "" })
		kept := slices.ContainsFunc(graph.Keeps, func(k graph.Kept) bool { return slices.Contains(k.Operators, name) && k.Reason != "" })
		if point == kept {
			t.Errorf("%s has a point: %v, is kept in float32: %v", name, point, kept)
		}
	}
}

// TestDocumentedPoints holds the tables of ROUNDING.md against Points and Keeps; -update rewrites them.
func TestDocumentedPoints(t *testing.T) {
	const path = "ROUNDING.md"
	tables := regexp.MustCompile(`(?s)(<!-- points -->\n).*(<!-- end -->\n)`)
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := tables.ReplaceAllString(string(doc), "${1}"+pointTables()+"${2}")
	if *goldenfile.Update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(doc) != want || !tables.Match(doc) {
		t.Errorf("the tables of %s are not those of the code (go test -update rewrites them):\n%s", path, pointTables())
	}
}

func pointTables() string {
	var s strings.Builder
	s.WriteString("\n| operator | operands | formats | reason |\n|---|---|---|---|\n")
	for _, p := range graph.Points {
		operator := p.Operator
		if p.Where != "" {
			operator += ", " + p.Where
		}
		fmt.Fprintf(&s, "| %s | %s | %s | %s |\n", operator, list(p.Operands), list(p.Formats), p.Reason)
	}
	fmt.Fprintf(&s, "\nOne exception: %s. Operands of these operators have no point:\n\n", graph.RouterReason)
	s.WriteString("| operators | reason |\n|---|---|\n")
	for _, k := range graph.Keeps {
		fmt.Fprintf(&s, "| %s | %s |\n", list(k.Operators), k.Reason)
	}
	return s.String() + "\n"
}

func list[T any](values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ", ")
}
