package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

var _ backends.Backend = (*Client)(nil)
var _ backends.Backend = (*Worker)(nil)

func TestClient(t *testing.T) {
	ctx := context.Background()
	c := New(spec(t, "ok"))
	defer nothingLeft(t)
	defer c.Close()

	a := c.Probe(ctx)
	if !a.Available || a.Detail != "here" || a.Facts[0].Key != "pid" || a.Facts[0].Value == fmt.Sprint(os.Getpid()) {
		t.Errorf("Probe = %+v", a)
	}
	if want := []backends.Precision{backends.FP64, backends.FP32}; !slices.Equal(a.Precisions, want) {
		t.Errorf("Probe found %v, want %v", a.Precisions, want)
	}

	s, err := c.Compile(ctx, addGraph(t, 5), backends.Options{Taps: []string{"before"}, StepTimes: true, Extra: map[string]string{"execute": "print", "device": "yes"}})
	if err != nil {
		t.Fatal(err)
	}
	if left := folders(t, os.Getpid()); removeEarly && len(left) > 0 {
		t.Errorf("folders left after Compile: %q", left)
	}
	for i := range 3 {
		out, err := backends.Run(ctx, s, floats(5, float32(i)))
		if err != nil {
			t.Fatal(err)
		}
		if out[0].Name != "y" || out[1].Name != "tap.before" || len(out) != 2 {
			t.Fatalf("outputs %v", out)
		}
		if y := tensor.Data[float32](out[0].Tensor); !slices.Equal(y, slices.Repeat([]float32{float32(i) + 1}, 5)) {
			t.Errorf("run %d: y = %v", i, y)
		}
		if got := s.Memory(); got.Host != int64(i)+1 || got.Device != 7 || got.Peak < 1<<20 {
			t.Errorf("Memory = %+v, want %d, 7 and the megabytes of a process", got, i+1)
		}
	}
	if got, want := fmt.Sprintf("%+v", s.LastTiming()), "{Upload:1ns Execute:2ns Download:3ns Device:700ns Steps:[300ns 400ns]}"; got != want {
		t.Errorf("LastTiming = %s, want %s", got, want)
	}
	inside, err := fake{}.Compile(ctx, addGraph(t, 5), backends.Options{Taps: []string{"before"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Plan(), inside.Plan(); !reflect.DeepEqual(got, want) {
		t.Errorf("Plan = %+v, want %+v", got, want)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := backends.Run(ctx, s, floats(5, 0)); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Run after Close: %v", err)
	}
}

// TestQuestionsOfSeveralContexts asks after the context of an earlier question has ended, and its process with it.
func TestQuestionsOfSeveralContexts(t *testing.T) {
	defer nothingLeft(t)
	c := New(spec(t, "ok"))
	defer c.Close()
	for range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		a := c.Probe(ctx)
		cancel()
		if again := c.Probe(context.Background()); !a.Available || !again.Available {
			t.Errorf("Probe = %+v, then %+v", a, again)
		}
	}
}

// TestOrderOfCalls uploads once and executes often, downloads by name, and makes calls too early.
func TestOrderOfCalls(t *testing.T) {
	defer nothingLeft(t)
	ctx := context.Background()
	s, err := New(spec(t, "ok")).Compile(ctx, addGraph(t, 2), backends.Options{Taps: []string{"before"}, Extra: map[string]string{"drift": "yes"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	early := func(when string, want error) {
		t.Helper()
		if _, err := s.Download(ctx); !errors.Is(err, backends.ErrNotExecuted) {
			t.Errorf("Download %s: %v", when, err)
		}
		if err := s.Execute(ctx); !errors.Is(err, want) {
			t.Errorf("Execute %s: %v, want %v", when, err, want)
		}
	}
	early("before Upload", backends.ErrNotUploaded)
	if err := s.Upload(ctx, floats(2, 5)); err != nil {
		t.Fatal(err)
	}
	early("after Upload", nil)
	for range 2 {
		if err := s.Execute(ctx); err != nil {
			t.Fatal(err)
		}
	}
	out, err := s.Download(ctx, "tap.before", "y")
	if err != nil || len(out) != 2 || out[0].Name != "tap.before" || out[1].Name != "y" || tensor.Data[float32](out[1].Tensor)[1] != 6+3 {
		t.Errorf("downloaded %v, %v", out, err)
	}
	if _, err := s.Download(ctx, "z"); err == nil || err.Error() != `the session has no output "z"` {
		t.Errorf("an output that is not there: %v", err)
	}
	if err := s.Upload(ctx, floats(3, 5)); err == nil {
		t.Error("a wrong shape was uploaded")
	}
	early("after an Upload that was refused", backends.ErrNotUploaded)
}

// TestSharedWorker runs two sessions in one process, as a replicate of the gate does.
func TestSharedWorker(t *testing.T) {
	defer nothingLeft(t)
	ctx := context.Background()
	w, err := Start(ctx, spec(t, "ok"))
	if err != nil {
		t.Fatal(err)
	}
	if h := w.Hello(); h.Pid != w.proc.cmd.Process.Pid || h.Backend != "fake" || h.Protocol != Protocol || h.Build["go"] == "" {
		t.Errorf("hello = %+v", h)
	}
	var sessions []backends.Session
	for n := range 2 {
		s, err := w.Compile(ctx, addGraph(t, n+1), backends.Options{})
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, s)
	}
	errs := make(chan error)
	for i, s := range sessions {
		go func() {
			for range 20 {
				out, err := backends.Run(ctx, s, floats(i+1, 1))
				if err != nil || tensor.Data[float32](out[0].Tensor)[i] != 2 {
					errs <- fmt.Errorf("session %d: %v, %v", i, out, err)
					return
				}
			}
			errs <- s.Close()
		}()
	}
	for range sessions {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	vanishes(t, w.Hello().Pid)
}

func TestEveryElementType(t *testing.T) {
	defer nothingLeft(t)
	in := tensor.List{
		{Name: "f32", Tensor: tensor.Must(tensor.Of([]float32{0, float32(math.Copysign(0, -1)), 1e-45, math.MaxFloat32}, 2, 2))},
		{Name: "f64", Tensor: tensor.Must(tensor.Of([]float64{math.Pi, 5e-324, -math.MaxFloat64}, 3, 1, 1))},
		{Name: "i32", Tensor: tensor.Must(tensor.Of([]int32{math.MinInt32, -1, math.MaxInt32}, 3))},
		{Name: "i64", Tensor: tensor.Must(tensor.Of([]int64{math.MinInt64, -1, math.MaxInt64}, 3))},
		{Name: "bool", Tensor: tensor.Must(tensor.Of([]bool{true, false, true}, 1, 3))},
		{Name: "none", Tensor: tensor.New(tensor.Int64, 0, 3)},
		{Name: "scalar", Tensor: tensor.Scalar(int64(7))},
	}
	b := graph.NewBuilder("types")
	for _, x := range in {
		v := b.Input(x.Name, graph.Type{DType: x.DType(), Shape: x.Shape()})
		b.Output("out."+x.Name, b.Add1("id."+x.Name, graph.Unary{Fn: graph.Identity}, v))
	}
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(spec(t, "ok")).Compile(context.Background(), g, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := backends.Run(context.Background(), s, in)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range out {
		if o.Name != "out."+in[i].Name || o.Tensor.String() != in[i].Tensor.String() ||
			!slices.Equal(tensor.Bytes(o.Tensor), tensor.Bytes(in[i].Tensor)) {
			t.Errorf("%s: sent %v %v, got %v %v", in[i].Name, in[i].Tensor, in[i].Float64s(), o.Tensor, o.Float64s())
		}
	}
}

func TestLargeTensors(t *testing.T) {
	defer nothingLeft(t)
	const n = 25_000_000 // 100 MB
	s, err := New(spec(t, "ok")).Compile(context.Background(), addGraph(t, n), backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i % 1000)
	}
	start := time.Now()
	out, err := backends.Run(context.Background(), s, tensor.List{{Name: "x", Tensor: tensor.Must(tensor.Of(x, n))}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("100 MB in, 100 MB out: %v", time.Since(start))
	for i, y := range tensor.Data[float32](out[0].Tensor) {
		if y != float32(i%1000)+1 {
			t.Fatalf("y[%d] = %v", i, y)
		}
	}
}

// TestNextMinor talks to a worker of a later minor version.
func TestNextMinor(t *testing.T) {
	defer nothingLeft(t)
	w, err := Start(context.Background(), spec(t, "next-minor"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	a := w.Probe(context.Background())
	if !a.Available || a.Facts[0] != (backends.Fact{Key: "k", Value: "v"}) || !slices.Equal(a.Precisions, []backends.Precision{backends.FP32}) {
		t.Errorf("Probe = %+v", a)
	}
}

func BenchmarkRun(b *testing.B) {
	for _, n := range []int{1, 3 * 512 * 512} {
		for _, where := range []string{"worker", "in-process"} {
			b.Run(fmt.Sprintf("%d-bytes/%s", 4*n, where), func(b *testing.B) {
				var backend backends.Backend = fake{}
				if where == "worker" {
					backend = New(spec(b, "ok"))
				}
				s, err := backend.Compile(context.Background(), addGraph(b, n), backends.Options{})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				in := floats(n, 1)
				for b.Loop() {
					if _, err := backends.Run(context.Background(), s, in); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		w, err := Start(context.Background(), spec(b, "ok"))
		if err != nil {
			b.Fatal(err)
		}
		w.Close()
	}
}
