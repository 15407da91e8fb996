//go:build cgo && linux

package cuda_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/cuda/emulation"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
	"github.com/apex-x/apexx/backends/tensor"
)

// small builds a complete model for two small images.
func small(t *testing.T) (*graph.Graph, tensor.List) {
	t.Helper()
	return smallBatch(t, 2)
}

func smallBatch(t *testing.T, batch int) (*graph.Graph, tensor.List) {
	t.Helper()
	d := model.DefaultDecode()
	d.MaxDetections = 8
	g := modeltest.Hashed(t, 11, model.Options{Batch: batch, Height: 64, Width: 96, Decode: d}, "model.num_classes=3", "model.tile_size_l0=4", "model.tile_size_l1=2",
		"model.input_height=32", "model.input_width=32", "model.pv_channels=[16, 24, 32]", "model.ff_channels=[24, 32]", "routing.budget_b1=2.4", "routing.budget_b2=2")
	image := tensor.New(tensor.Float32, batch, 3, 64, 96)
	for i, v := 0, tensor.Data[float32](image); i < len(v); i++ {
		v[i] = float32(0.5 + 0.5*math.Sin(0.37*float64(i)))
	}
	return g, tensor.List{{Name: "image", Tensor: image}}
}

func requireSame(t *testing.T, what string, got, want tensor.List) {
	t.Helper()
	for _, w := range want {
		if !tensor.Identical(got.Get(w.Name), w.Tensor) {
			t.Errorf("%s: %s has other bits", what, w.Name)
		}
	}
}

// Any order that the schedule allows gives the same bits: the dependencies between steps are all there, also those through memory that
// several values use one after the other.
func TestStepsInAnyOrder(t *testing.T) {
	g, inputs := small(t)
	for _, d := range []emulation.Driver{driver(t), driver(t).As(hopper)} {
		want := backendtest.Outputs(t, backendtest.Open(t, cuda.New(d), g, backends.Options{}), inputs)
		for seed := range uint64(10) {
			shuffled := d.Shuffled(rand.New(rand.NewPCG(seed, 1)))
			requireSame(t, "shuffled", backendtest.Outputs(t, backendtest.Open(t, cuda.New(shuffled), g, backends.Options{}), inputs), want)
		}
	}
}

// Taps, and the time of every step, change no output; and a tap inside of a fused step is what the nodes give one by one.
func TestTapsChangeNothing(t *testing.T) {
	for _, d := range []emulation.Driver{driver(t), driver(t).As(hopper)} {
		tapsChangeNothing(t, cuda.New(d))
	}
}

func tapsChangeNothing(t *testing.T, b backends.Backend) {
	t.Helper()
	g, inputs := small(t)
	plain := backendtest.Outputs(t, backendtest.Open(t, b, g, backends.Options{}), inputs)
	timed := backendtest.Open(t, b, g, backends.Options{StepTimes: true})
	requireSame(t, "with step times", backendtest.Outputs(t, timed, inputs), plain)
	if got, want := len(timed.LastTiming().Steps), len(timed.Plan().Steps); got != want || timed.LastTiming().Device <= 0 {
		t.Errorf("%d times for %d steps, device %v", got, want, timed.LastTiming().Device)
	}
	var all []string
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			all = append(all, v.Name)
		}
	}
	tapped := backendtest.Open(t, b, g, backends.Options{Taps: all})
	if len(tapped.Plan().Split) == 0 {
		requireSame(t, "with all taps", backendtest.Outputs(t, tapped, inputs), plain)
	}
	if got, want := len(tapped.Plan().Steps), len(timed.Plan().Steps); got < want {
		t.Errorf("%d steps with taps, %d without", got, want)
	}
	for i, name := range all {
		if i%17 != 0 {
			continue
		}
		one := backendtest.Open(t, b, g, backends.Options{Taps: []string{name}})
		if len(one.Plan().Split) == 0 {
			requireSame(t, "with the tap "+name, backendtest.Outputs(t, one, inputs), plain)
		}
	}
}

// An index that is out of range ends the execution with an error that names the node, and the next execution is as if nothing had been.
func TestIndexOutOfRange(t *testing.T) {
	b := graph.NewBuilder("gather")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{3}})
	ids := b.Input("ids", graph.Type{DType: tensor.Int64, Shape: []int{2}})
	b.Output("y", b.Add1("pick", graph.Gather{}, x, ids))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	inputs := func(id int64) tensor.List {
		return tensor.List{{Name: "x", Tensor: tensor.Must(tensor.Of([]float32{1, 2, 3}, 3))}, {Name: "ids", Tensor: tensor.Must(tensor.Of([]int64{0, id}, 2))}}
	}
	s := backendtest.Open(t, cuda.New(driver(t)), g, backends.Options{})
	for _, id := range []int64{-1, 3} {
		if _, err := backends.Run(t.Context(), s, inputs(id)); err == nil || err.Error() != "node pick (Gather): an index is out of range" {
			t.Errorf("index %d: %v", id, err)
		}
		if _, err := s.Download(t.Context()); !errors.Is(err, backends.ErrNotExecuted) {
			t.Errorf("outputs of an execution that failed: %v", err)
		}
	}
	if got := backendtest.Outputs(t, s, inputs(2)).Get("y").Float64s(); got[1] != 3 {
		t.Errorf("after faults: %v", got)
	}
}

// In fp32 a convolution of tensor cores cannot have an operand beyond the range of fp16, and says so; what is not a number stays so, silently.
func TestOperandBeyondRange(t *testing.T) {
	b := graph.NewBuilder("range")
	x, y := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 8, 4, 4}}), b.Input("y", graph.Type{DType: tensor.Float32, Shape: []int{1, 8, 4, 4}})
	weights := tensor.New(tensor.Float32, 8, 8, 3, 3)
	for i := range tensor.Data[float32](weights) {
		tensor.Data[float32](weights)[i] = float32(i%7) - 3
	}
	quotient := b.Add1("quotient", graph.Binary{Fn: graph.Div}, x, y)
	b.Output("out", b.Add1("conv", graph.Conv{Strides: [2]int{1, 1}, Pads: [4]int{1, 1, 1, 1}, Group: 1}, quotient, b.Const("w", weights)))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	inputs := func(dividend, divisor float32) tensor.List {
		a, b := tensor.New(tensor.Float32, 1, 8, 4, 4), tensor.New(tensor.Float32, 1, 8, 4, 4)
		for i := range tensor.Data[float32](a) {
			tensor.Data[float32](a)[i], tensor.Data[float32](b)[i] = 1, 1
		}
		tensor.Data[float32](a)[5], tensor.Data[float32](b)[5] = dividend, divisor
		return tensor.List{{Name: "x", Tensor: a}, {Name: "y", Tensor: b}}
	}
	for _, d := range []emulation.Driver{driver(t).As(ampere), driver(t).As(hopper)} {
		s := backendtest.Open(t, cuda.New(d), g, backends.Options{})
		const want = "node conv (ConvSplit): a value of magnitude 65520 or more, of which products of fp16 halves cannot be made: compute in tf32 or bf16, or on another backend"
		for _, dividend := range []float32{65520, -70000} {
			if _, err := backends.Run(t.Context(), s, inputs(dividend, 1)); err == nil || err.Error() != want {
				t.Errorf("operand %v: %v", dividend, err)
			}
		}
		if _, err := backends.Run(t.Context(), s, inputs(1, 0)); err == nil || err.Error() != want {
			t.Errorf("an infinite operand: %v", err)
		}
		if got := backendtest.Outputs(t, s, inputs(65519, 1)).Get("out").NonFinite(); got >= 0 {
			t.Errorf("the largest operand: element %d is not finite", got)
		}
		if got := backendtest.Outputs(t, s, inputs(0, 0)).Get("out").Float64s(); !math.IsNaN(got[0]) || math.IsNaN(got[3]) {
			t.Errorf("an operand that is not a number: outputs %v and, far from it, %v", got[0], got[3])
		}
	}
	for _, p := range []backends.Precision{backends.TF32, backends.BF16} {
		s := backendtest.Open(t, cuda.New(driver(t).As(hopper)), g, backends.Options{Precision: p})
		backendtest.Outputs(t, s, inputs(70000, 1))
	}
}

// An image gives the same bits at any place of a batch.
func TestPlaceInBatch(t *testing.T) {
	b := cuda.New(driver(t).As(hopper))
	for _, p := range []backends.Precision{backends.FP32, backends.FP16} {
		opts := backends.Options{Precision: p}
		g, two := smallBatch(t, 2)
		one, single := smallBatch(t, 1)
		both := backendtest.Outputs(t, backendtest.Open(t, b, g, opts), two)
		s := backendtest.Open(t, b, one, opts)
		for at := range 2 {
			copy(tensor.Data[float32](single[0].Tensor), tensor.Data[float32](two[0].Tensor)[at*single[0].Tensor.Len():])
			for _, want := range backendtest.Outputs(t, s, single) {
				own, all := want.Tensor.Float64s(), both.Get(want.Name).Float64s()
				if !slices.Equal(own, all[at*len(own):(at+1)*len(own)]) {
					t.Errorf("%s: %s at place %d has other bits than alone", p, want.Name, at)
				}
			}
		}
	}
}

// One upload serves many executions, and a download may ask for some outputs.
func TestExecuteRepeats(t *testing.T) {
	g, inputs := small(t)
	s := backendtest.Open(t, cuda.New(driver(t)), g, backends.Options{})
	if err := s.Execute(t.Context()); !errors.Is(err, backends.ErrNotUploaded) {
		t.Errorf("before an upload: %v", err)
	}
	want := backendtest.Outputs(t, s, inputs)
	for range 2 {
		if err := s.Execute(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Download(t.Context(), "scores", "boxes")
	if err != nil || len(got) != 2 || got[0].Name != "scores" {
		t.Fatalf("%v, %v", got, err)
	}
	for _, o := range got {
		if !tensor.Identical(o.Tensor, want.Get(o.Name)) {
			t.Errorf("%s changed", o.Name)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Execute(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if err := s.Upload(t.Context(), inputs); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestCompileRefuses(t *testing.T) {
	b := cuda.New(driver(t))
	g, _ := small(t)
	for _, c := range []struct {
		opts   backends.Options
		reason backends.Reason
		want   string
	}{
		{backends.Options{Precision: backends.FP64}, backends.PrecisionUnsupported, `precision "fp64" (want one of [fp32 tf32 fp16 bf16])`},
		{backends.Options{Threads: -1}, "", "-1 threads"},
		{backends.Options{Extra: map[string]string{"provider": "cpu"}}, "", `no option "provider"`},
		{backends.Options{Taps: []string{"nothing"}}, "", "nothing"},
	} {
		_, err := b.Compile(t.Context(), g, c.opts)
		var missing *backends.Unavailable
		if errors.As(err, &missing) != (c.reason != "") || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.opts, err, c.want)
		} else if missing != nil && missing.Reason != c.reason {
			t.Errorf("%+v: reason %s, want %s", c.opts, missing.Reason, c.reason)
		}
	}
}
