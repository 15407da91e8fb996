package execute

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// fake is a backend and session that fails where it is told to.
type fake struct {
	backends.Session    // of which the methods below are used
	compile, run, close error
	panics              bool
	options             backends.Options
	closed              int
}

func (*fake) Name() string { return "fake" }
func (*fake) Probe(context.Context) backends.Availability {
	return backends.Availability{Available: true}
}
func (f *fake) Compile(_ context.Context, _ *graph.Graph, o backends.Options) (backends.Session, error) {
	f.options = o
	return timedFake{&backendtest.Fake{Session: f, Run: f.compute}}, f.compile
}

// timedFake tells a time of its own.
type timedFake struct{ *backendtest.Fake }

func (timedFake) LastTiming() backends.Timing { return backends.Timing{Execute: 7} }

func (f *fake) compute(_ context.Context, in tensor.List) (tensor.List, error) {
	if f.panics {
		panic("the fake is broken")
	}
	return in, f.run
}
func (*fake) Plan() backends.Plan        { return backends.Plan{Library: "fake"} }
func (*fake) Memory() backends.MemoryUse { return backends.MemoryUse{Host: 9} }
func (f *fake) Close() error             { f.closed++; return f.close }

// fakeCase is a small input of a small model.
func fakeCase(t *testing.T, set ...string) *source.Case {
	t.Helper()
	m, err := source.Open(source.ModelRequest{Weights: "hashed:1", Set: append([]string{"model.profile=nano", "model.num_classes=2"}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	return &source.Case{Input: source.Input{Name: "c", Image: tensor.New(tensor.Float32, 1, 3, 128, 256)}, Model: m, Decode: model.DefaultDecode()}
}

func TestMatrixRunnerStates(t *testing.T) {
	absent := &backends.Unavailable{Backend: "fake", Reason: backends.LibraryNotFound, Detail: "looked everywhere"}
	c := fakeCase(t)
	tests := []struct {
		name           string
		f              fake
		open           error
		cancelled      bool
		state          evidence.State
		reason, signal string
		detail         string
	}{
		{name: "runs", state: evidence.Measured},
		{name: "unavailable at open", open: absent, state: evidence.Unsupported, reason: "library_not_found", detail: "looked everywhere"},
		{name: "unavailable at compile", f: fake{compile: absent}, state: evidence.Unsupported, reason: "library_not_found"},
		{name: "unavailable at run", f: fake{run: absent}, state: evidence.Errored, reason: "error", detail: "library_not_found"},
		{name: "cannot be opened", open: errors.New("no such program"), state: evidence.Errored, reason: "error", detail: "no such program"},
		{name: "fails to compile", f: fake{compile: errors.New("no kernel")}, state: evidence.Errored, reason: "error", detail: "no kernel"},
		{name: "fails to run", f: fake{run: errors.New("division by zero")}, state: evidence.Errored, reason: "error", detail: "division by zero"},
		{name: "fails to close", f: fake{close: errors.New("double free")}, state: evidence.Errored, reason: "error", detail: "double free"},
		{name: "panics", f: fake{panics: true}, state: evidence.Crashed, signal: "panic", detail: "the fake is broken"},
		{name: "panics in the worker", f: fake{run: &worker.Error{Code: worker.CodePanic, Message: "index out of range"}}, state: evidence.Crashed, signal: "panic", detail: "index out of range"},
		{name: "killed", f: fake{run: &worker.Died{Signal: syscall.SIGSEGV, Stage: "run"}}, state: evidence.Crashed, signal: "segmentation fault", detail: "died during run"},
		{name: "exits", f: fake{compile: &worker.Died{ExitCode: 3, Stage: "compile"}}, state: evidence.Crashed, signal: "exit status 3", detail: "died during compile"},
		{name: "out of memory", f: fake{run: &worker.Died{OOM: true, Signal: syscall.SIGKILL}}, state: evidence.Crashed, signal: "out of memory"},
		{name: "deadline", f: fake{run: &worker.Died{Limit: time.Minute, Signal: syscall.SIGKILL}}, state: evidence.Hung, reason: "deadline", detail: "no answer within 1m0s"},
		{name: "interrupted", f: fake{run: context.Canceled}, cancelled: true, state: evidence.Cancelled, reason: "cancelled"},
		{name: "killed by the interruption", f: fake{run: &worker.Died{Cause: context.Canceled, Signal: syscall.SIGKILL}}, cancelled: true, state: evidence.Cancelled, reason: "cancelled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if tt.cancelled {
				cancel()
			}
			r := MatrixRunner{Cases: map[string]Subject{"c": c}, Open: func(string) (backends.Backend, error) { return &tt.f, tt.open }}
			e := r.Execute(ctx, &parity.Case{Name: "c"}, "fake", backends.FP32)
			if e.State != tt.state || e.Reason != tt.reason || e.Signal != tt.signal || !strings.Contains(e.Detail, tt.detail) {
				t.Errorf("state %s, reason %q, signal %q, detail %q", e.State, e.Reason, e.Signal, e.Detail)
			}
			if e.Wall <= 0 {
				t.Error("no wall time was recorded")
			}
			if ran := tt.state == evidence.Measured; ran != (e.Outputs != nil) || ran && (e.Timing.Execute != 7 || e.Memory.Host != 9) {
				t.Errorf("%+v", e)
			}
			if compiled := tt.open == nil && tt.f.compile == nil; compiled != (tt.f.closed == 1) {
				t.Errorf("the session was closed %d times", tt.f.closed)
			}
		})
	}
}

// TestMatrixRunnerOptions checks what a session is compiled with.
func TestMatrixRunnerOptions(t *testing.T) {
	deep := []string{"model.nesting_depth=2", "model.kmax_l2=24", "routing.budget_b3=3"}
	for _, tt := range []struct {
		set  []string
		taps bool
		want string // kinds of taps
	}{{nil, false, "det,ff,kept_detections,valid_counts"}, {nil, true, "all,ff,kept_detections,valid_counts"},
		{deep, false, "det,ff,kept_detections,router,valid_counts"}, {deep, true, "all,ff,kept_detections,valid_counts"}} {
		f := &fake{}
		r := MatrixRunner{Cases: map[string]Subject{"c": fakeCase(t, tt.set...)}, Threads: 3, Taps: tt.taps,
			Open: func(string) (backends.Backend, error) { return f, nil }, Extra: map[string]map[string]string{"fake": {"k": "v"}}}
		e := r.Execute(context.Background(), &parity.Case{Name: "c"}, "fake", backends.FP64)
		if e.State != evidence.Measured || tapKinds(f.options.Taps) != tt.want || f.options.Threads != 3 ||
			f.options.Precision != backends.FP64 || f.options.Extra["k"] != "v" {
			t.Errorf("%+v: %s, options %+v", tt, e.State, f.options)
		}
	}
	bad := fakeCase(t)
	bad.Image = tensor.New(tensor.Float32, 1, 3, 100, 128)
	r := MatrixRunner{Cases: map[string]Subject{"c": bad}, Open: func(string) (backends.Backend, error) { return &fake{}, nil }}
	if e := r.Execute(context.Background(), &parity.Case{Name: "c"}, "fake", backends.FP32); e.State != evidence.Errored || !strings.Contains(e.Detail, "multiples of 128") {
		t.Errorf("an input of 100 rows: %+v", e)
	}
}

// tapKinds lists the modules that taps belong to, each once.
func tapKinds(taps []string) string {
	var kinds []string
	for _, t := range taps {
		if i := strings.Index(t, "."); i >= 0 {
			t = t[:i]
		}
		kinds = append(kinds, t)
	}
	slices.Sort(kinds)
	return strings.Join(slices.Compact(kinds), ",")
}

func TestParityCase(t *testing.T) {
	c := fakeCase(t)
	c.Expected = tensor.List{{Name: "scores", Tensor: tensor.New(tensor.Float32, 1, 1)}}
	p := ParityCase(c)
	if s := p.Setting; p.Name != "c" || len(p.Golden) != 1 || s.GridHeight != 1 || s.GridWidth != 2 || s.ImageHeight != 128 ||
		s.ImageWidth != 256 || s.FeatureStride != 8 || s.ScoreThreshold != float64(c.Decode.ScoreThreshold) || s.PreNMSTopK != 1000 || s.Dense {
		t.Errorf("%+v", p)
	}
	if !ParityCase(fakeCase(t, "model.force_dense_routing=true")).Setting.Dense {
		t.Error("dense routing is not told to the comparer")
	}
}
