package reference

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// The graph of the tests below stands for all operators only if it has them all.
func TestEveryOperatorIsInTheGraph(t *testing.T) {
	g, _ := everyOperator(t, 1)
	seen := map[string]bool{}
	for _, n := range g.Nodes {
		seen[n.Op.OpType()] = true
	}
	for _, op := range graph.Operators() {
		if !seen[op.OpType()] {
			t.Errorf("no %s in the graph", op.OpType())
		}
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	g, inputs := everyOperator(t, 2)
	apart := fp32()
	apart.unfused.all = true
	for _, set := range []settings{fp32(), fp64(), apart} {
		s := open(t, g, set)
		ctx := context.Background()
		run := func() {
			if _, err := backends.Run(ctx, s, inputs); err != nil {
				t.Fatal(err)
			}
		}
		run()
		if n := testing.AllocsPerRun(20, run); n != 0 {
			t.Errorf("%+v: %v allocations per run", set, n)
		}
	}
}

func TestThreadsAndRepetitionDoNotChangeAnything(t *testing.T) {
	g, inputs := everyOperator(t, 2)
	for _, float := range []tensor.DType{tensor.Float32, tensor.Float64} {
		set := settings{float: float, threads: 1, isa: chosen()}
		want := outputs(t, g, inputs, set).Clone()
		for _, threads := range []int{2, 3, 7} {
			set.threads = threads
			s := open(t, g, set)
			for range 2 {
				got, err := backends.Run(context.Background(), s, inputs)
				if err != nil {
					t.Fatal(err)
				}
				requireSame(t, float.String(), got, want)
			}
		}
	}
}

func TestFusionKeepsResults(t *testing.T) {
	g, inputs := everyOperator(t, 2)
	tapped, err := g.WithTaps([]string{"block", "tower.norm", "refine.norm"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set settings
		tol float64
	}{{fp32(), 2e-5}, {fp64(), 1e-12}} {
		for _, g := range []*graph.Graph{g, tapped} {
			plain := c.set
			plain.unfused = unfused{all: true}
			fused, want := outputs(t, g, inputs, c.set), outputs(t, g, inputs, plain)
			for i, w := range want {
				tol := c.tol
				if !w.DType().IsFloat() {
					tol = 0
				}
				requireNear(t, w.Name, fused[i].Tensor, w.Float64s(), tol)
			}
		}
	}
}

// The portable loops agree with the vector ones within rounding, and float32 with float64.
func TestPrecisionsAndInstructionSetsAgree(t *testing.T) {
	g, inputs := everyOperator(t, 1)
	want := outputs(t, g, inputs, fp64())
	for _, isa := range []kernel.ISA{kernel.Portable, chosen()} {
		got := outputs(t, g, inputs, settings{float: tensor.Float32, isa: isa})
		for i, w := range want {
			requireNear(t, isa.String()+" "+w.Name, got[i].Tensor, w.Float64s(), 1e-4)
		}
	}
}

func TestRunRefusesWrongInputs(t *testing.T) {
	g, _ := single(t, graph.Unary{Fn: graph.Relu}, in(f32s([]int{2}, 1, 2)))
	s := open(t, g, fp32())
	for _, c := range []struct {
		name   string
		inputs tensor.List
		want   string
	}{
		{"none", nil, "got 0 inputs"},
		{"name", tensor.List{{Name: "y", Tensor: f32s([]int{2}, 1, 2)}}, `"x0" is missing`},
		{"shape", tensor.List{{Name: "x0", Tensor: f32s([]int{1}, 1)}}, "compiled for float32[2]"},
		{"type", tensor.List{{Name: "x0", Tensor: i64s([]int{2}, 1, 2)}}, "compiled for float32[2]"},
		{"NaN", tensor.List{{Name: "x0", Tensor: f32s([]int{2}, 1, nan)}}, "element 1"},
	} {
		if _, err := backends.Run(context.Background(), s, c.inputs); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestRunEndsWithItsContextAndItsSession(t *testing.T) {
	g, inputs := single(t, graph.Unary{Fn: graph.Relu}, in(f32s([]int{2}, 1, 2)))
	s := open(t, g, fp32())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := backends.Run(ctx, s, inputs); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := backends.Run(context.Background(), s, inputs); err != nil || s.LastTiming().Execute <= 0 {
		t.Errorf("after a cancelled run: %v, %v", err, s.LastTiming())
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := backends.Run(context.Background(), s, inputs); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestIndicesOutOfRangeAreErrors(t *testing.T) {
	for _, c := range []struct {
		op   graph.Op
		args []arg
	}{
		{graph.Gather{Axis: 0}, []arg{in(f32s([]int{2}, 1, 2)), in(i64s([]int{1}, 2))}},
		{graph.Gather{Axis: 0}, []arg{in(f32s([]int{2}, 1, 2)), in(i64s([]int{1}, -1))}},
		{graph.TilePack{Tile: 1}, []arg{in(f32s([]int{1, 1, 1, 2}, 1, 2)), in(i64s([]int{1, 1}, 2))}},
		{graph.TileUnpackFusion{}, []arg{in(f32s([]int{1, 1, 1, 1}, 1)), in(f32s([]int{1, 1, 1, 1, 1}, 2)), in(i64s([]int{1, 1}, -1))}},
		{graph.TileOrder{GridHeight: 1, GridWidth: 2, Mode: "l2r"}, []arg{in(i64s([]int{1, 1}, 2))}},
		{graph.SplitSelect{Count: 1, GridHeight: 1, GridWidth: 2}, []arg{in(f32s([]int{1, 2}, 1, 2)), in(i64s([]int{1, 1}, 5))}},
	} {
		g, inputs := single(t, c.op, c.args...)
		s := open(t, g, fp32())
		if _, err := backends.Run(context.Background(), s, inputs); err == nil || !strings.Contains(err.Error(), "outside [0, ") {
			t.Errorf("%s: %v", c.op.OpType(), err)
		}
	}
}

func TestBackend(t *testing.T) {
	b := New()
	if a := b.Probe(context.Background()); !a.Available || b.Name() != "reference" {
		t.Errorf("%s: %+v", b.Name(), a)
	}
	for _, p := range b.Probe(context.Background()).Precisions {
		if _, err := floatOf(p); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	g, inputs := single(t, graph.Unary{Fn: graph.Relu}, in(f32s([]int{2}, 1, -2)))
	var missing *backends.Unavailable
	if _, err := b.Compile(context.Background(), g, backends.Options{Precision: "int4"}); !errors.As(err, &missing) || missing.Reason != backends.PrecisionUnsupported {
		t.Errorf("int4: %v", err)
	}
	for _, opts := range []backends.Options{{Threads: -1}, {Taps: []string{"nothing"}}, {Extra: map[string]string{"provider": "cpu"}}} {
		if _, err := b.Compile(context.Background(), g, opts); err == nil {
			t.Errorf("%+v was accepted", opts)
		}
	}
	s, err := b.Compile(context.Background(), g, backends.Options{Precision: backends.FP64, Taps: []string{"node"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := backends.Run(context.Background(), s, inputs)
	if err != nil || len(got) != 2 || got[1].Name != "tap.node" || got[0].DType() != tensor.Float64 {
		t.Fatalf("%v, %v", got, err)
	}
	if m := s.Memory(); m.Host <= 0 {
		t.Errorf("memory %+v", m)
	}
}
