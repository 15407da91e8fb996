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
	"github.com/apex-x/apexx/backends/tensor"
)

// serving returns a server in this process with one session, number 1, of the graph that adds 1.
func serving(t *testing.T, s backends.Session) *server {
	t.Helper()
	g := addGraph(t, 3)
	h := &hosted{session: s, graph: g, inputs: sharedRegion(t, 64), outputs: sharedRegion(t, 1), pid: os.Getpid(), views: floats(3, 1)}
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

// instant is a session whose runs take next to no time, at first long ones.
type instant struct {
	fakeSession
	slowRuns int
}

func (s *instant) Run(context.Context, tensor.List) (tensor.List, error) {
	s.runs++
	if s.runs <= s.slowRuns {
		time.Sleep(2 * time.Millisecond)
	}
	return nil, nil
}

// TestShortRuns times runs that are shorter than a reading of the clock: in groups, of which the clock is a small part.
func TestShortRuns(t *testing.T) {
	for _, warmup := range []int{0, 1, 10} {
		s := serving(t, &instant{slowRuns: 1}) // of the first run nothing must follow
		got, err := s.measure(context.Background(), measureRequest{Session: 1, WarmupRuns: warmup, WarmupBound: 1e6, Iterations: 30, Bound: 1e9})
		if err != nil {
			t.Fatal(err)
		}
		r := got.(measureReply)
		if r.TimerShare <= 0 || r.TimerShare >= maxTimerShare || r.CallsPerSample < 2 {
			t.Errorf("warm-up of %d runs: the clock takes %.4f of %d calls, want less than %v", warmup, r.TimerShare, r.CallsPerSample, maxTimerShare)
		}
		if len(r.Samples) != 30 || r.FirstRun < 2e6 || r.Samples[0] <= 0 || r.Samples[0] > 1e6 {
			t.Errorf("%d samples, the first %v ns; the first run took %d ns", len(r.Samples), r.Samples[0], r.FirstRun)
		}
	}
}

// TestWarmUp counts runs: the first, the rest of the warm-up, the samples.
func TestWarmUp(t *testing.T) {
	for _, c := range []struct {
		name string
		req  measureRequest
		runs int
	}{
		{"none wanted", measureRequest{Iterations: 3}, 2 + 3},
		{"runs", measureRequest{WarmupRuns: 6, WarmupBound: 1e12, Iterations: 3}, 6 + 3},
		{"bound", measureRequest{WarmupRuns: 1000, WarmupBound: 1, Iterations: 3}, 2 + 3},
		{"group of a given size", measureRequest{Iterations: 2, CallsPerSample: 5}, 1 + 10},
	} {
		session := &fakeSession{graph: addGraph(t, 3), busy: time.Millisecond}
		s := serving(t, session)
		c.req.Session, c.req.Bound = 1, 1e12
		got, err := s.measure(context.Background(), c.req)
		if err != nil {
			t.Fatal(err)
		}
		if session.runs != c.runs {
			t.Errorf("%s: %d runs, want %d", c.name, session.runs, c.runs)
		}
		again, err := s.measure(context.Background(), c.req)
		if err != nil || again.(measureReply).FirstRun != got.(measureReply).FirstRun {
			t.Errorf("%s: the first run took %v, then %v, %v", c.name, got.(measureReply).FirstRun, again, err)
		}
	}
}

// TestFirstRun has a run request make the first run, which is the cold one: its time is the one that a measurement tells.
func TestFirstRun(t *testing.T) {
	s := serving(t, &instant{fakeSession{graph: addGraph(t, 3)}, 1})
	h := s.sessions[1]
	if _, err := s.run(context.Background(), sessionRequest{Session: 1}); err != nil {
		t.Fatal(err)
	}
	cold := h.firstRun
	r, err := s.measure(context.Background(), measureRequest{Session: 1, Iterations: 1, Bound: 1})
	if err != nil || cold <= 0 || r.(measureReply).FirstRun != cold.Nanoseconds() || r.(measureReply).Samples[0] >= float64(cold) {
		t.Errorf("first run %v, then %+v, %v", cold, r, err)
	}
}

// TestMeasureRequests lists the requests that a worker refuses, and failing runs.
func TestMeasureRequests(t *testing.T) {
	good := measureRequest{Session: 1, Iterations: 1, Bound: 1}
	for _, c := range []struct {
		name   string
		change func(*measureRequest, *hosted)
		want   Code
	}{
		{"no session", func(r *measureRequest, _ *hosted) { r.Session = 7 }, CodeBadMessage},
		{"no iterations", func(r *measureRequest, _ *hosted) { r.Iterations = 0 }, CodeBadMessage},
		{"too many", func(r *measureRequest, _ *hosted) { r.Iterations = MaxSamples + 1 }, CodeBadMessage},
		{"no time", func(r *measureRequest, _ *hosted) { r.Bound = 0 }, CodeBadMessage},
		{"too large a group", func(r *measureRequest, _ *hosted) { r.CallsPerSample = maxCalls + 1 }, CodeBadMessage},
		{"bad inputs", func(_ *measureRequest, h *hosted) { h.views = floats(3, float32(math.NaN())) }, CodeBadInput},
		{"failing run", func(_ *measureRequest, h *hosted) {
			h.session.(*fakeSession).opts.Extra = map[string]string{"run": "error"}
		}, CodeFailed},
	} {
		s, r := serving(t, &fakeSession{graph: addGraph(t, 3)}), good
		c.change(&r, s.sessions[1])
		if _, err := s.measure(context.Background(), r); err == nil || toWire(err).Code != c.want {
			t.Errorf("%s: %v, want an error %s", c.name, err, c.want)
		}
	}
}

func compileFake(t *testing.T, spec Spec, cell string, extra map[string]string) *session {
	t.Helper()
	w, err := Start(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return compileOn(t, w, cell, extra)
}

func compileOn(t *testing.T, w *Worker, cell string, extra map[string]string) *session {
	t.Helper()
	g := addGraph(t, 3)
	g.Metadata = map[string]string{CellKey: cell}
	s, err := w.Compile(context.Background(), g, backends.Options{Extra: extra})
	if err != nil {
		t.Fatal(err)
	}
	return s.(*session)
}

func TestMeasure(t *testing.T) {
	s := compileFake(t, spec(t, "ok"), "", map[string]string{"busy": "1ms"})
	m, err := s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: 20, Bound: time.Minute, WarmupRuns: 3, WarmupBound: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if m.Clock != ClockWorker || len(m.Samples) != 20 || m.CallsPerSample != 1 || m.DeviceSamples != nil {
		t.Errorf("measured %+v", m)
	}
	for _, ns := range m.Samples {
		if ns < 1e6 {
			t.Errorf("a run of 1 ms took %v ns", ns)
		}
	}
	if m.FirstRun < time.Millisecond || m.HostPeak < 1<<20 || m.DevicePeak != 7 || m.AllocsPerRun < 1 || m.BytesPerRun < 12 || m.TimerShare <= 0 || m.TimerShare >= maxTimerShare {
		t.Errorf("measured %+v", m)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: 1, Bound: 1}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: %v", err)
	}
}

// TestMeasureGiven orders the size of samples, and no warm-up beyond the first run.
func TestMeasureGiven(t *testing.T) {
	s := compileFake(t, spec(t, "ok"), "", nil)
	if _, err := backends.Run(context.Background(), s, floats(3, 1)); err != nil {
		t.Fatal(err)
	}
	m, err := s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: 4, Bound: time.Minute, CallsPerSample: 3})
	if err != nil || m.CallsPerSample != 3 || len(m.Samples) != 4 {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := backends.Run(context.Background(), s, floats(3, 1)); err != nil || s.Memory().Host != 1+4*3+1 {
		t.Errorf("%d runs, want 14; %v", s.Memory().Host, err)
	}
}

// TestMeasuredOutputs compares what was timed: the outputs of the last run, whoever timed it.
func TestMeasuredOutputs(t *testing.T) {
	for _, c := range []struct {
		mode     string
		requests bool
		runs     int // 0: no outputs
	}{{"ok", false, 1 + 4*3}, {"ok", true, 1 + 4}, {"minor-0", false, 1 + 4}, {"minor-1", true, 1 + 4}, {"minor-1", false, 0}} {
		s := compileFake(t, spec(t, c.mode), "", map[string]string{"drift": "yes"})
		m, err := s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: 4, Bound: time.Minute, CallsPerSample: 3, Requests: c.requests,
			Between: func() {}, BetweenSamples: 2})
		if err != nil {
			t.Fatal(err)
		}
		if c.runs == 0 && m.Outputs != nil || c.runs > 0 && (len(m.Outputs) != 1 || tensor.Data[float32](m.Outputs.Get("y"))[2] != float32(2+c.runs)) {
			t.Errorf("%+v: %v, want those of run %d", c, m.Outputs, c.runs)
		}
	}
}

// TestOutputsRequest asks for outputs when there are none.
func TestOutputsRequest(t *testing.T) {
	session := &fakeSession{graph: addGraph(t, 3)}
	s, ask := serving(t, session), sessionRequest{Session: 1}
	if _, err := s.outputs(ask); toWire(err).Code != CodeBadMessage {
		t.Errorf("before the first run: %v", err)
	}
	if _, err := s.run(context.Background(), ask); err != nil {
		t.Fatal(err)
	}
	if got, err := s.outputs(ask); err != nil || got.(outputsReply).Layout[0].Name != "y" {
		t.Errorf("after a run: %v, %v", got, err)
	}
	session.opts.Extra = map[string]string{"run": "error"}
	if _, err := s.measure(context.Background(), measureRequest{Session: 1, Iterations: 1, Bound: 1, CallsPerSample: 1}); err == nil {
		t.Fatal("the run did not fail")
	}
	if _, err := s.outputs(ask); toWire(err).Code != CodeBadMessage {
		t.Errorf("after a run that failed: %v", err)
	}
}

// TestMeasureBound gives a measurement less time than its samples would take.
func TestMeasureBound(t *testing.T) {
	for _, mode := range []string{"ok", "minor-0"} {
		s := compileFake(t, spec(t, mode), "", map[string]string{"busy": "5ms"})
		m, err := s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: 1000, Bound: 12 * time.Millisecond})
		if err != nil || len(m.Samples) < 1 || len(m.Samples) > 3 { // they begin at 0, 5 and 10 ms at the earliest
			t.Errorf("%s: %+v, %v", mode, m, err)
		}
		// In groups of one, less than half of a third would fit.
		m, err = s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: 1000, Bound: 12 * time.Millisecond, Between: func() {}})
		if err != nil || len(m.Samples) < 1 || len(m.Samples) > 2 {
			t.Errorf("%s, in groups: %+v, %v", mode, m, err)
		}
	}
}

// TestMeasureBetween takes samples in groups with calls between them.
func TestMeasureBetween(t *testing.T) {
	for _, mode := range []string{"ok", "minor-0"} {
		s := compileFake(t, spec(t, mode), "", map[string]string{"busy": "1ms", "device": "yes"})
		calls := 0
		m, err := s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: 20, Bound: time.Minute,
			BetweenEvery: 5 * time.Millisecond, Between: func() { calls++ }})
		if err != nil || len(m.Samples) != 20 {
			t.Fatalf("%s: %+v, %v", mode, m, err)
		}
		if calls < 5 || calls > 21 { // a group holds 5 samples at most, and 1 at least
			t.Errorf("%s: Between was called %d times for 20 samples", mode, calls)
		}
		if mode == "ok" && len(m.DeviceSamples) != 20 {
			t.Errorf("%d samples of the device", len(m.DeviceSamples))
		}
	}
}

// TestMeasureDevice takes the device's clock beside the host's, also under injected faults.
func TestMeasureDevice(t *testing.T) {
	for inject, want := range map[string]float64{"": 700, "slow=10@*": 770, "wrong@*": 700, "wrong@*;slow=10@*": 770} {
		sp := spec(t, "ok")
		sp.Env = append(sp.Env, InjectVariable+"="+inject)
		s := compileFake(t, sp, "cell", map[string]string{"device": "yes"})
		m, err := s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: 5, Bound: time.Minute})
		if err != nil || len(m.DeviceSamples) != 5 {
			t.Fatalf("%q: %+v, %v", inject, m, err)
		}
		for _, ns := range m.DeviceSamples {
			if math.Abs(ns-want) > 1 { // times are whole nanoseconds
				t.Errorf("%q: a run took the device %v ns, want %v", inject, ns, want)
			}
		}
	}
}

// TestMeasureByRequests times what has no measure request: the fake's own clock says 6 ns.
func TestMeasureByRequests(t *testing.T) {
	for _, c := range []struct {
		mode     string
		requests bool
	}{{"ok", true}, {"minor-0", false}, {"minor-0", true}} {
		s := compileFake(t, spec(t, c.mode), "", nil)
		if s.Protocol().Measures() != (c.mode == "ok") {
			t.Errorf("%s speaks %v", c.mode, s.Protocol())
		}
		m, err := s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: 4, Bound: time.Minute, WarmupRuns: 3, WarmupBound: time.Minute, Requests: c.requests})
		if err != nil {
			t.Fatal(err)
		}
		if m.Clock != ClockTiming || fmt.Sprint(m.Samples) != "[6 6 6 6]" || m.CallsPerSample != 1 || m.FirstRun != 6 || m.TimerShare != 0 ||
			m.DevicePeak != 7 || m.HostPeak < 1<<20 || m.DeviceSamples != nil {
			t.Errorf("%+v: measured %+v", c, m)
		}
		if got := s.Memory().Host; got != 3+4 {
			t.Errorf("%+v: %d runs, want 7", c, got)
		}
	}
}

func TestMeasureErrors(t *testing.T) {
	ok := MeasureOptions{Iterations: 1, Bound: time.Second}
	for _, o := range []MeasureOptions{{}, {Iterations: 0, Bound: 1}, {Iterations: -1, Bound: 1}, {Iterations: MaxSamples + 1, Bound: 1}, {Iterations: 1}, {Iterations: 1, Bound: -1}} {
		s := &session{} // nothing is asked of the worker
		if _, err := s.Measure(context.Background(), nil, o); toWire(err).Code != CodeBadInput {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, requests := range []bool{false, true} {
		o := ok
		o.Requests = requests
		s := compileFake(t, spec(t, "ok"), "", map[string]string{"run": "error"})
		if _, err := s.Measure(context.Background(), floats(2, 1), o); toWire(err).Code != CodeBadInput {
			t.Errorf("wrong shape: %v", err)
		}
		if _, err := s.Measure(context.Background(), floats(3, float32(math.Inf(1))), o); toWire(err).Code != CodeBadInput {
			t.Errorf("infinite input: %v", err)
		}
		var said *Error
		if _, err := s.Measure(context.Background(), floats(3, 1), o); !errors.As(err, &said) || said.Code != CodeFailed || !strings.Contains(err.Error(), "kernel 7 failed") {
			t.Errorf("failing run: %v", err)
		}
		var died *Died
		s = compileFake(t, spec(t, "ok"), "", map[string]string{"run": "kill", "run-first": "yes"})
		if _, err := s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: 9, Bound: time.Second, WarmupRuns: 5, WarmupBound: time.Second, Requests: requests}); !errors.As(err, &died) || died.Signal == 0 {
			t.Errorf("crash: %v", err)
		}
	}
	sp := spec(t, "ok")
	sp.Deadline = 300 * time.Millisecond
	s := compileFake(t, sp, "", map[string]string{"run": "hang"})
	var died *Died
	if _, err := s.Measure(context.Background(), floats(3, 1), ok); !errors.As(err, &died) || !died.Deadline {
		t.Errorf("hang: %v", err)
	}
}

// TestNotNumbers refuses what JSON cannot say and other encodings could.
func TestNotNumbers(t *testing.T) {
	req, known := measureRequest{Iterations: 2, CallsPerSample: 2}, seen{took: time.Millisecond, cold: time.Millisecond}
	good := func() measureReply {
		return measureReply{Samples: []float64{5e3, 6e3}, DeviceSamples: []float64{1, 0}, CallsPerSample: 2, TimerShare: 0.001, FirstRun: 9, HostPeak: 1, AllocsPerRun: 2, BytesPerRun: 3}
	}
	m := new(Measured)
	if err := m.add(good(), req, known); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for field, change := range map[string]func(*measureReply){
			"host_ns 1":           func(r *measureReply) { r.Samples[1] = bad },
			"device_ns 1":         func(r *measureReply) { r.DeviceSamples[1] = bad },
			"timer_share":         func(r *measureReply) { r.TimerShare = bad },
			"allocs_per_run":      func(r *measureReply) { r.AllocsPerRun = bad },
			"alloc_bytes_per_run": func(r *measureReply) { r.BytesPerRun = bad },
		} {
			r := good()
			change(&r)
			if err := m.add(r, req, known); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("%s is %v, want ", field, bad)) {
				t.Errorf("%s: %v", field, err)
			}
		}
	}
	if len(m.Samples) != 2 {
		t.Errorf("samples %v were kept", m.Samples)
	}
}

// TestTimesOfOneRun has parts that fit into the request and together do not.
func TestTimesOfOneRun(t *testing.T) {
	if err := (wireTiming{30e6, 40e6, 30e6}).check(100 * time.Millisecond); err != nil {
		t.Error(err)
	}
	want := "the sum of upload_ns, execute_ns and download_ns is 1.2e+08, want 0 to 1.00101e+08 (the request took 100ms)"
	if err := (wireTiming{40e6, 40e6, 40e6}).check(100 * time.Millisecond); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
