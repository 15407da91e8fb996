package backendtest

import (
	"context"
	"maps"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
)

// WithExtra returns a backend whose sessions have further options of its own (backends.Options.Extra), where the caller of Compile sets no
// others.
func WithExtra(b backends.Backend, extra map[string]string) backends.Backend {
	return withExtra{b, extra}
}

type withExtra struct {
	backends.Backend
	extra map[string]string
}

// Compile implements backends.Backend.
func (b withExtra) Compile(ctx context.Context, g *graph.Graph, o backends.Options) (backends.Session, error) {
	extra := maps.Clone(b.extra)
	maps.Copy(extra, o.Extra)
	o.Extra = extra
	return b.Backend.Compile(ctx, g, o)
}
