package graph

import (
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/tensor"
)

// decided is a graph with a selection, an order that follows from it, and kept pairs with their count.
func decided(t *testing.T) *Graph {
	t.Helper()
	b := NewBuilder("decided")
	maps := b.Input("maps", f32(2, 1, 4, 4))
	scores := b.Add1("scores", Reshape{Shape: []int{2, 16}}, maps)
	chosen := b.Add1("chosen", GreedySelect{Count: 3}, scores)
	b.Decide(Decision{Value: chosen, Limit: 16, Scores: []*Value{scores}})
	order := b.Add1("order", TileOrder{GridHeight: 4, GridWidth: 4, Mode: "hilbert"}, chosen)
	b.Decide(Decision{Value: order, Limit: 16})
	b.Output("tiles", b.Add1("tiles", Unary{Fn: Identity}, order))
	boxes, quality := b.Const("boxes", tensor.New(tensor.Float32, 2, 4, 4, 4)), b.Const("quality", tensor.New(tensor.Float32, 2, 1, 4, 4))
	choose := SelectDetections{Strides: []int{8}, ImageHeight: 32, ImageWidth: 32, PreNMSTopK: 9, MaxDetections: 5}
	kept := b.AddNamed("select", choose, []string{"kept", "count"}, maps, boxes, quality)
	b.Decide(Decision{Value: kept[0], Count: kept[1], Limit: 16, Scores: []*Value{maps}})
	b.Output("count", kept[1])
	b.Output("decode.0", b.Add("decode", DecodeBoxes{Strides: []int{8}, ImageHeight: 32, ImageWidth: 32}, maps, boxes, quality, kept[0], kept[1])[0])
	b.Tap("chosen_tap", chosen)
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	g.Metadata["digest"] = "5a"
	return g
}

func TestWithReplay(t *testing.T) {
	for _, c := range []struct {
		name, replay string
		want         string
	}{
		{"a selection, whose order is computed still", "chosen", `input  maps float32[2 1 4 4]
input  replay.chosen int64[2 3]
node   chosen = Identity(replay.chosen) → chosen int64[2 3]
node   order = TileOrder(chosen) → order int64[2 3]
node   tiles = Identity(order) → tiles int64[2 3]
node   select = SelectDetections(maps, boxes, quality) → kept int64[2 5] count int64[2]
node   decode = DecodeBoxes(maps, boxes, quality, kept, count) → decode.0 float32[2 5 4] decode.1 float32[2 5] decode.2 int64[2 5]
output tiles int64[2 3]
output count int64[2]
output decode.0 float32[2 5 4]
`},
		{"kept pairs and their count, which is an output", "kept", `input  maps float32[2 1 4 4]
input  replay.kept int64[2 5]
input  replay.count int64[2]
node   kept = Identity(replay.kept) → kept int64[2 5]
node   count = Identity(replay.count) → count int64[2]
node   scores = Reshape(maps) → scores float32[2 16]
node   chosen = GreedySelect(scores) → chosen int64[2 3]
node   order = TileOrder(chosen) → order int64[2 3]
node   tiles = Identity(order) → tiles int64[2 3]
node   decode = DecodeBoxes(maps, boxes, quality, kept, count) → decode.0 float32[2 5 4] decode.1 float32[2 5] decode.2 int64[2 5]
output tiles int64[2 3]
output count int64[2]
output decode.0 float32[2 5 4]
`},
		{"all", "all", `input  maps float32[2 1 4 4]
input  replay.chosen int64[2 3]
input  replay.order int64[2 3]
input  replay.kept int64[2 5]
input  replay.count int64[2]
node   order = Identity(replay.order) → order int64[2 3]
node   kept = Identity(replay.kept) → kept int64[2 5]
node   count = Identity(replay.count) → count int64[2]
node   tiles = Identity(order) → tiles int64[2 3]
node   decode = DecodeBoxes(maps, boxes, quality, kept, count) → decode.0 float32[2 5 4] decode.1 float32[2 5] decode.2 int64[2 5]
output tiles int64[2 3]
output count int64[2]
output decode.0 float32[2 5 4]
`},
	} {
		g := decided(t)
		before := g.Dump()
		replayed, err := g.WithReplay(strings.Fields(c.replay))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if _, ok := replayed.Tap("chosen_tap"); !ok || len(replayed.Decisions) != 3 {
			t.Errorf("%s: taps %v, decisions %v", c.name, replayed.Taps, replayed.Decisions)
		}
		pruned, err := replayed.WithTaps(nil)
		if err != nil || pruned.Dump() != c.want {
			t.Errorf("%s: got\n%swant\n%s%v", c.name, pruned.Dump(), c.want, err)
		}
		checkCut(t, c.name, g, &Graph{Inputs: replayed.Inputs, Nodes: replayed.Nodes, Metadata: map[string]string{}})
		if g.Dump() != before || len(g.Replayed()) != 0 {
			t.Errorf("%s: the graph itself changed", c.name)
		}
	}
}

func TestReplayedNamesWhatIsGiven(t *testing.T) {
	replayed, err := decided(t).WithReplay([]string{"kept", "chosen"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range replayed.Replayed() {
		names = append(names, d.Name())
	}
	if !slices.Equal(names, []string{"chosen", "kept"}) {
		t.Errorf("replayed are %v", names)
	}
}

func TestWithReplayRefuses(t *testing.T) {
	once, err := decided(t).WithReplay([]string{"chosen"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		g     *Graph
		names []string
		want  string
	}{
		{decided(t), []string{"scores"}, `graph decided has no decision "scores" (it has: chosen, order, kept)`},
		{decided(t), []string{"kept", "kept"}, `the decision "kept" is named twice`},
		{once, []string{"all"}, `the decision "chosen" of graph decided is replayed already`},
	} {
		if _, err := c.g.WithReplay(c.names); err == nil || err.Error() != c.want {
			t.Errorf("%v: %v, want %s", c.names, err, c.want)
		}
	}
}

func TestDecideRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		mark func(b *Builder, ids *Value)
		want string
	}{
		{"an input", func(b *Builder, _ *Value) { b.Decide(Decision{Value: b.Input("i", i64(1, 2)), Limit: 4}) }, `decision "i" is not computed by a node`},
		{"fewer ids than are chosen", func(b *Builder, ids *Value) { b.Decide(Decision{Value: ids, Limit: 1}) }, `decision "ids" of int64[1 2] has ids below 1`},
		{"another type", func(b *Builder, _ *Value) {
			b.Decide(Decision{Value: b.Add1("f", Unary{Fn: Relu}, b.Input("x", f32(1, 2))), Limit: 4})
		}, `decision "f" is float32[1 2], want int64 of rank 2`},
	} {
		b := NewBuilder("g")
		c.mark(b, b.Add1("ids", GreedySelect{Count: 2}, b.Input("u", f32(1, 4))))
		if _, err := b.Build(); err == nil || err.Error() != "graph g: "+c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestDecisionCheck(t *testing.T) {
	all := Decision{Value: &Value{Name: "chosen", Type: i64(2, 3)}, Limit: 5}
	some := Decision{Value: &Value{Name: "kept", Type: i64(1, 3)}, Count: &Value{Name: "n", Type: i64(1)}, Limit: 5}
	for _, c := range []struct {
		name  string
		d     Decision
		ids   []int64
		count []int64
		want  string
	}{
		{"in range", all, []int64{4, 0, 2, 0, 1, 2}, nil, ""},
		{"too large", all, []int64{4, 0, 2, 0, 5, 2}, nil, `decision "chosen", sample 1: the id 5 at 1 is outside [0, 5)`},
		{"padding of outputs", all, []int64{4, 0, -1, 0, 1, 2}, nil, `decision "chosen", sample 0: the id -1 at 2 is outside [0, 5)`},
		{"twice", all, []int64{4, 0, 4, 0, 1, 2}, nil, `decision "chosen", sample 0: the id 4 is listed twice`},
		{"none", some, []int64{0, 0, 0}, []int64{0}, ""},
		{"two of three", some, []int64{0, 4, 0}, []int64{2}, ""},
		{"count too large", some, []int64{0, 4, 1}, []int64{4}, `decision "kept", sample 0: the count 4 is outside [0, 3]`},
		{"negative count", some, []int64{0, 4, 1}, []int64{-1}, `decision "kept", sample 0: the count -1 is outside [0, 3]`},
		{"id beyond the count", some, []int64{0, 4, 1}, []int64{2}, `decision "kept", sample 0: the id 1 at 2 is beyond the count 2, where ids are 0`},
		{"twice before the count", some, []int64{4, 4, 0}, []int64{2}, `decision "kept", sample 0: the id 4 is listed twice`},
	} {
		var count *tensor.Tensor
		if c.count != nil {
			count = tensor.Must(tensor.Of(c.count, len(c.count)))
		}
		got := ""
		if err := c.d.Check(tensor.Must(tensor.Of(c.ids, c.d.Value.Shape...)), count); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestLowerKeepsDecisions: the marks of a lowered graph are on its own values, under the same names, before replay and after.
func TestLowerKeepsDecisions(t *testing.T) {
	replayed, err := decided(t).WithReplay([]string{"kept"})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []*Graph{decided(t), replayed} {
		low, err := Lower(g, FP16)
		if err != nil {
			t.Fatal(err)
		}
		own := map[*Value]bool{}
		for _, n := range low.Nodes {
			for _, v := range n.Outputs {
				own[v] = true
			}
		}
		for i, d := range low.Decisions {
			if !own[d.Value] || d.Count != nil && !own[d.Count] || d.Name() != g.Decisions[i].Name() || len(d.Scores) != len(g.Decisions[i].Scores) {
				t.Errorf("decision %d of the lowered graph is %+v", i, d)
			}
		}
		if len(low.Decisions) != 3 || len(low.Replayed()) != len(g.Replayed()) {
			t.Errorf("%d decisions, %d replayed", len(low.Decisions), len(low.Replayed()))
		}
	}
}
