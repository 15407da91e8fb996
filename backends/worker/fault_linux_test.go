package worker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
)

// TestStartFailures lists what may go wrong before a worker is usable, and the reason that each becomes.
func TestStartFailures(t *testing.T) {
	textFile := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(textFile, []byte("not a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode    string
		command []string
		reason  backends.Reason
		detail  string
	}{
		{"missing path", []string{"/nonexistent/apexx-fake"}, backends.WorkerNotFound, "no such file"},
		{"missing name", []string{"apexx-no-such-worker"}, backends.WorkerNotFound, "not found in $PATH"},
		{"no command", nil, backends.WorkerNotFound, "set APEXX_WORKER_FAKE to its path"},
		{"not executable", []string{textFile}, backends.WorkerStartFailed, "permission denied"},
		{"garbage", nil, backends.WorkerStartFailed, `got "Loading " where a frame has to start`},
		{"slow", nil, backends.WorkerStartFailed, "during hello: no answer within 100ms, killed"},
		{"silent", nil, backends.WorkerStartFailed, "during hello: exit code 0"},
		{"complain", nil, backends.WorkerStartFailed, "exit code 6: cannot open libfake.so"},
		{"next-major", nil, backends.WorkerVersionMismatch, "speaks version 3.0 of the worker protocol, this program 2.3"},
		{"last-major", nil, backends.WorkerVersionMismatch, "speaks version 1.2 of the worker protocol, this program 2.3: use builds of one major version"},
		{"other-backend", nil, backends.WorkerStartFailed, `is a worker of backend "other"`},
		{"wrong-id", nil, backends.WorkerStartFailed, "answered request 99, request 1 was asked"},
		{"not-json", nil, backends.WorkerStartFailed, "not the JSON object"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			defer nothingLeft(t)
			s := spec(t, c.mode)
			s.StartTimeout = time.Minute
			if c.mode == "slow" {
				s.StartTimeout = 100 * time.Millisecond
			}
			if c.mode == "no command" || c.command != nil {
				s.Command = c.command
			}
			start := time.Now()
			_, err := New(s).Compile(context.Background(), addGraph(t, 1), backends.Options{})
			var u *backends.Unavailable
			if !errors.As(err, &u) || u.Backend != "fake" || u.Reason != c.reason || !strings.Contains(u.Detail, c.detail) {
				t.Errorf("Compile: %v\nwant reason %s with %q", err, c.reason, c.detail)
			}
			if got := New(s).Probe(context.Background()).Reason; got != u.Reason {
				t.Errorf("Probe gives the reason %s", got)
			}
			if took := time.Since(start); took > patience {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestDeaths ends workers in every way and at every stage, and checks what the caller learns and that it can go on.
func TestDeaths(t *testing.T) {
	for _, c := range []struct {
		fault string
		want  Died   // Stage is filled in
		text  string // of the error, after "the worker of backend fake died during STAGE: "
	}{
		{"kill", Died{Signal: syscall.SIGKILL, ExitCode: -1}, "signal 9, killed"},
		{"exit", Died{ExitCode: 3}, "exit code 3: giving up"},
		{"daemon", Died{ExitCode: 3}, "exit code 3: left a daemon"},
		{"panic", Died{ExitCode: 6}, "panic: index out of range [7] with length 3"},
		{"goroutine-panic", Died{ExitCode: 2}, "exit code 2: panic: in a goroutine"},
		{"segv", Died{ExitCode: 2}, "exit code 2: SIGSEGV: segmentation violation"},
		{"hang", Died{Signal: syscall.SIGKILL, ExitCode: -1, Limit: deadline}, "no answer within 200ms, killed"},
		{"stop", Died{Signal: syscall.SIGKILL, ExitCode: -1, Limit: deadline}, "no answer within 200ms, killed"},
		{"allocate", Died{ExitCode: 2, OOM: true}, "out of memory (exit code 2): runtime: out of memory: cannot allocate "},
	} {
		for _, stage := range []string{"compile", "upload", "execute", "download"} {
			t.Run(c.fault+" in "+stage, func(t *testing.T) {
				if c.want.OOM && raceMode() {
					t.Skip("the race detector needs more address space than any limit and dies with other words")
				}
				defer nothingLeft(t)
				s := spec(t, "ok")
				s.Deadline = time.Minute
				if c.want.OOM {
					s.MemoryLimit = 1
				}
				c.want.Stage = stage
				checkDeath(t, s, c.fault, c.want, "the worker of backend fake died during "+stage+": "+c.text)
			})
		}
	}
}

func raceMode() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// deadline is that of the one request that is to exceed it: others of the same session have as long as they take.
const deadline = 200 * time.Millisecond

func checkDeath(t *testing.T, spec Spec, fault string, want Died, text string) {
	ctx, client := context.Background(), New(spec)
	if want.Limit > 0 && want.Stage == "compile" {
		client.spec.CompileDeadline = deadline
	}
	start := time.Now()
	session, err := client.Compile(ctx, addGraph(t, 4), backends.Options{Extra: map[string]string{want.Stage: fault}})
	if want.Stage != "compile" {
		if err != nil {
			t.Fatal(err)
		}
		err = runUntil(ctx, session.(*Session), want)
		if _, again := backends.Run(ctx, session, floats(4, 1)); again != err {
			t.Errorf("a later run says %v", again)
		}
		defer func() {
			if err := session.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}()
	}
	if took := time.Since(start); took > patience {
		t.Errorf("took %v, want at most %v", took, patience)
	}
	var d *Died
	if !errors.As(err, &d) {
		t.Fatalf("got %v, want a *Died", err)
	}
	if d.Stage != want.Stage || d.Signal != want.Signal || d.ExitCode != want.ExitCode || d.Limit != want.Limit || d.OOM != want.OOM {
		t.Errorf("got  %+v\nwant %+v", d, want)
	}
	if late := want.Limit > 0; late != errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("errors.Is DeadlineExceeded is %v", !late)
	}
	if !strings.HasPrefix(err.Error(), text) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 300 {
		t.Errorf("text %q\nwant %q", err, text)
	}
	vanishes(t, d.Pid)

	client.spec.CompileDeadline = 0
	other, err := client.Compile(ctx, addGraph(t, 2), backends.Options{})
	if err != nil {
		t.Fatalf("after the death: %v", err)
	}
	defer other.Close()
	if out, err := backends.Run(ctx, other, floats(2, 1)); err != nil || tensor.Data[float32](out[0].Tensor)[1] != 2 {
		t.Errorf("after the death: %v, %v", out, err)
	}
}

// runUntil runs a session until a stage fails, the one of a death by deadline under that deadline.
func runUntil(ctx context.Context, s *Session, want Died) error {
	for _, step := range []struct {
		stage string
		call  func() error
	}{
		{"upload", func() error { return s.Upload(ctx, floats(4, 1)) }},
		{"execute", func() error { return s.Execute(ctx) }},
		{"download", func() error { _, err := s.Download(ctx); return err }},
	} {
		if want.Limit > 0 && want.Stage == step.stage {
			s.worker.spec.Deadline = deadline
		}
		if err := step.call(); err != nil {
			return err
		}
	}
	return nil
}

// TestLimit tells of a late worker the time that it had, as a person says it.
func TestLimit(t *testing.T) {
	start := time.Now()
	for left, want := range map[time.Duration]string{
		-time.Minute:                                "1ms", // the deadline had passed when the request began
		300 * time.Microsecond:                      "1ms",
		50*time.Millisecond - time.Microsecond:      "50ms",
		999*time.Millisecond + 400*time.Microsecond: "999ms",
		time.Second - 400*time.Microsecond:          "1s",
		90*time.Second + 4*time.Millisecond:         "1m30s",
		5*time.Minute - 3*time.Millisecond:          "5m0s",
	} {
		ctx, cancel := context.WithDeadline(context.Background(), start.Add(left))
		cancel()
		d := &Died{Backend: "fake", Stage: "execute", Limit: limit(ctx, start)}
		if got, want := d.Error(), "the worker of backend fake died during execute: no answer within "+want+", killed"; got != want {
			t.Errorf("%v: %s\nwant %s", left, got, want)
		}
	}
}

// TestCallersDeadline: of the bound of a request and the deadline of its caller the earlier one is told, this one from when the request began.
func TestCallersDeadline(t *testing.T) {
	defer nothingLeft(t)
	for _, own := range []time.Duration{0, deadline, time.Minute} {
		s := uploaded(t, compileFake(t, spec(t, "ok"), "", backends.Options{Extra: map[string]string{"execute": "hang"}}))
		s.worker.spec.Deadline = own
		ctx, cancel := context.WithTimeout(context.Background(), 4*deadline)
		time.Sleep(deadline)
		left := limit(ctx, time.Now())
		err := s.Execute(ctx)
		cancel()
		var d *Died
		if !errors.As(err, &d) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("own bound %v: %v", own, err)
		}
		if own == deadline && d.Limit != own || own != deadline && (d.Limit > left || d.Limit < left/2) {
			t.Errorf("own bound %v, %v left of the caller's: told %v", own, left, d.Limit)
		}
		if again := s.Execute(context.Background()); again != err {
			t.Errorf("a later call says %v", again)
		}
	}
}

// TestPanicDetail keeps the stack for a report and out of the message.
func TestPanicDetail(t *testing.T) {
	_, err := New(spec(t, "ok")).Compile(context.Background(), addGraph(t, 1), backends.Options{Extra: map[string]string{"compile": "panic"}})
	var e *Error
	if !errors.As(err, &e) || e.Code != CodePanic || !strings.Contains(e.Detail, "fake_linux_test.go") || strings.Contains(e.Message, "\n") {
		t.Errorf("got %v with %+v", err, e)
	}
}

func TestProbePanics(t *testing.T) {
	defer nothingLeft(t)
	s := spec(t, "ok")
	s.Env = append(s.Env, "FAKE_PROBE=panic")
	c := New(s)
	defer c.Close()
	for range 2 {
		a := c.Probe(context.Background())
		want := "the worker of backend fake died during probe: panic: probe fails"
		if a.Available || a.Reason != backends.WorkerStartFailed || a.Detail != want {
			t.Errorf("Probe = %+v", a)
		}
	}
}

// TestErrors checks that errors which a worker survives keep their type and text on the way.
func TestErrors(t *testing.T) {
	defer nothingLeft(t)
	ctx := context.Background()
	w, err := Start(ctx, spec(t, "ok"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s, err := w.Compile(ctx, addGraph(t, 2), backends.Options{Extra: map[string]string{"execute": "error"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	compile := func(fault string) error {
		_, err := w.Compile(ctx, addGraph(t, 2), backends.Options{Extra: map[string]string{"compile": fault}})
		return err
	}
	run := func(in tensor.List) error {
		_, err := backends.Run(ctx, s, in)
		return err
	}
	_, tap := w.Compile(ctx, addGraph(t, 2), backends.Options{Taps: []string{"nowhere"}})
	nan := floats(2, 0)
	tensor.Data[float32](nan[0].Tensor)[1] /= tensor.Data[float32](nan[0].Tensor)[0]
	for _, c := range []struct {
		name string
		err  error
		code Code // "" for an *backends.Unavailable itself
		text string
	}{
		{"failure", compile("error"), CodeFailed, "kernel 7 failed with status 3"},
		{"unavailable", compile("unavailable"), "", "backend fake is unavailable: library_not_found: libfake.so"},
		{"wrapped", compile("wrapped-unavailable"), CodeUnavailable, "loading: backend fake is unavailable: provider_unavailable: x"},
		{"tap", tap, CodeBadInput, `graph add has no tap or value "nowhere"`},
		{"failing run", run(floats(2, 1)), CodeFailed, "kernel 7 failed with status 3"},
		{"NaN", run(nan), CodeBadInput, `input "x" has a NaN or infinity at element 1`},
		{"shape", run(floats(3, 1)), CodeBadInput, `input "x" is float32[3], the session was compiled for float32[2]`},
		{"missing", run(tensor.List{{Name: "y", Tensor: floats(2, 1)[0].Tensor}}), CodeBadInput, `input "x" is missing`},
		{"count", run(nil), CodeBadInput, "got 0 inputs, the graph has 1"},
		{"unknown kind", w.call(ctx, 0, "profile", struct{}{}, nil), CodeUnknownKind, `this worker, of protocol 2.3, does not know "profile" requests`},
		{"kind of protocol 1", w.call(ctx, 0, "run", sessionRequest{1}, nil), CodeUnknownKind, `this worker, of protocol 2.3, does not know "run" requests`},
		{"unknown session", w.call(ctx, 0, kindExecute, sessionRequest{77}, nil), CodeBadMessage, "there is no session 77"},
		{"body", w.call(ctx, 0, kindExecute, []int{1}, nil), CodeBadMessage, "body of execute message: json: cannot unmarshal array"},
	} {
		var e *Error
		var u *backends.Unavailable
		switch {
		case c.err == nil || !strings.HasPrefix(c.err.Error(), c.text):
			t.Errorf("%s: got %v, want %s", c.name, c.err, c.text)
		case c.code == "" && !errors.As(c.err, &u) || c.code != "" && (!errors.As(c.err, &e) || e.Code != c.code):
			t.Errorf("%s: got %T %+v, want code %q", c.name, c.err, c.err, c.code)
		case c.code == CodeUnavailable && (!errors.As(c.err, &u) || u.Reason != backends.ProviderUnavailable || u.Detail != "x"):
			t.Errorf("%s: the reason is lost: %+v", c.name, u)
		}
	}
}

func TestCancel(t *testing.T) {
	defer nothingLeft(t)
	s := compileFake(t, spec(t, "ok"), "", backends.Options{Extra: map[string]string{"execute": "hang"}})
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := backends.Run(done, s, floats(3, 1)); !errors.Is(err, context.Canceled) || errors.As(err, new(*Died)) {
		t.Errorf("with a context that is done: %v, want an error that leaves the worker alive", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { hanging(s.worker); cancel() }()
	_, err := backends.Run(ctx, s, floats(3, 1))
	var d *Died
	if !errors.As(err, &d) || !errors.Is(err, context.Canceled) || d.Limit != 0 || !strings.HasSuffix(err.Error(), "execute: cancelled, killed: hangs") {
		t.Fatalf("got %v", err)
	}
	vanishes(t, d.Pid)
}

// TestCloseWhileRunning closes a worker under a request.
func TestCloseWhileRunning(t *testing.T) {
	defer nothingLeft(t)
	w, err := Start(context.Background(), spec(t, "ok"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Compile(context.Background(), addGraph(t, 1), backends.Options{Extra: map[string]string{"execute": "hang"}})
	if err != nil {
		t.Fatal(err)
	}
	go func() { hanging(w); w.Close() }()
	if _, err := backends.Run(context.Background(), s, floats(1, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if w.proc.wasKilled() {
		t.Error("the worker did not see its input close: it was killed")
	}
	if _, err := backends.Run(context.Background(), s, floats(1, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("later: %v", err)
	}
	s.Close()
	vanishes(t, w.Hello().Pid)
}

// TestDeafWorker closes a worker that neither answers nor minds its input.
func TestDeafWorker(t *testing.T) {
	defer nothingLeft(t)
	w, err := Start(context.Background(), spec(t, "deaf"))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > patience {
		t.Errorf("took %v", took)
	}
	vanishes(t, w.proc.cmd.Process.Pid)
}

// TestDeafWorkersCancelled ends workers that mind nothing: with their context, all of them together.
func TestDeafWorkersCancelled(t *testing.T) {
	defer nothingLeft(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var workers []*Worker
	for range 7 {
		w, err := Start(ctx, spec(t, "deaf"))
		if err != nil {
			t.Fatal(err)
		}
		workers = append(workers, w)
	}
	last := workers[6]
	last.Pause()
	start := time.Now()
	cancel()
	for _, w := range workers[:6] {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	vanishes(t, last.proc.cmd.Process.Pid)                     // also without Close
	if took := time.Since(start); took > 5*usualEnding.asked { // one after the other, or each by its Close, they take twelve
		t.Errorf("took %v", took)
	}
	if err := last.call(context.Background(), patience, kindProbe, struct{}{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("later: %v", err)
	}
}

// TestGroup kills what a worker has started, too.
func TestGroup(t *testing.T) {
	defer nothingLeft(t)
	s := spec(t, "ok")
	s.CompileDeadline = deadline
	_, err := New(s).Compile(context.Background(), addGraph(t, 1), backends.Options{Extra: map[string]string{"compile": "child"}})
	var d *Died
	if !errors.As(err, &d) || d.Limit != deadline {
		t.Fatalf("got %v", err)
	}
	for end := time.Now().Add(patience); syscall.Kill(-d.Pid, 0) != syscall.ESRCH; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the group is still there")
		}
	}
}

func TestTail(t *testing.T) {
	var short, long tail
	short.Write([]byte("a\nb\n"))
	if got := short.String(); got != "a\nb\n" {
		t.Errorf("got %q", got)
	}
	line := []byte(strings.Repeat("x", 99) + "\n")
	for range 5000 {
		long.Write(line)
	}
	long.Write([]byte("last\n"))
	got := long.String()
	if len(got) > tailSize || len(got) < tailSize-100 || !strings.HasSuffix(got, "x\nlast\n") || len(strings.SplitN(got, "\n", 2)[0]) != 99 {
		t.Errorf("kept %d bytes", len(got))
	}
	if cap(long.buf) > 4*tailSize {
		t.Errorf("holds %d bytes", cap(long.buf))
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "apexx-some-gpu")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if got, err := Find("some-gpu"); err != nil || !slices.Equal(got, []string{program}) {
		t.Errorf("in PATH: %v, %v", got, err)
	}
	t.Setenv("PATH", "")
	for name, text := range map[string]string{
		"some-gpu":  "backend some-gpu is unavailable: worker_not_found: no executable apexx-some-gpu in ",
		"../../etc": `"../../etc" is not the name of a backend`,
	} {
		if _, err := Find(name); err == nil || !strings.HasPrefix(err.Error(), text) {
			t.Errorf("Find(%q): %v, want %s", name, err, text)
		}
	}
	t.Setenv("APEXX_WORKER_SOME_GPU", program)
	if got, err := Find("some-gpu"); err != nil || !slices.Equal(got, []string{program}) {
		t.Errorf("by the variable: %v, %v", got, err)
	}
	t.Setenv("APEXX_WORKER_SOME_GPU", dir+"/gone")
	_, err := Find("some-gpu")
	var u *backends.Unavailable
	if !errors.As(err, &u) || u.Reason != backends.WorkerNotFound || !strings.Contains(u.Detail, "APEXX_WORKER_SOME_GPU names") {
		t.Errorf("by a wrong variable: %v", err)
	}
}

// TestHeadline: of what a dying program printed, the line that says why.
func TestHeadline(t *testing.T) {
	for stderr, want := range map[string]string{
		"":                              "",
		"loading\ncannot open x.so\n\n": "cannot open x.so",
		"panic: index\n\tmore\n":        "panic: index",
		"terminate called after throwing an instance of 'E'\n  what():  CUDA: 35\nAborted\n": "terminate called after throwing an instance of 'E': CUDA: 35",
		"terminate called after throwing an instance of 'int'\nAborted\n":                    "terminate called after throwing an instance of 'int'",
		"warning\nterminate called without an active exception\n":                            "terminate called without an active exception",
		"terminate called recursively\nSIGABRT\n":                                            "terminate called recursively",
	} {
		if got := headline(stderr); got != want {
			t.Errorf("%q: %q, want %q", stderr, got, want)
		}
	}
}
