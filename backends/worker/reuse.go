package worker

import (
	"context"
	"errors"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Reused is a backends.Backend for many short sessions, one at a time: they share a process, whose start costs more than they do, until something
// fails in it. The session after that has a fresh one, so that no failure can be what an earlier one left behind.
type Reused struct {
	Client
	running *Worker // nil while there is none
}

// Reuse returns a backend that starts workers as spec says, the first at the first Compile.
func Reuse(spec Spec) *Reused { return &Reused{Client: Client{spec: spec}} }

// Compile compiles in the process that runs, or in a fresh one. The process ends with the context of the Compile that started it.
func (r *Reused) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	if r.running != nil && (r.running.ended() || r.running.life.Err() != nil) {
		if err := r.end(); err != nil {
			return nil, err
		}
	}
	if r.running == nil {
		w, err := Start(ctx, r.spec)
		if err != nil {
			return nil, err
		}
		r.running = w
	}
	s, err := r.running.Open(ctx, g, opts)
	if err != nil {
		return nil, errors.Join(err, r.end())
	}
	return &reusedSession{Session: s, of: r}, nil
}

// end ends the process that runs.
func (r *Reused) end() error {
	w := r.running
	r.running = nil
	return w.Close()
}

// Close ends the processes.
func (r *Reused) Close() (err error) {
	if r.running != nil {
		err = r.end()
	}
	return errors.Join(err, r.Client.Close())
}

// reusedSession notes what fails.
type reusedSession struct {
	*Session
	of     *Reused
	failed bool
}

func (s *reusedSession) noted(err error) error {
	s.failed = s.failed || err != nil
	return err
}

func (s *reusedSession) Upload(ctx context.Context, inputs tensor.List) error {
	return s.noted(s.Session.Upload(ctx, inputs))
}

func (s *reusedSession) Execute(ctx context.Context) error { return s.noted(s.Session.Execute(ctx)) }

func (s *reusedSession) Download(ctx context.Context, names ...string) (tensor.List, error) {
	out, err := s.Session.Download(ctx, names...)
	return out, s.noted(err)
}

// Close ends the session, and the process if something failed in it or if it cannot let go of the session. A process that dies over that has
// given all that it was asked for, which is no error of the session.
func (s *reusedSession) Close() error {
	err := s.noted(s.Session.Close())
	if errors.As(err, new(*Died)) {
		err = nil
	}
	if s.failed && s.of.running == s.worker {
		err = errors.Join(err, s.of.end())
	}
	return err
}
