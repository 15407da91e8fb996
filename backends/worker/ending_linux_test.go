package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apex-x/apexx/backends"
)

// A process that a driver does not let go of cannot be made without that driver. What its parent sees of it can: of a process that another one
// traces, the kernel shows the end to its parent no earlier than to the tracer, however it ended.

// holdVariable tells the test binary, in the mode "hold", which process to hold.
const holdVariable = "APEXX_WORKER_TEST_HOLD"

// beHolder traces a process until its own input ends. What the process is sent until then reaches it.
func beHolder() error {
	runtime.LockOSThread() // which is the tracer
	pid, err := strconv.Atoi(os.Getenv(holdVariable))
	if err != nil {
		return err
	}
	if err := unix.PtraceSeize(pid); err != nil {
		return fmt.Errorf("tracing process %d: %w", pid, err)
	}
	fmt.Println("held")
	released := make(chan bool)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(released)
	}()
	for {
		select {
		case <-released:
			return nil
		case <-time.After(time.Millisecond):
			passSignal(pid)
		}
	}
}

// passSignal lets a traced process go on that has stopped for a signal, with that signal.
func passSignal(pid int) {
	const trapped = 4 // CLD_TRAPPED
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil || info.Code != trapped {
		return
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil || !status.Stopped() {
		return
	}
	signal := int(status.StopSignal())
	if status.TrapCause() > 0 { // a stop that is no signal's
		signal = 0
	}
	unix.PtraceCont(pid, signal)
}

// hold keeps the end of a worker from this process until release, which may be called again, and makes everything but its being killed short.
func hold(t *testing.T, w *Worker) (release func()) {
	t.Helper()
	w.proc.ending = ending{asked: 50 * time.Millisecond, cancelled: 10 * time.Millisecond, killed: time.Minute, hurried: 50 * time.Millisecond}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	holder := exec.Command(self)
	holder.Env = append(os.Environ(), modeVariable+"=hold", fmt.Sprintf("%s=%d", holdVariable, w.proc.cmd.Process.Pid))
	input, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	holder.Stderr = &stderr
	output, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	held := make([]byte, len("held\n"))
	if _, err := io.ReadFull(output, held); err != nil {
		holder.Wait()
		w.Close()
		if strings.Contains(stderr.String(), "tracing process") {
			t.Skip("no process may trace another here: ", stderr.String())
		}
		t.Fatal(err, stderr.String())
	}
	release = func() {
		input.Close()
		holder.Wait()
	}
	t.Cleanup(release)
	return release
}

// kept starts a worker in a mode and holds it.
func kept(t *testing.T, ctx context.Context, mode string) (w *Worker, release func()) {
	t.Helper()
	w, err := Start(ctx, spec(t, mode))
	if err != nil {
		t.Fatal(err)
	}
	return w, hold(t, w)
}

// returned gives an act the time to come to the kill, and a little more, before it lets the worker go. The act has to wait for that.
func returned(t *testing.T, w *Worker, release func(), act func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- act() }()
	select {
	case <-w.proc.killing:
	case err := <-done:
		t.Fatalf("returned %v before the worker was killed", err)
	case <-time.After(patience):
		t.Fatal("the worker was not killed")
	}
	select {
	case err := <-done:
		t.Errorf("returned %v while the worker was there", err)
		return err
	case <-time.After(4 * w.proc.ending.hurried):
	}
	release()
	return <-done
}

// killExiting kills a worker, as one does whose patience is over, once the worker is ending by itself.
func killExiting(t *testing.T, w *Worker) {
	for end := time.Now().Add(patience); !w.proc.exiting(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Error("the worker does not end by itself")
			break
		}
	}
	w.proc.kill()
}

// TestSlowClose closes workers that are long gone for themselves before the kernel says so.
func TestSlowClose(t *testing.T) {
	for _, mode := range []string{"ok", "deaf"} {
		w, release := kept(t, context.Background(), mode)
		if err := returned(t, w, release, w.Close); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		vanishes(t, w.proc.cmd.Process.Pid)
	}
}

// TestSlowDeaths has workers die over a request, each of which is told as it was, however long the kernel takes.
func TestSlowDeaths(t *testing.T) {
	for _, c := range []struct{ fault, text string }{
		{"exit", "exit code 3: giving up"},
		{"kill", "signal 9, killed"},
		{"panic", "panic: index out of range [7] with length 3"},
		{"hang", "no answer within 200ms, killed: hangs"},
	} {
		w, release := kept(t, context.Background(), "ok")
		s, err := w.Open(context.Background(), addGraph(t, 3), backends.Options{Extra: map[string]string{"execute": c.fault}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Upload(context.Background(), floats(3, 1)); err != nil {
			t.Fatal(err)
		}
		if c.fault == "hang" {
			w.spec.Deadline = deadline
		} else {
			w.proc.ending.asked = patience
			go func() { killExiting(t, w) }()
		}
		err = returned(t, w, release, func() error { return s.Execute(context.Background()) })
		if want := "the worker of backend fake died during execute: " + c.text; err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
		s.Close()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestStuck closes workers that do not go away, and tells that once the time for it is over.
func TestStuck(t *testing.T) {
	for _, told := range []bool{false, true} {
		w, release := kept(t, context.Background(), "ok")
		w.proc.ending.killed = 50 * time.Millisecond
		var stuck *Stuck
		if told {
			w.spec.OnStuck = func(s *Stuck) { stuck = s }
		}
		if err := w.Close(); told != (err == nil) || !told && !errors.As(err, &stuck) {
			t.Fatalf("Close: %v", err)
		}
		pid := w.proc.cmd.Process.Pid
		if stuck == nil || stuck.Backend != "fake" || stuck.Pid != pid || stuck.Waited < 50*time.Millisecond {
			t.Fatalf("told %+v", stuck)
		}
		stuck.Waited = 2 * time.Minute
		want := fmt.Sprintf("the worker of backend fake (process %d) is still there 2m0s after it was killed: a driver or the kernel holds it, and with it "+
			"its memory and its device; if it does not go away, restart the machine", pid)
		if stuck.Error() != want {
			t.Errorf("%v\nwant %s", stuck, want)
		}
		release()
		vanishes(t, pid)
	}
}

// TestStuckOverRequest: one wait for all who want the process gone.
func TestStuckOverRequest(t *testing.T) {
	w, _ := kept(t, context.Background(), "ok")
	w.proc.ending.killed = 100 * time.Millisecond
	_, err := w.Open(context.Background(), addGraph(t, 1), backends.Options{Extra: map[string]string{"compile": "exit"}})
	var d *Died
	if !errors.As(err, &d) || !errors.As(err, new(*Stuck)) || d.ExitCode != -1 || !strings.Contains(err.Error(), "died during compile: the worker of backend fake (process ") {
		t.Fatalf("got %v", err)
	}
	w.proc.ending.asked = patience
	start := time.Now()
	if err := w.Close(); !errors.As(err, new(*Stuck)) {
		t.Errorf("Close: %v", err)
	}
	if took := time.Since(start); took > patience/2 {
		t.Errorf("Close waits for %v again", took)
	}
}

// TestSlowEndCancelled: nobody waits for a slow end whose own time is over, and nobody calls it stuck.
func TestSlowEndCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w, release := kept(t, ctx, "ok")
	closed := make(chan error)
	go func() { closed <- w.Close() }()
	<-w.proc.killing
	cancel()
	select {
	case err := <-closed:
		if err != nil {
			t.Errorf("Close: %v", err)
		}
	case <-time.After(patience):
		t.Error("Close waits although the program is to end")
	}
	if w.ended() {
		t.Error("the worker was not held")
	}
	release()
	vanishes(t, w.proc.cmd.Process.Pid)

	w, _ = kept(t, context.Background(), "ok")
	short, stop := context.WithTimeout(context.Background(), deadline)
	defer stop()
	start := time.Now()
	_, err := w.Open(short, addGraph(t, 1), backends.Options{Extra: map[string]string{"compile": "hang"}})
	if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > patience {
		t.Errorf("a caller's own deadline: %v after %v", err, took)
	}
}

// TestKilledByUs: what ends by itself was not killed by us, though it was sent a signal.
func TestKilledByUs(t *testing.T) {
	for mode, killed := range map[string]bool{"ok": false, "deaf": true} {
		w, release := kept(t, context.Background(), mode)
		if !killed {
			w.proc.ending.asked = patience
			go func() { killExiting(t, w) }()
		}
		if err := returned(t, w, release, w.Close); err != nil {
			t.Error(err)
		}
		if w.proc.wasKilled() != killed {
			t.Errorf("%s: killed by us: %v, want %v", mode, !killed, killed)
		}
		if signal := w.proc.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(); (signal == syscall.SIGKILL) != killed {
			t.Errorf("%s: ended by signal %v", mode, signal)
		}
	}
}

// TestDeathOverClose: a session is told when its process dies over closing it, and not when that was gone before.
func TestDeathOverClose(t *testing.T) {
	for stage, want := range map[string]string{"close": "the worker of backend fake died during close: exit code 3: giving up", "execute": ""} {
		s := compileFake(t, spec(t, "ok"), "", backends.Options{Extra: map[string]string{stage: "exit"}})
		if _, err := backends.Run(context.Background(), s, floats(3, 1)); (err != nil) != (stage == "execute") {
			t.Fatal(err)
		}
		if err := s.Close(); want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("dying over %s, then closed: %v", stage, err)
		}
	}

	r := Reuse(spec(t, "ok"))
	defer r.Close()
	for range 2 {
		again, err := r.Compile(context.Background(), addGraph(t, 2), backends.Options{Extra: map[string]string{"close": "exit"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := backends.Run(context.Background(), again, floats(2, 1)); err != nil {
			t.Error(err)
		}
		if err := again.Close(); err != nil {
			t.Errorf("all results were given: %v", err)
		}
	}
}
