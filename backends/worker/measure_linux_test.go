package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// serving returns a server in this process with one session, number 1, of the graph that adds 1.
func serving(t *testing.T, s backends.Session) *server {
	t.Helper()
	g := addGraph(t, 3)
	h := &hosted{session: s, graph: g, inputs: sharedRegion(t, 64), outputs: sharedRegion(t, 1), pid: os.Getpid(), views: floats(3, 1), stepTimes: true}
	return &server{backend: fake{}, sessions: map[int]*hosted{1: h}}
}

// sharedRegion returns the worker's end of a new file.
func sharedRegion(t *testing.T, size int64) *region {
	t.Helper()
	f := sharedFile(t, size)
	defer f.Close()
	r, err := openRegion(f.Name(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

// sharedFile returns the client's end of a new file.
func sharedFile(t *testing.T, size int64) *os.File {
	t.Helper()
	f, err := (&folder{path: t.TempDir()}).create("tensors", size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// compileFake compiles the graph that adds 1 in a worker of its own, as the cell.
func compileFake(t *testing.T, spec Spec, cell string, o backends.Options) *Session {
	t.Helper()
	w, err := Start(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return compileOn(t, w, cell, o)
}

func compileOn(t *testing.T, w *Worker, cell string, o backends.Options) *Session {
	t.Helper()
	g := addGraph(t, 3)
	g.Metadata = map[string]string{CellKey: cell}
	s, err := w.Open(context.Background(), g, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// uploaded uploads ones.
func uploaded(t *testing.T, s *Session) *Session {
	t.Helper()
	if err := s.Upload(context.Background(), floats(3, 1)); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCalls counts what one group of samples calls at the worker's end.
func TestCalls(t *testing.T) {
	for _, c := range []struct {
		name                     string
		req                      measureRequest
		uploads, runs, downloads int
	}{
		{"samples", measureRequest{Span: ExecuteAlone, Samples: 3, Calls: 1}, 1, 3, 0},
		{"several calls in a sample", measureRequest{Span: ExecuteAlone, Samples: 3, Calls: 5}, 1, 15, 0},
		{"warm-up", measureRequest{Span: ExecuteAlone, Samples: 3, Calls: 2, WarmupRuns: 4}, 1, 4 + 6, 0},
		{"end to end", measureRequest{Span: EndToEnd, Samples: 3, Calls: 2, WarmupRuns: 1}, 1 + 7, 7, 7},
	} {
		session := newFakeSession(addGraph(t, 3), backends.Options{})
		s := serving(t, session)
		if _, err := s.upload(context.Background(), sessionRequest{1}); err != nil {
			t.Fatal(err)
		}
		c.req.Session, c.req.Bound = 1, 1e12
		if _, err := s.measure(context.Background(), c.req); err != nil {
			t.Fatal(err)
		}
		if session.uploads != c.uploads || session.runs != c.runs || session.downloads != c.downloads {
			t.Errorf("%s: %d uploads, %d executions, %d downloads, want %d, %d, %d", c.name, session.uploads, session.runs, session.downloads,
				c.uploads, c.runs, c.downloads)
		}
	}
}

// quiet is a session that allocates nothing and counts its executions.
type quiet struct {
	fakeSession
	steps []time.Duration
}

func (s *quiet) Execute(context.Context) error { s.runs++; return nil }

func (s *quiet) LastTiming() backends.Timing {
	if s.runs == 0 {
		return backends.Timing{}
	}
	return backends.Timing{Device: 5, Steps: s.steps}
}

// TestNothingOfTheMeter counts allocations of a session that makes none: taking the samples makes none either, of the device and of
// steps that nobody knew of before the first execution among them.
func TestNothingOfTheMeter(t *testing.T) {
	session := &quiet{fakeSession: fakeSession{graph: addGraph(t, 3)}, steps: []time.Duration{3, 4}}
	server, request := serving(t, session), measureRequest{Session: 1, Span: ExecuteAlone, Samples: 1000, Calls: 3, Bound: 1e12}
	var r measureReply
	least := math.Inf(1) // of some groups, as what other goroutines of this process allocate meanwhile counts too
	for range 5 {
		session.runs = 0
		got, err := server.measure(context.Background(), request)
		if err != nil {
			t.Fatal(err)
		}
		r = got.(measureReply)
		least = min(least, r.AllocsPerRun)
	}
	if least > 0.003 || len(r.Host) != 1000 || len(r.Device) != 1000 || len(r.Steps) != 1000 {
		t.Errorf("%v allocations of a run; %d, %d and %d samples", least, len(r.Host), len(r.Device), len(r.Steps))
	}
	if last := r.Steps[999]; len(last) != 2 || math.Abs(last[0]-3) > 1e-9 || math.Abs(last[1]-4) > 1e-9 || math.Abs(r.Device[999]-5) > 1e-9 {
		t.Errorf("steps %v, device %v, want [3 4] and 5", last, r.Device[999])
	}
}

// TestMeasureRequests lists the requests that a worker refuses, and failing calls.
func TestMeasureRequests(t *testing.T) {
	good := measureRequest{Session: 1, Span: ExecuteAlone, Samples: 1, Calls: 1, Bound: 1}
	for _, c := range []struct {
		name   string
		change func(*measureRequest, *hosted)
		want   Code
	}{
		{"no session", func(r *measureRequest, _ *hosted) { r.Session = 7 }, CodeBadMessage},
		{"no span", func(r *measureRequest, _ *hosted) { r.Span = "" }, CodeBadMessage},
		{"unknown span", func(r *measureRequest, _ *hosted) { r.Span = "upload" }, CodeBadMessage},
		{"no samples", func(r *measureRequest, _ *hosted) { r.Samples = 0 }, CodeBadMessage},
		{"too many", func(r *measureRequest, _ *hosted) { r.Samples = MaxSamples + 1 }, CodeBadMessage},
		{"no time", func(r *measureRequest, _ *hosted) { r.Bound = 0 }, CodeBadMessage},
		{"no calls", func(r *measureRequest, _ *hosted) { r.Calls = 0 }, CodeBadMessage},
		{"too large a group", func(r *measureRequest, _ *hosted) { r.Calls = MaxCalls + 1 }, CodeBadMessage},
		{"negative warm-up", func(r *measureRequest, _ *hosted) { r.WarmupRuns = -1 }, CodeBadMessage},
		{"endless warm-up", func(r *measureRequest, _ *hosted) { r.WarmupRuns = MaxCalls + 1 }, CodeBadMessage},
		{"more steps than a reply holds", func(r *measureRequest, h *hosted) {
			h.session.(*fakeSession).graph = chain(t, MaxStepTimes/MaxSamples+1)
			r.Samples = MaxSamples
		}, CodeBadMessage},
		{"nothing uploaded", func(_ *measureRequest, h *hosted) { h.session = newFakeSession(h.graph, backends.Options{}) }, CodeBadMessage},
		{"bad inputs", func(r *measureRequest, h *hosted) { r.Span, h.views = EndToEnd, floats(3, float32(math.NaN())) }, CodeBadInput},
		{"failing execution", func(_ *measureRequest, h *hosted) {
			h.session.(*fakeSession).opts.Extra = map[string]string{"execute": "error"}
		}, CodeFailed},
		{"failing download", func(r *measureRequest, h *hosted) {
			r.Span, h.session.(*fakeSession).opts.Extra = EndToEnd, map[string]string{"download": "error"}
		}, CodeFailed},
	} {
		s, r := serving(t, newFakeSession(addGraph(t, 3), backends.Options{})), good
		if _, err := s.upload(context.Background(), sessionRequest{1}); err != nil {
			t.Fatal(err)
		}
		c.change(&r, s.sessions[1])
		if _, err := s.measure(context.Background(), r); err == nil || toWire(err).Code != c.want {
			t.Errorf("%s: %v, want an error %s", c.name, err, c.want)
		}
	}
}

// chain is a graph of n nodes.
func chain(t *testing.T, n int) *graph.Graph {
	b := graph.NewBuilder("chain")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{3}})
	for i := range n {
		x = b.Add1(fmt.Sprintf("n%d", i), graph.Unary{Fn: graph.Identity}, x)
	}
	b.Output("y", x)
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestMeasure(t *testing.T) {
	s := uploaded(t, compileFake(t, spec(t, "ok"), "", backends.Options{Extra: map[string]string{"busy": "1ms"}}))
	for _, span := range []Span{ExecuteAlone, EndToEnd} {
		g, err := s.Measure(context.Background(), GroupOptions{Span: span, Samples: 20, Calls: 1, Bound: time.Minute, WarmupRuns: 3, Collect: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Host) != 20 || g.Device != nil || g.Steps != nil {
			t.Errorf("%s: measured %+v", span, g)
		}
		for _, ns := range g.Host {
			if ns < 1e6 {
				t.Errorf("a run of 1 ms took %v ns", ns)
			}
		}
		if g.HostPeak < 1<<20 || g.DevicePeak != 7 || g.AllocsPerRun < 1 || g.BytesPerRun < 12 || g.Clock < leastReading || g.Clock > 1e6 {
			t.Errorf("%s: measured %+v", span, g)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Measure(context.Background(), GroupOptions{Span: ExecuteAlone, Samples: 1, Calls: 1, Bound: 1}); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestMeasuredOutputs downloads what was timed: the outputs of the last execution.
func TestMeasuredOutputs(t *testing.T) {
	ctx := context.Background()
	s := compileFake(t, spec(t, "ok"), "", backends.Options{Extra: map[string]string{"drift": "yes"}})
	o := GroupOptions{Span: ExecuteAlone, Samples: 4, Calls: 3, Bound: time.Minute}
	if _, err := s.Measure(ctx, o); !errors.Is(err, backends.ErrNotUploaded) {
		t.Errorf("before Upload: %v", err)
	}
	uploaded(t, s)
	runs := 0
	for _, span := range []Span{ExecuteAlone, EndToEnd} {
		o.Span = span
		if _, err := s.Measure(ctx, o); err != nil {
			t.Fatal(err)
		}
		runs += 4 * 3
		out, err := s.Download(ctx)
		if err != nil || len(out) != 1 || tensor.Data[float32](out.Get("y"))[2] != float32(2+runs) {
			t.Errorf("%s: %v, %v, want those of run %d", span, out, err, runs)
		}
	}
}

// TestMeasureBound gives a group less time than its samples would take.
func TestMeasureBound(t *testing.T) {
	s := uploaded(t, compileFake(t, spec(t, "ok"), "", backends.Options{Extra: map[string]string{"busy": "5ms"}}))
	g, err := s.Measure(context.Background(), GroupOptions{Span: ExecuteAlone, Samples: 1000, Calls: 1, Bound: 12 * time.Millisecond})
	if err != nil || len(g.Host) < 1 || len(g.Host) > 3 { // they begin at 0, 5 and 10 ms at the earliest
		t.Errorf("%+v, %v", g, err)
	}
}

// TestMeasureDevice takes the device's clock beside the host's, and that of the steps, also under injected faults.
func TestMeasureDevice(t *testing.T) {
	for inject, want := range map[string]float64{"": 700, "slow=10@*": 770, "wrong@*": 700, "wrong@*;slow=10@*": 770} {
		sp := spec(t, "ok")
		sp.Env = append(sp.Env, InjectVariable+"="+inject)
		s := uploaded(t, compileFake(t, sp, "cell", backends.Options{StepTimes: true, Extra: map[string]string{"device": "yes"}}))
		g, err := s.Measure(context.Background(), GroupOptions{Span: ExecuteAlone, Samples: 5, Calls: 2, Bound: time.Minute})
		if err != nil || len(g.Device) != 5 || len(g.Steps) != 5 {
			t.Fatalf("%q: %+v, %v", inject, g, err)
		}
		for i, ns := range g.Device {
			if math.Abs(ns-want) > 1 { // times are whole nanoseconds
				t.Errorf("%q: a run took the device %v ns, want %v", inject, ns, want)
			}
			if steps := g.Steps[i]; len(steps) != 2 || math.Abs(steps[0]-want*3/7) > 1 || math.Abs(steps[1]-want*4/7) > 1 {
				t.Errorf("%q: the steps of a run took %v ns, want 3 and 4 parts of %v", inject, steps, want)
			}
		}
	}
}

func TestMeasureErrors(t *testing.T) {
	ctx := context.Background()
	ok := GroupOptions{Span: ExecuteAlone, Samples: 1, Calls: 1, Bound: time.Second}
	for _, change := range []func(*GroupOptions){
		func(o *GroupOptions) { *o = GroupOptions{} },
		func(o *GroupOptions) { o.Span = "all" },
		func(o *GroupOptions) { o.Samples = -1 },
		func(o *GroupOptions) { o.Samples = MaxSamples + 1 },
		func(o *GroupOptions) { o.Calls = 0 },
		func(o *GroupOptions) { o.Bound = -1 },
		func(o *GroupOptions) { o.WarmupRuns = -1 },
	} {
		o := ok
		change(&o)
		s := &Session{} // nothing is asked of the worker
		if _, err := s.Measure(ctx, o); err == nil || toWire(err).Code != CodeBadInput {
			t.Errorf("%+v: %v", o, err)
		}
	}
	s := uploaded(t, compileFake(t, spec(t, "ok"), "", backends.Options{Extra: map[string]string{"execute": "error", "execute-first": "yes"}}))
	if err := s.Execute(ctx); err != nil {
		t.Fatal(err)
	}
	var said *Error
	if _, err := s.Measure(ctx, ok); !errors.As(err, &said) || said.Code != CodeFailed || !strings.Contains(err.Error(), "kernel 7 failed") {
		t.Errorf("failing execution: %v", err)
	}
	if _, err := s.Download(ctx); !errors.Is(err, backends.ErrNotExecuted) {
		t.Errorf("outputs after it: %v", err)
	}
	var died *Died
	s = uploaded(t, compileFake(t, spec(t, "ok"), "", backends.Options{Extra: map[string]string{"execute": "kill", "execute-first": "yes"}}))
	many := ok
	many.Samples = 9
	if _, err := s.Measure(ctx, many); !errors.As(err, &died) || died.Signal == 0 || died.Stage != "measure" {
		t.Errorf("crash: %v", err)
	}
	s = uploaded(t, compileFake(t, spec(t, "ok"), "", backends.Options{Extra: map[string]string{"execute": "hang"}}))
	s.worker.spec.Deadline = deadline
	if _, err := s.Measure(ctx, ok); !errors.As(err, &died) || died.Limit != deadline {
		t.Errorf("hang: %v", err)
	}
}

// TestNotNumbers refuses what JSON cannot say and other encodings could.
func TestNotNumbers(t *testing.T) {
	req := measureRequest{Samples: 2, Calls: 2}
	good := func() measureReply {
		return measureReply{Host: []float64{5e3, 6e3}, Device: []float64{1, 0}, Steps: [][]float64{{1}, {2}}, Clock: 30, HostPeak: 1, AllocsPerRun: 2, BytesPerRun: 3}
	}
	if err := good().check(req, 1, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for field, change := range map[string]func(*measureReply){
			"host_ns 1":           func(r *measureReply) { r.Host[1] = bad },
			"device_ns 1":         func(r *measureReply) { r.Device[1] = bad },
			"steps_ns 1, 0":       func(r *measureReply) { r.Steps[1][0] = bad },
			"clock_ns":            func(r *measureReply) { r.Clock = bad },
			"allocs_per_run":      func(r *measureReply) { r.AllocsPerRun = bad },
			"alloc_bytes_per_run": func(r *measureReply) { r.BytesPerRun = bad },
		} {
			r := good()
			change(&r)
			if err := r.check(req, 1, time.Millisecond); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("%s is %v, want ", field, bad)) {
				t.Errorf("%s: %v", field, err)
			}
		}
	}
}
