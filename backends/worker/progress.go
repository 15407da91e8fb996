package worker

import (
	"context"

	"github.com/apex-x/apexx/backends"
)

// progressKey is that of the function, in the context of a compile request, that is told of progress.
type progressKey struct{}

func withProgress(ctx context.Context, f func(backends.Stage)) context.Context {
	if f == nil {
		return ctx
	}
	return context.WithValue(ctx, progressKey{}, f)
}

// report hands a progress message on. It is false for one that nobody asked for, or that says nothing.
func report(ctx context.Context, m message) bool {
	f, asked := ctx.Value(progressKey{}).(func(backends.Stage))
	var p progressMessage
	if !asked || m.decode(&p) != nil {
		return false
	}
	f(backends.Stage{Name: oneLine(p.Stage), Done: p.Done, Total: p.Total})
	return true
}

// progress returns what tells the client of the progress of a compile request, nil where it does not want to know. It is called while the request is
// answered, and so before its reply.
func (s *server) progress(id uint64, wanted bool) func(backends.Stage) {
	if !wanted {
		return nil
	}
	return func(p backends.Stage) {
		if payload, err := encodeMessage(id, kindProgress, progressMessage{p.Name, p.Done, p.Total}); err == nil {
			_ = writeFrame(s.out, payload) // the reply will fail as this does
		}
	}
}
