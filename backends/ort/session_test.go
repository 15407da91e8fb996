//go:build cgo

package ort

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// TestBorders covers what the binding cannot hold: scalars, graphs without inputs, outputs without elements.
func TestBorders(t *testing.T) {
	b := graph.NewBuilder("g")
	x, scale := b.Input("x", f32(2, 3)), b.Input("scale", f32())
	nothing := b.Input("nothing", f32(2, 0))
	product := b.Add1("product", graph.Binary{Fn: graph.Mul}, x, scale)
	b.Tap("product", product)
	b.Output("scaled", product)
	b.Output("total", b.Add1("norm", graph.Reduce{Fn: graph.ReduceL2, Axes: []int{0, 1}}, product))
	b.Output("empty", b.Add1("join", graph.Concat{Axis: 1}, nothing, nothing))
	b.Output("nan", b.Add1("isnan", graph.Unary{Fn: graph.IsNaN}, product))
	b.Output("ids", b.Add1("cast", graph.Cast{To: tensor.Int64}, product))
	b.Output("wide", b.Add1("double", graph.Cast{To: tensor.Float64}, product))
	s := compile(t, build(t, b), backends.Options{Taps: []string{"product"}})
	out := run(t, s,
		tensor.Named{Name: "scale", Tensor: tensor.Scalar(float32(2))},
		tensor.Named{Name: "x", Tensor: tensor.Must(vector(1, 2, 3, 0, -1, 0.5).Reshaped(2, 3))},
		tensor.Named{Name: "nothing", Tensor: tensor.New(tensor.Float32, 2, 0)})
	for i, want := range []struct {
		name, typ string
		values    []float64
	}{
		{"scaled", "float32[2 3]", []float64{2, 4, 6, 0, -2, 1}},
		{"total", "float32[]", []float64{float64(float32(math.Sqrt(61)))}},
		{"empty", "float32[2 0]", nil},
		{"nan", "bool[2 3]", make([]float64, 6)},
		{"ids", "int64[2 3]", []float64{2, 4, 6, 0, -2, 1}},
		{"wide", "float64[2 3]", []float64{2, 4, 6, 0, -2, 1}},
		{"tap.product", "float32[2 3]", []float64{2, 4, 6, 0, -2, 1}},
	} {
		if got := out[i]; got.Name != want.name || got.String() != want.typ || !slices.Equal(got.Float64s(), want.values) {
			t.Errorf("output %d: %s %v %v, want %+v", i, got.Name, got, got.Float64s(), want)
		}
	}

	b = graph.NewBuilder("constant")
	b.Output("y", b.Add1("sum", graph.Binary{Fn: graph.Add}, b.Scalar(1), b.Scalar(2)))
	if out := run(t, compile(t, build(t, b), backends.Options{})); out[0].Float64s()[0] != 3 || out[0].Rank() != 0 {
		t.Errorf("a graph without inputs gives %v %v", out[0], out[0].Float64s())
	}
}

func TestSessionRepeatsAndRefuses(t *testing.T) {
	b := graph.NewBuilder("g")
	b.Output("y", b.Add1("relu", graph.Unary{Fn: graph.Relu}, b.Input("x", f32(3))))
	g := build(t, b)
	s := compile(t, g, backends.Options{Threads: 1})
	first := run(t, s, tensor.Named{Name: "x", Tensor: vector(-1, 0, 2)})
	kept := first.Clone()
	second := run(t, s, tensor.Named{Name: "x", Tensor: vector(5, -5, 1)})
	if got := second[0].Float64s(); !slices.Equal(got, []float64{5, 0, 1}) || !slices.Equal(kept[0].Float64s(), []float64{0, 0, 2}) {
		t.Errorf("got %v, kept %v", got, kept[0].Float64s())
	}
	if &tensor.Data[float32](first[0].Tensor)[0] != &tensor.Data[float32](second[0].Tensor)[0] {
		t.Error("the outputs are not the session's own memory")
	}
	if s.LastTiming().Execute <= 0 {
		t.Errorf("timing %+v", s.LastTiming())
	}
	input := tensor.List{{Name: "x", Tensor: vector(1, 2, 3)}}
	check := testing.AllocsPerRun(20, func() { _ = backends.CheckInputs(g, input) })
	if n := testing.AllocsPerRun(20, func() { run(t, s, input...) }); n > check {
		t.Errorf("%v allocations a run, %v of them for the check of inputs", n, check)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		ctx    context.Context
		inputs tensor.List
		want   string
	}{
		{ended, input, "context canceled"},
		{context.Background(), tensor.List{{Name: "x", Tensor: vector(1, float32(math.NaN()), 3)}}, "NaN"},
		{context.Background(), tensor.List{{Name: "x", Tensor: vector(1, 2)}}, "float32[2]"},
		{context.Background(), nil, "got 0 inputs"},
	} {
		if _, err := backends.Run(c.ctx, s, c.inputs); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := backends.Run(context.Background(), s, input); err == nil {
		t.Error("a closed session ran")
	}
}

// TestFunctionBodies runs operators that the library does not know, against a calculation in float64: a 1×1 convolution,
// GroupNormalization over both channels, and the two best of four tiles doubled in place.
func TestFunctionBodies(t *testing.T) {
	const side, tile = 8, 4
	b := graph.NewBuilder("bodies")
	x, utilities := b.Input("x", f32(1, 2, side, side)), b.Input("utilities", f32(1, 4))
	weight := tensor.Must(tensor.Of([]float32{0, 2, 1, 0}, 2, 2, 1, 1)) // channel 0 is twice channel 1 and the other way round once
	conv := b.Add1("conv", graph.Conv{Strides: [2]int{1, 1}, Group: 1}, x, b.Const("w", weight))
	norm := b.Add1("norm", graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}, conv, b.Const("scale", vector(1, 3)), b.Const("shift", vector(0.5, 0)))
	ids := b.Add1("select", graph.GreedySelect{Count: 2}, utilities)
	packed := b.Add1("pack", graph.TilePack{Tile: tile}, norm, ids)
	doubled := b.Add1("double", graph.Binary{Fn: graph.Add}, packed, packed)
	b.Output("merged", b.Add1("unpack", graph.TileUnpackFusion{}, norm, doubled, ids, nil))
	b.Output("ids", b.Add1("same", graph.Unary{Fn: graph.Identity}, ids))
	s := compile(t, build(t, b), backends.Options{})

	in := tensor.New(tensor.Float32, 1, 2, side, side)
	d := tensor.Data[float32](in)
	for i := range d {
		d[i] = float32(math.Sin(float64(i)))
	}
	out := run(t, s, tensor.Named{Name: "x", Tensor: in}, tensor.Named{Name: "utilities", Tensor: tensor.Must(vector(0.1, 0.9, 0.9, -1).Reshaped(1, 4))})
	if got := out.Get("ids").Float64s(); !slices.Equal(got, []float64{1, 2}) {
		t.Fatalf("chosen tiles %v, want [1 2]", got)
	}

	const plane = side * side
	want := make([]float64, 2*plane)
	var sum, squares float64
	for i := range plane {
		want[i], want[plane+i] = 2*float64(d[plane+i]), float64(d[i])
		sum += want[i] + want[plane+i]
	}
	mean := sum / (2 * plane)
	for _, v := range want {
		squares += (v - mean) * (v - mean)
	}
	for i, v := range want {
		scale, shift := 1.0, 0.5
		if i >= plane {
			scale, shift = 3, 0
		}
		v = (v-mean)/math.Sqrt(squares/(2*plane)+1e-5)*scale + shift
		if right, below := i%side >= tile, i%plane/side >= tile; right != below { // tiles 1 and 2
			v *= 2
		}
		if got := float64(tensor.Data[float32](out.Get("merged"))[i]); !(math.Abs(got-v) <= 1e-5) {
			t.Fatalf("element %d is %v, want %v", i, got, v)
		}
	}
}

func TestCancelStopsARunAndTheSessionGoesOn(t *testing.T) {
	const side, steps = 128, 2000
	b := graph.NewBuilder("long")
	x := b.Input("x", f32(1, side, side))
	v := x
	for i := range steps {
		v = b.Add1(fmt.Sprintf("step%d", i), graph.MatMul{}, v, x)
	}
	b.Output("y", v)
	s := compile(t, build(t, b), backends.Options{})
	input := tensor.Named{Name: "x", Tensor: tensor.New(tensor.Float32, 1, side, side)}
	if err := s.Upload(context.Background(), tensor.List{input}); err != nil {
		t.Fatal(err)
	}
	stopped, whole := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for try := 0; try < 10 && stopped > whole/2; try++ { // a busy machine holds up the one or the other
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		if err := s.Execute(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a run beyond its deadline: %v", err)
		}
		cancel()
		stopped = min(stopped, s.LastTiming().Execute)
		run(t, s, input)
		whole = min(whole, s.LastTiming().Execute)
	}
	if stopped > whole/2 {
		t.Errorf("a stopped run took %v at the least, a whole one %v", stopped, whole)
	}
}

func TestSessionsRunConcurrently(t *testing.T) {
	b := graph.NewBuilder("g")
	b.Output("y", b.Add1("relu", graph.Unary{Fn: graph.Relu}, b.Input("x", f32(2))))
	g := build(t, b)
	backend := needsLibrary(t)
	errs := make(chan error)
	const sessions = 4
	for i := range sessions {
		work := func() error {
			s, err := backend.Compile(context.Background(), g, backends.Options{Threads: 1})
			if err != nil {
				return err
			}
			defer s.Close()
			for range 20 {
				out, err := backends.Run(context.Background(), s, tensor.List{{Name: "x", Tensor: vector(float32(i), -1)}})
				if err != nil {
					return err
				}
				if got := out[0].Float64s(); !slices.Equal(got, []float64{float64(i), 0}) {
					return fmt.Errorf("session %d gives %v", i, got)
				}
			}
			return s.Close()
		}
		go func() { errs <- work() }()
	}
	for range sessions {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
