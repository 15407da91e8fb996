//go:build cgo && linux

package cuda_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	modelweights "github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/backends/tensor"
)

// small builds a complete model for two small images.
func small(t *testing.T) (*graph.Graph, tensor.List) {
	t.Helper()
	cfg, err := config.Parse(nil, []string{"model.profile=nano", "model.num_classes=3", "model.tile_size_l0=4", "model.tile_size_l1=2",
		"model.input_height=32", "model.input_width=32", "model.pv_channels=[16, 24, 32]", "model.ff_channels=[24, 32]", "routing.budget_b1=2.4", "routing.budget_b2=2"})
	if err != nil {
		t.Fatal(err)
	}
	d := model.DefaultDecode()
	d.MaxDetections = 8
	g, err := model.Build(cfg, model.FromSet(modelweights.Hashed(cfg, 11)), model.Options{Batch: 2, Height: 64, Width: 96, Decode: d})
	if err != nil {
		t.Fatal(err)
	}
	image := tensor.New(tensor.Float32, 2, 3, 64, 96)
	for i, v := 0, tensor.Data[float32](image); i < len(v); i++ {
		v[i] = float32(0.5 + 0.5*math.Sin(0.37*float64(i)))
	}
	return g, tensor.List{{Name: "image", Tensor: image}}
}

func open(t *testing.T, b backends.Backend, g *graph.Graph, opts backends.Options) backends.Session {
	t.Helper()
	s, err := b.Compile(t.Context(), g, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func run(t *testing.T, s backends.Session, inputs tensor.List) tensor.List {
	t.Helper()
	out, err := backends.Run(t.Context(), s, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return out.Clone()
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
	d := driver(t)
	g, inputs := small(t)
	want := run(t, open(t, cuda.New(d), g, backends.Options{}), inputs)
	for seed := range uint64(10) {
		shuffled := d.Shuffled(rand.New(rand.NewPCG(seed, 1)))
		requireSame(t, "shuffled", run(t, open(t, cuda.New(shuffled), g, backends.Options{}), inputs), want)
	}
}

// Taps, and the time of every step, change no output; and a tap inside of a fused step is what the nodes give one by one.
func TestTapsChangeNothing(t *testing.T) {
	b := cuda.New(driver(t))
	g, inputs := small(t)
	plain := run(t, open(t, b, g, backends.Options{}), inputs)
	timed := open(t, b, g, backends.Options{StepTimes: true})
	requireSame(t, "with step times", run(t, timed, inputs), plain)
	if got, want := len(timed.LastTiming().Steps), len(timed.Plan().Steps); got != want || timed.LastTiming().Device <= 0 {
		t.Errorf("%d times for %d steps, device %v", got, want, timed.LastTiming().Device)
	}
	var all []string
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			all = append(all, v.Name)
		}
	}
	tapped := open(t, b, g, backends.Options{Taps: all})
	requireSame(t, "with all taps", run(t, tapped, inputs), plain)
	if got, want := len(tapped.Plan().Steps), len(timed.Plan().Steps); got < want {
		t.Errorf("%d steps with taps, %d without", got, want)
	}
	for i, name := range all {
		if i%17 != 0 {
			continue
		}
		one := open(t, b, g, backends.Options{Taps: []string{name}})
		requireSame(t, "with the tap "+name, run(t, one, inputs), plain)
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
	s := open(t, cuda.New(driver(t)), g, backends.Options{})
	for _, id := range []int64{-1, 3} {
		if _, err := backends.Run(t.Context(), s, inputs(id)); err == nil || err.Error() != "node pick (Gather): an index is out of range" {
			t.Errorf("index %d: %v", id, err)
		}
		if _, err := s.Download(t.Context()); !errors.Is(err, backends.ErrNotExecuted) {
			t.Errorf("outputs of an execution that failed: %v", err)
		}
	}
	if got := run(t, s, inputs(2)).Get("y").Float64s(); got[1] != 3 {
		t.Errorf("after faults: %v", got)
	}
}

// One upload serves many executions, and a download may ask for some outputs.
func TestExecuteRepeats(t *testing.T) {
	g, inputs := small(t)
	s := open(t, cuda.New(driver(t)), g, backends.Options{})
	if err := s.Execute(t.Context()); !errors.Is(err, backends.ErrNotUploaded) {
		t.Errorf("before an upload: %v", err)
	}
	want := run(t, s, inputs)
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
