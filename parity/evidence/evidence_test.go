package evidence_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/exit"
	. "github.com/apex-x/apexx/parity/evidence"
)

func TestOf(t *testing.T) {
	absent := &backends.Unavailable{Backend: "ort", Reason: backends.LibraryNotFound, Detail: "looked everywhere"}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for name, tt := range map[string]struct {
		ctx  context.Context
		err  error
		want Outcome
	}{
		"nothing":               {err: nil, want: Outcome{State: Measured}},
		"a backend that is not": {err: fmt.Errorf("compile: %w", absent), want: Outcome{Unsupported, "library_not_found", "", "looked everywhere"}},
		"an answer":             {err: &worker.Error{Code: worker.CodeFailed, Message: "no kernel"}, want: Outcome{Errored, "error", "", "no kernel"}},
		"a panic":               {err: &worker.Error{Code: worker.CodePanic, Message: "index out of range"}, want: Outcome{Crashed, "", "panic", "index out of range"}},
		"a panic that ended it": {err: &worker.Died{Stage: "run", Cause: &worker.Error{Code: worker.CodePanic, Message: "index out of range"}},
			want: Outcome{Crashed, "", "panic", "the worker of backend  died during run: index out of range"}},
		"a signal": {err: &worker.Died{Backend: "ort", Stage: "run", Signal: syscall.SIGSEGV},
			want: Outcome{Crashed, "", "segmentation fault", "the worker of backend ort died during run: signal 11, segmentation fault"}},
		"nonsense for an answer": {err: &worker.Died{Backend: "ort", Stage: "run", Signal: syscall.SIGKILL, Cause: errors.New("got \"Loading\"")},
			want: Outcome{Errored, "error", "", "the worker of backend ort died during run: got \"Loading\""}},
		"want of memory": {err: &worker.Died{Backend: "ort", Stage: "run", Signal: syscall.SIGKILL, OOM: true},
			want: Outcome{Crashed, "", "out of memory", "the worker of backend ort died during run: out of memory (signal 9, killed)"}},
		"a deadline": {err: &worker.Died{Backend: "ort", Stage: "run", Limit: 90 * time.Second, Signal: syscall.SIGKILL},
			want: Outcome{Hung, "deadline", "", "the worker of backend ort died during run: no answer within 1m30s, killed"}},
		"an interruption":            {ctx: ended, err: context.Canceled, want: Outcome{Cancelled, "cancelled", "", "context canceled"}},
		"a death by an interruption": {ctx: ended, err: &worker.Died{Signal: syscall.SIGKILL}, want: Outcome{Cancelled, "cancelled", "", "context canceled"}},
		"anything else":              {err: errors.New("odd"), want: Outcome{Errored, "error", "", "odd"}},
	} {
		ctx := tt.ctx
		if ctx == nil {
			ctx = context.Background()
		}
		if got := Of(ctx, tt.err); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

// The one rule for exit codes, and its word: PASS belongs to 0 alone.
func TestExitCode(t *testing.T) {
	for _, tt := range []struct {
		cells   []State
		missing bool
		want    int
		verdict string
	}{
		{[]State{Pass, Explained}, false, exit.OK, "PASS"},
		{[]State{Pass, Unsupported, NotRun}, false, exit.OK, "PASS"},
		{[]State{Pass}, true, exit.Unavailable, "UNAVAILABLE"},
		{[]State{Unsupported, NotRun}, false, exit.Unavailable, "UNAVAILABLE"},
		{nil, false, exit.Unavailable, "UNAVAILABLE"},
		{[]State{Measured}, false, exit.Unavailable, "UNAVAILABLE"}, // ran, and nobody compared it
		{[]State{Pass, Unverified}, false, exit.Inconclusive, "UNVERIFIED"},
		{[]State{Unverified}, true, exit.Inconclusive, "UNVERIFIED"},
		{[]State{Pass, Errored, Unverified}, true, exit.Internal, "BROKEN"},
		{[]State{Pass, Crashed}, false, exit.Internal, "BROKEN"},
		{[]State{Hung, Pass}, false, exit.Internal, "BROKEN"},
		{[]State{Crashed, Fail, Unverified}, true, exit.Failed, "FAIL"},
		{[]State{Fail, Cancelled}, false, exit.Interrupted, "INCOMPLETE"},
		{[]State{Pass, Cancelled}, false, exit.Interrupted, "INCOMPLETE"},
	} {
		code := ExitCode(tt.cells, tt.missing)
		if code != tt.want || Verdict(code) != tt.verdict || (Verdict(code) == "PASS") != (code == exit.OK) {
			t.Errorf("%v, missing %t: %d %s, want %d %s", tt.cells, tt.missing, code, Verdict(code), tt.want, tt.verdict)
		}
	}
}

// Every state is known by its name, has a place among the others, and is of one kind.
func TestStates(t *testing.T) {
	for _, s := range States {
		if got, err := Parse(string(s)); err != nil || got != s {
			t.Errorf("%s reads as %q, %v", s, got, err)
		}
		if s != Measured && !s.Worse(Measured) || s.Worse(s) || s != Fail && s.Worse(Fail) {
			t.Errorf("%s has no place in the order", s)
		}
		if s.Holds() && !s.Compared() || s.Broken() && s.Compared() {
			t.Errorf("%s is of two kinds", s)
		}
	}
	if _, err := Parse("passed"); err == nil {
		t.Error("an unknown state is read")
	}
}

func TestSettle(t *testing.T) {
	of := func(list ...Outcome) []*Outcome {
		var out []*Outcome
		for i := range list {
			out = append(out, &list[i])
		}
		return out
	}
	started := Outcome{State: Unsupported, Reason: "worker_start_failed", Detail: "exit status 3"}
	operator := Outcome{State: Unsupported, Reason: "operator_unsupported"}
	never := of(started, started)
	Settle(never)
	if *never[0] != started || *never[1] != started {
		t.Errorf("what never ran: %+v", never[0])
	}
	once := of(started, Outcome{State: Measured}, operator)
	Settle(once)
	if once[0].State != Errored || once[0].Reason != ReasonUnsteady || once[0].Detail != "worker_start_failed: exit status 3" || *once[2] != operator {
		t.Errorf("what ran once: %+v, %+v", once[0], once[2])
	}
}

// drifting is a backend whose every run differs from the one before, or panics.
type drifting struct {
	backends.Backend
	step   float32
	panics bool
	err    error // of a run
	closed int
}

func (d *drifting) Compile(context.Context, *graph.Graph, backends.Options) (backends.Session, error) {
	s := &driftingSession{of: d, steps: []time.Duration{3, 4}}
	s.Fake.Run = s.run
	return s, nil
}

type driftingSession struct {
	backendtest.Fake
	of    *drifting
	sum   float32
	runs  int
	steps []time.Duration
}

func (s *driftingSession) run(context.Context, tensor.List) (tensor.List, error) {
	if s.of.panics {
		panic("index out of range")
	}
	s.sum, s.runs = s.sum+s.of.step, s.runs+1
	if s.of.err != nil {
		return nil, s.of.err
	}
	return tensor.List{{Name: "x", Tensor: tensor.Scalar(s.sum)}}, nil
}
func (s *driftingSession) Plan() backends.Plan { return backends.Plan{Folded: []string{"x"}} }
func (s *driftingSession) LastTiming() backends.Timing {
	return backends.Timing{Execute: 7, Steps: s.steps}
}
func (s *driftingSession) Memory() backends.MemoryUse {
	return backends.MemoryUse{Host: 9, Peak: int64(s.runs)}
}
func (s *driftingSession) Close() error { s.of.closed++; clear(s.steps); return nil }

func TestCollect(t *testing.T) {
	for _, tt := range []struct {
		step float32
		runs int
		want string
	}{{0, 1, "unknown"}, {0, 2, "true"}, {1, 2, "false"}} {
		b := &drifting{step: tt.step}
		r := Collect(context.Background(), b, nil, nil, backends.Options{}, tt.runs)
		got := "unknown"
		if d := r.Deterministic(); d != nil {
			got = fmt.Sprint(*d)
		}
		if r.State != Measured || got != tt.want || b.closed != 1 || r.Timing.Execute != 7 || r.Memory != (backends.MemoryUse{Host: 9, Peak: int64(tt.runs)}) || r.Wall <= 0 ||
			r.Plan == nil || len(r.Plan.Folded) != 1 || !slices.Equal(r.Timing.Steps, []time.Duration{3, 4}) {
			t.Errorf("%+v: %+v, deterministic %s, closed %d times", tt, r, got, b.closed)
		}
	}
	b := &drifting{panics: true}
	r := Collect(context.Background(), b, nil, nil, backends.Options{}, 1)
	if r.State != Crashed || r.Signal != "panic" || r.Detail != "index out of range" || r.Outputs != nil || b.closed != 1 {
		t.Errorf("a panic: %+v, closed %d times", r, b.closed)
	}
	late := &drifting{err: &backends.Unavailable{Backend: "ort", Reason: backends.OperatorUnsupported}}
	if r := Collect(context.Background(), late, nil, nil, backends.Options{}, 1); r.State != Errored || r.Reason != "error" || late.closed != 1 {
		t.Errorf("unavailable once compiled: %+v", r)
	}
}
