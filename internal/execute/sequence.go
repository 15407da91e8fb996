package execute

import (
	"context"
	"errors"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity/evidence"
)

// Sequence is a session that takes inputs of one shape one after another. Its errors carry the exit code of how the run ended,
// a panic of the backend included.
type Sequence struct {
	Compile time.Duration
	session backends.Session
}

// OpenSequence compiles a graph.
func OpenSequence(ctx context.Context, b backends.Backend, g *graph.Graph, opts backends.Options) (*Sequence, error) {
	s, start := &Sequence{}, time.Now()
	err := guarded(ctx, func() (err error) {
		s.session, err = b.Compile(ctx, g, opts)
		return err
	})
	s.Compile = time.Since(start)
	return s, err
}

// Run executes once. The outputs are views, valid until the next Run.
func (s *Sequence) Run(ctx context.Context, inputs tensor.List) (out tensor.List, t backends.Timing, err error) {
	err = guarded(ctx, func() (err error) {
		out, err = backends.Run(ctx, s.session, inputs)
		t = s.session.LastTiming()
		return err
	})
	return out, t, err
}

// Close releases the session.
func (s *Sequence) Close() error {
	return guarded(context.Background(), s.session.Close)
}

// guarded calls a backend.
func guarded(ctx context.Context, call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &evidence.Panic{Value: p}
		}
		if err != nil {
			if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
				err = errors.Join(cause, err)
			}
			err = exit.With(evidence.ExitCode([]evidence.State{evidence.Of(ctx, err).State}, false), err)
		}
	}()
	return call()
}
