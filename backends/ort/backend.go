//go:build cgo

package ort

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
)

// Probe implements backends.Backend: it finds and opens the library. Facts: library (path), version, providers.
func (*Backend) Probe(context.Context) backends.Availability {
	lib, err := open()
	if missing := (*backends.Unavailable)(nil); errors.As(err, &missing) {
		return backends.Availability{Reason: missing.Reason, Detail: missing.Detail}
	} else if err != nil {
		return backends.Availability{Reason: backends.LibraryLoadFailed, Detail: err.Error()}
	}
	return backends.Availability{Available: true, Precisions: precisions, Facts: []backends.Fact{
		{Key: "library", Value: lib.path},
		{Key: "version", Value: lib.version},
		{Key: "providers", Value: strings.Join(lib.providers, ", ")},
	}}
}

// Compile implements backends.Backend. Extra knows provider (cpu, cuda, tensorrt) and opt-level (none, basic, extended, all).
// Threads are those of one operator; operators run one after the other.
func (*Backend) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	set, err := parse(opts)
	if err != nil {
		return nil, err
	}
	if _, err := open(); err != nil {
		return nil, err
	}
	applied, err := opts.Apply(g)
	if err != nil {
		return nil, err
	}
	bound, form := bindable(applied), onnx.WriteOptions{}
	if opts.Weights != nil {
		set.weights, form.External = opts.Weights.Folder, opts.Weights.Places
	}
	model, err := onnx.Marshal(bound, form)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := newSession(applied, bound, model, set)
	if err != nil {
		return nil, fmt.Errorf("compile graph %s for ONNX Runtime: %w", g.Name, err)
	}
	return s, nil
}
