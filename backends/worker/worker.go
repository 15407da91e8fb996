package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/apex-x/apexx/backends"
)

// Worker is one running process. It is a backends.Backend whose sessions share the process: one request at a time, others
// wait for their turn, and the death of the process is the death of all its sessions.
type Worker struct {
	spec  Spec
	proc  *process
	hello Hello

	variables []backends.Fact // Variables

	life    context.Context // that of Start: the process ends with it
	unwatch func() bool     // stops watching life

	turn    chan struct{} // holds one token: the right to make a request
	nextID  uint64        // of the last request; under turn
	dead    error         // what every call returns from now on; under turn
	closing atomic.Bool

	replies chan message  // closed by the reader
	readErr error         // why the reader ended; valid once replies is closed
	quit    chan struct{} // closed when nobody will take replies any more
}

// Start starts a worker and waits for its hello. Its errors wrap an *backends.Unavailable with the reason worker_not_found,
// worker_start_failed or worker_version_mismatch; if ctx is cancelled, the error wraps context.Canceled instead.
//
// ctx bounds the life of the process, as that of exec.CommandContext does: when it is done, the worker has 250 ms to end and is killed,
// so that many workers end together and none delays the end of the program. Where one fails to start and cannot be
// killed, the error is a *Stuck as well (Close).
func Start(ctx context.Context, spec Spec) (*Worker, error) {
	argv, err := spec.command()
	if err != nil {
		return nil, err
	}
	proc, err := startProcess(argv, spec.Env)
	if err != nil {
		return nil, startFailed(spec.Name, backends.WorkerStartFailed, err)
	}
	w := &Worker{spec: spec, proc: proc, life: ctx, turn: make(chan struct{}, 1), replies: make(chan message, 1), quit: make(chan struct{})}
	w.turn <- struct{}{}
	w.unwatch = context.AfterFunc(ctx, w.hurry)
	go w.read()
	if err := w.greet(ctx); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// hurry ends a worker whose time is over, whether or not a call finds out.
func (w *Worker) hurry() {
	w.proc.resume()
	w.proc.stdin.Close()
	w.proc.end(w.life, w.proc.ending.cancelled)
}

func (w *Worker) greet(ctx context.Context) error {
	name := w.spec.Name
	req := helloRequest{Protocol: Protocol, MemoryLimit: w.spec.memoryLimit(), OOMScoreAdj: 1000, Variables: decisive}
	err := w.call(ctx, w.spec.startTimeout(), kindHello, req, &w.hello)
	if errors.Is(err, context.Canceled) {
		return err
	}
	if err != nil {
		return startFailed(name, backends.WorkerStartFailed, err)
	}
	w.hello = w.hello.printable()
	w.variables = tellable(others(chosen(os.Environ(), decisive), w.hello.Variables))
	if v := w.hello.Protocol; v.Major != Protocol.Major {
		return startFailed(name, backends.WorkerVersionMismatch, fmt.Errorf("%s speaks version %v of the worker protocol, "+
			"this program %v: use builds of one major version", w.proc.cmd.Path, v, Protocol))
	}
	if w.hello.Backend != name {
		return startFailed(name, backends.WorkerStartFailed, fmt.Errorf("%s is a worker of backend %.40q", w.proc.cmd.Path,
			w.hello.Backend))
	}
	return nil
}

// Hello returns what the worker said of itself.
func (w *Worker) Hello() Hello { return w.hello }

// Name returns the name of the backend.
func (w *Worker) Name() string { return w.spec.Name }

// Probe asks the worker. A worker that dies over it is unavailable with the reason worker_start_failed.
func (w *Worker) Probe(ctx context.Context) backends.Availability {
	var r probeReply
	if err := w.call(ctx, w.spec.questionTimeout(), kindProbe, struct{}{}, &r); err != nil {
		return unavailable(err)
	}
	a := r.availability()
	a.Facts = append(a.Facts, backends.Fact{Key: "worker", Value: w.proc.cmd.Path},
		backends.Fact{Key: "worker_protocol", Value: w.hello.Protocol.String()})
	for _, v := range w.Variables() {
		a.Facts = append(a.Facts, backends.Fact{Key: variableFact + v.Key, Value: v.Value})
	}
	return a
}

func unavailable(err error) backends.Availability {
	var u *backends.Unavailable
	if errors.As(err, &u) {
		return backends.Availability{Reason: u.Reason, Detail: u.Detail}
	}
	return backends.Availability{Reason: backends.WorkerStartFailed, Detail: err.Error()}
}

// call makes one request. timeout bounds it from the moment its turn has come; 0 means that ctx alone does. What is not
// answered in time is killed, as a computation in C cannot be interrupted otherwise.
func (w *Worker) call(ctx context.Context, timeout time.Duration, kind string, body, reply any) error {
	select {
	case <-w.turn:
		defer func() { w.turn <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for the worker of backend %s: %w", w.spec.Name, context.Cause(ctx))
	}
	if w.dead != nil {
		return w.dead
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("%s on the worker of backend %s: %w", kind, w.spec.Name, err)
	}
	w.nextID++
	payload, err := encodeMessage(w.nextID, kind, body)
	if err != nil {
		return fmt.Errorf("worker of backend %s: %w", w.spec.Name, err)
	}
	caller, start := ctx, time.Now()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, start.Add(timeout))
		defer cancel()
	}
	stop := context.AfterFunc(ctx, func() { w.proc.kill() }) // ends a blocked write, too
	m, err := w.exchange(ctx, payload)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = w.accept(m, kind, reply)
	}
	if err != nil && !goesOn(err) {
		w.dead = w.died(ctx, caller, start, kind, err)
		return w.dead
	}
	return err
}

// goesOn tells an error that a worker answered and survived from the end of the worker.
func goesOn(err error) bool {
	var answer *Error
	if errors.As(err, &answer) {
		return answer.Code != CodePanic && !errors.As(err, new(*Died))
	}
	return errors.As(err, new(*backends.Unavailable))
}

func (w *Worker) exchange(ctx context.Context, payload []byte) (message, error) {
	if err := writeFrame(w.proc.stdin, payload); err != nil {
		return message{}, err
	}
	for {
		select {
		case m, ok := <-w.replies:
			if !ok {
				return message{}, w.readErr
			}
			if m.Kind == kindProgress && report(ctx, m) {
				continue
			}
			return m, nil
		case <-ctx.Done():
			return message{}, context.Cause(ctx)
		}
	}
}

// accept decodes the reply to the current request.
func (w *Worker) accept(m message, kind string, reply any) error {
	if m.ID != w.nextID {
		return fmt.Errorf("the worker answered request %d, request %d was asked", m.ID, w.nextID)
	}
	switch m.Kind {
	case kind:
		return m.decode(reply)
	case kindError:
		var e wireError
		if err := m.decode(&e); err != nil {
			return err
		}
		return e.err(w.spec.Name)
	}
	return fmt.Errorf("the worker answered a %s request with a %.40q message", kind, m.Kind)
}

// read passes frames on until the worker's output ends or is not understood.
func (w *Worker) read() {
	defer close(w.replies)
	r := bufio.NewReader(&lastWords{pipe: w.proc.stdout})
	for {
		payload, err := readFrame(r)
		if err != nil {
			w.readErr = err
			return
		}
		m, err := decodeMessage(payload)
		if err != nil {
			w.readErr = err
			return
		}
		select {
		case w.replies <- m:
		case <-w.quit:
			return
		}
	}
}

// limit is the time that a request of this start had until the deadline of its context. One that began as that passed had a millisecond.
func limit(ctx context.Context, start time.Time) time.Duration {
	deadline, _ := ctx.Deadline()
	return max(deadline.Sub(start), time.Millisecond)
}

// died ends the process and describes its end. err is why the current request failed, start when it began, and ctx bounded it. A caller whose own
// time is over, or that of the worker, does not wait for what a driver takes.
func (w *Worker) died(ctx, caller context.Context, start time.Time, stage string, err error) *Died {
	d := &Died{Backend: w.spec.Name, Stage: stage}
	grace := w.proc.ending.asked // it is ending by itself
	gone := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case w.closing.Load():
		d.Cause = ErrClosed
	case ctx.Err() != nil:
		d.Cause, grace = context.Cause(ctx), 0
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			d.Limit = limit(ctx, start)
		}
	case w.life.Err() != nil:
		d.Cause, grace = context.Cause(w.life), w.proc.ending.cancelled
	case !gone && !errors.As(err, new(*Error)):
		d.Cause, grace = err, 0
	case !gone:
		d.Cause = err // a panic that it reported before ending
	}
	waiting, over := context.WithCancel(caller)
	defer over()
	defer context.AfterFunc(w.life, over)()
	ended := w.proc.end(waiting, grace) // its input stays open: one that is ending need not see it close
	w.proc.report(d)
	w.release()
	if d.Cause == nil && !ended {
		d.Cause = w.stuck()
	} else if d.Cause == nil && w.proc.wasKilled() {
		d.Cause = errors.New("it closed its output and did not exit, killed")
	}
	d.OOM = d.Cause == nil && w.proc.ranOutOfMemory(d, w.spec.memoryLimit() > 0)
	return d
}

func (w *Worker) release() {
	w.unwatch()
	w.proc.stdin.Close()
	w.proc.stdout.Close()
	select {
	case <-w.quit:
	default:
		close(w.quit)
	}
}

// Close ends the worker: it is asked to end, then its input is closed, then it is killed. A request in progress is not
// waited for; it returns a *Died with the cause ErrClosed. Sessions have to be closed all the same: they have files open.
//
// When Close returns nil, the process is gone, and with it what it held of memory and devices, or the context of Start is done and nobody waits for that.
// Else the process is a *Stuck, which is the error unless Spec.OnStuck takes it.
func (w *Worker) Close() error {
	if w.closing.Swap(true) {
		return nil
	}
	w.proc.resume() // one that is paused could not see that it should end
	select {
	case <-w.turn:
		if w.dead == nil {
			w.dead = fmt.Errorf("backend %s: %w", w.spec.Name, ErrClosed)
			w.nextID++
			if m, err := encodeMessage(w.nextID, kindShutdown, struct{}{}); err == nil && writeFrame(w.proc.stdin, m) == nil {
				w.proc.goneWithin(w.proc.ending.asked, w.proc.killing)
			}
		}
		defer func() { w.turn <- struct{}{} }()
		defer w.release()
	default: // the request in progress finds its worker gone, and releases
	}
	w.proc.stdin.Close()
	if w.proc.end(w.life, w.proc.ending.asked) || w.life.Err() != nil {
		return nil
	}
	if w.spec.OnStuck != nil {
		w.spec.OnStuck(w.stuck())
		return nil
	}
	return w.stuck()
}

// stuck describes a process that was killed and is not gone.
func (w *Worker) stuck() *Stuck {
	return &Stuck{Backend: w.spec.Name, Pid: w.proc.cmd.Process.Pid, Waited: time.Since(w.proc.kill())}
}

// Pause stops a worker that has nothing to do, so that threads which wait by spinning and collections of garbage cannot disturb
// what else is being timed; on Linux alone. Every request needs Resume before it. A paused worker ends with its parent all the
// same.
func (w *Worker) Pause() { w.proc.pause() }

// Resume lets a paused worker go on.
func (w *Worker) Resume() { w.proc.resume() }

// ended tells whether the process is gone.
func (w *Worker) ended() bool { return w.proc.gone() }
