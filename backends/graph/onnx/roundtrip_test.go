package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// describeGraph extends Dump by what it leaves out: parameters, constants, taps and metadata.
func describeGraph(g *graph.Graph) string {
	var s strings.Builder
	fmt.Fprintf(&s, "graph %s %v\n%s", g.Name, g.Metadata, g.Dump())
	for _, n := range g.Nodes {
		fmt.Fprintf(&s, "op %s %T %+v\n", n.Name, n.Op, n.Op)
	}
	for _, v := range g.Constants() {
		fmt.Fprintf(&s, "const %s %v %v\n", v.Name, v.Type, v.Const.Float64s())
	}
	for _, p := range g.Taps {
		fmt.Fprintf(&s, "tap %s %s\n", p.Name, p.Value.Name)
	}
	for _, d := range g.Decisions {
		fmt.Fprintf(&s, "decision %s below %d", d.Name(), d.Limit)
		if d.Count != nil {
			fmt.Fprintf(&s, " counted by %s", d.Count.Name)
		}
		for _, v := range d.Scores {
			fmt.Fprintf(&s, " ranked by %s", v.Name)
		}
		s.WriteByte('\n')
	}
	if c := g.Calibration; c != nil {
		fmt.Fprintf(&s, "calibration %v %q\n", c.Ranges, c.Wide)
	}
	for _, p := range g.Parts {
		fmt.Fprintf(&s, "part %q\n", p)
	}
	return s.String()
}

func TestRoundTrip(t *testing.T) {
	for _, g := range []*graph.Graph{standardOps(t), ownOps(t)} {
		for _, opts := range []WriteOptions{{Form: Plain}, {}} {
			data, err := Marshal(g, opts)
			if err != nil {
				t.Fatalf("%s: %v", g.Name, err)
			}
			got, err := Read(data)
			if err != nil {
				t.Fatalf("%s: %v", g.Name, err)
			}
			if want, have := describeGraph(g), describeGraph(got); want != have {
				t.Errorf("%s in form %d: got\n%s\nwant\n%s", g.Name, opts.Form, have, want)
			}
			again, err := Marshal(got, opts)
			if err != nil || !bytes.Equal(data, again) {
				t.Errorf("%s: the graph that was read gives other bytes (%d, %d), %v", g.Name, len(data), len(again), err)
			}
		}
	}
}

func TestTableCoversEveryOperator(t *testing.T) {
	for _, op := range graph.Operators() {
		if _, ok := entries[op.OpType()]; !ok {
			t.Errorf("the table lacks %s", op.OpType())
		}
	}
}

func TestSamplesCoverEveryOperator(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range []*graph.Graph{standardOps(t), ownOps(t)} {
		for _, n := range g.Nodes {
			seen[n.Op.OpType()] = true
		}
	}
	for op := range entries {
		if !seen[op] {
			t.Errorf("no sample uses %s", op)
		}
	}
}

func TestTapsBecomeOutputs(t *testing.T) {
	g, err := standardOps(t).WithTaps([]string{"clipped", "conv"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := Marshal(g, WriteOptions{Form: Plain})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tap.clipped", "tap.conv"} {
		v, ok := got.Output(name)
		if want, _ := g.Output(name); !ok || v.Name != want.Name {
			t.Errorf("output %s is the value %v, want %s", name, v, want.Name)
		}
	}
	if again, err := Marshal(got, WriteOptions{Form: Plain}); err != nil || !bytes.Equal(again, data) {
		t.Errorf("the file is written as another one (%v)", err)
	}
	if _, ok := got.Tap("clipped"); !ok || len(got.Taps) != 1 {
		t.Errorf("taps are %v", got.Taps)
	}
}

func TestFloatParametersSurvive(t *testing.T) {
	for _, v := range []float64{1e-5, 0.3, 1.0 / 3, 1e4, -20, 5e-324, 1e-310, -0.1} {
		b := graph.NewBuilder("g")
		x := b.Input("x", f32(1, 2, 3))
		s := b.Const("s", ramp(3))
		b.Output("y", b.Add1("clip", graph.Clip{Low: v, High: v + 1}, b.Add1("norm", graph.LayerNormalization{Epsilon: v}, x, s, s)))
		g := build(t, b)
		data, err := Marshal(g, WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(data)
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range got.Nodes {
			if !reflect.DeepEqual(n.Op, g.Nodes[i].Op) {
				t.Errorf("%v: got %+v, want %+v", v, n.Op, g.Nodes[i].Op)
			}
		}
	}
}

func TestEveryElementType(t *testing.T) {
	for _, c := range []*tensor.Tensor{
		ramp(2, 3), tensor.Must(tensor.Of([]float64{1.0 / 3, -0.25}, 2)), tensor.Must(tensor.Of([]int32{-7, 1 << 30}, 2)),
		ints(-1<<62, 7), tensor.Must(tensor.Of([]bool{true, false, true}, 3)), tensor.Scalar(float32(2)),
	} {
		b := graph.NewBuilder("g")
		b.Output("y", b.Add1("id", graph.Unary{Fn: graph.Identity}, b.Const("c", c)))
		data, err := Marshal(build(t, b), WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		g, err := Read(data)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Nodes[0].Inputs[0].Const; got.String() != c.String() || !slices.Equal(got.Float64s(), c.Float64s()) {
			t.Errorf("got %v %v, want %v %v", got, got.Float64s(), c, c.Float64s())
		}
	}
}

func TestWriteErrors(t *testing.T) {
	one := func(name string) *graph.Graph {
		b := graph.NewBuilder(name)
		b.Output("y", b.Add1("relu", graph.Unary{Fn: graph.Relu}, b.Input("x", f32(2))))
		return build(t, b)
	}
	clash := one("g")
	clash.Outputs = append(clash.Outputs, graph.Port{Name: "x", Value: clash.Outputs[0].Value})
	reserved := one("g")
	reserved.Metadata[tapsKey] = "[]"
	marked := one("g")
	marked.Metadata[decisionsKey] = "[]"
	for _, c := range []struct {
		g    *graph.Graph
		want string
	}{
		{one(""), "no name"},
		{clash, `"x" is empty or used twice`},
		{reserved, `"apexx.taps" is reserved`},
		{marked, `"apexx.decisions" is reserved`},
	} {
		if data, err := Marshal(c.g, WriteOptions{}); err == nil || !strings.Contains(err.Error(), c.want) || len(data) > 0 {
			t.Errorf("%d bytes, %v; want %q", len(data), err, c.want)
		}
	}
	full := errors.New("disk full")
	for limit := range 3 {
		if err := Write(&limited{limit, full}, standardOps(t), WriteOptions{Form: Plain}); !errors.Is(err, full) {
			t.Errorf("after %d writes: %v", limit, err)
		}
	}
}

// limited fails after a number of writes.
type limited struct {
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left--; l.left < 0 {
		return 0, l.err
	}
	return len(p), nil
}
