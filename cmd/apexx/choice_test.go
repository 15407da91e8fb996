package main

import (
	"context"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/internal/exit"
)

// asked is a backend that says of an ended context what a worker does: that it could not be started.
type asked struct{ backends.Backend }

func (a asked) Probe(ctx context.Context) backends.Availability {
	if err := ctx.Err(); err != nil {
		return backends.Availability{Reason: backends.WorkerStartFailed, Detail: err.Error()}
	}
	return a.Backend.Probe(ctx)
}

// TestInterruptedProbe: a backend that an interruption kept from answering is not called absent.
func TestInterruptedProbe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := asked{reference.New()}
	if err := available(ctx, b, "reference"); err != nil {
		t.Error(err)
	}
	cancel()
	if err := available(ctx, b, "reference"); exit.Code(err) != exit.Interrupted {
		t.Errorf("%v, exit code %d", err, exit.Code(err))
	}
}
