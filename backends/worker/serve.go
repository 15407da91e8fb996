package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/apex-x/apexx/backends"
)

// maxQueue bounds the requests that a client may send ahead of their replies. It is not one, so that the reader, which has
// to see the end of the input, never waits for the computation.
const maxQueue = 16

// Serve answers the requests that come in on in with replies on out, until it is asked to shut down, in ends, ctx is done
// or the backend panics. It returns nil for the first two and an error for the others and for a client that breaks the
// protocol.
//
// Serve returns as soon as in ends, even while the backend computes: the parent is gone or wants the worker gone. The
// computation goes on in its goroutine, so the caller has to end the process then.
func Serve(ctx context.Context, in io.Reader, out io.Writer, backend backends.Backend) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &server{backend: backend, out: out, limit: limitProcess, sessions: map[int]*hosted{}, folders: map[string]bool{}}
	defer s.removeFolders()
	queue := make(chan message, maxQueue)
	go func() { cancel(receive(in, queue)) }()
	go func() { cancel(s.answer(ctx, queue)) }()
	<-ctx.Done()
	if err := context.Cause(ctx); err != io.EOF && err != errShutdown {
		return fmt.Errorf("worker of backend %s: %w", backend.Name(), err)
	}
	return nil
}

// ServeStdio is Serve on standard input and output, for the main function of a worker. What anything else in the process
// prints on standard output goes to standard error from here on (on Linux).
func ServeStdio(ctx context.Context, backend backends.Backend) error {
	out, err := claimStdout()
	if err != nil {
		return err
	}
	return Serve(ctx, pollable(os.Stdin), out, backend)
}

var errShutdown = errors.New("asked to shut down")

// receive queues requests until the input ends.
func receive(in io.Reader, queue chan<- message) error {
	r := bufio.NewReader(in)
	for {
		payload, err := readFrame(r)
		if err != nil {
			return err
		}
		m, err := decodeMessage(payload)
		if err != nil {
			return err
		}
		select {
		case queue <- m:
		default:
			return fmt.Errorf("the client sent %d requests ahead of their replies", maxQueue)
		}
	}
}

// server is the state behind one conversation. Requests are answered one after the other by one goroutine.
type server struct {
	backend  backends.Backend
	out      io.Writer
	limit    func(helloRequest) error
	greeted  bool
	lastID   int
	sessions map[int]*hosted

	mu      sync.Mutex
	folders map[string]bool // to remove when the conversation ends, however it does
}

func (s *server) answer(ctx context.Context, queue <-chan message) error {
	for {
		select {
		case m := <-queue:
			if err := s.respond(ctx, m); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// respond answers one request. Its error ends the worker.
func (s *server) respond(ctx context.Context, m message) error {
	body, err := s.guarded(ctx, m)
	kind := m.Kind
	if err != nil {
		kind, body = kindError, toWire(err)
	}
	payload, encodeErr := encodeMessage(m.ID, kind, body)
	if encodeErr != nil {
		return encodeErr
	}
	if err := writeFrame(s.out, payload); err != nil {
		return fmt.Errorf("replying: %w", err)
	}
	var e *Error
	switch {
	case errors.As(err, &e) && e.Code == CodePanic:
		return err
	case m.Kind == kindShutdown:
		return errShutdown
	}
	return nil
}

// guarded turns a panic of the backend into an error. One in a goroutine of the backend's own ends the process, and its
// text reaches the client through standard error.
func (s *server) guarded(ctx context.Context, m message) (body any, err error) {
	defer func() {
		if r := recover(); r != nil {
			body, err = nil, &Error{Code: CodePanic, Message: oneLine(fmt.Sprintf("panic: %v", r)), Detail: string(debug.Stack())}
		}
	}()
	return s.handle(ctx, m)
}

func (s *server) handle(ctx context.Context, m message) (any, error) {
	if !s.greeted && m.Kind != kindHello {
		return nil, badMessage("%s came before hello", m.Kind)
	}
	switch m.Kind {
	case kindHello:
		return request(m, s.hello)
	case kindProbe:
		return toProbeReply(s.backend.Probe(ctx)), nil
	case kindCompile:
		return request(m, func(r compileRequest) (any, error) { return s.compile(ctx, r, s.progress(m.ID, r.Progress)) })
	case kindCalibrate:
		return request(m, func(r calibrateRequest) (any, error) { return s.calibrate(ctx, r, s.progress(m.ID, r.Progress)) })
	case kindUpload:
		return request(m, func(r sessionRequest) (any, error) { return s.upload(ctx, r) })
	case kindExecute:
		return request(m, func(r sessionRequest) (any, error) { return s.execute(ctx, r) })
	case kindDownload:
		return request(m, func(r downloadRequest) (any, error) { return s.download(ctx, r) })
	case kindMeasure:
		return request(m, func(r measureRequest) (any, error) { return s.measure(ctx, r) })
	case kindClose:
		return request(m, s.closeSession)
	case kindShutdown:
		return struct{}{}, s.closeAll()
	}
	return nil, &Error{Code: CodeUnknownKind, Message: fmt.Sprintf("this worker, of protocol %v, does not know %q requests",
		Protocol, m.Kind)}
}

// request decodes the body of a message for a handler.
func request[T any](m message, handler func(T) (any, error)) (any, error) {
	var body T
	if err := m.decode(&body); err != nil {
		return nil, badMessage("%v", err)
	}
	return handler(body)
}

func (s *server) hello(r helloRequest) (any, error) {
	h := Hello{Protocol: Protocol, Backend: s.backend.Name(), Pid: os.Getpid(), Build: buildFacts(), Variables: chosen(os.Environ(), r.Variables)}
	if r.Protocol.Major != Protocol.Major {
		return h, nil // the client sees the mismatch and ends the conversation
	}
	if err := s.limit(r); err != nil {
		return nil, err
	}
	s.greeted = true
	return h, nil
}

func buildFacts() map[string]string {
	facts := map[string]string{"go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return facts
	}
	facts["version"] = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			facts["revision"] = s.Value
		case "vcs.modified":
			facts["modified"] = s.Value
		}
	}
	return facts
}

func (s *server) removeFolders() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for path := range s.folders {
		removeFolder(path)
	}
}
