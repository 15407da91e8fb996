//go:build !cgo

package ort

import (
	"context"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
)

var withoutCgo = backends.Availability{Reason: backends.BuiltWithoutCgo, Detail: "build with CGO_ENABLED=1 and a C compiler"}

// Probe implements backends.Backend: a build without cgo cannot open the library.
func (*Backend) Probe(context.Context) backends.Availability { return withoutCgo }

// Compile implements backends.Backend.
func (b *Backend) Compile(context.Context, *graph.Graph, backends.Options) (backends.Session, error) {
	return nil, withoutCgo.Err(b.Name())
}

// Find tells why the library is not here.
func (b *Backend) Find() error { return withoutCgo.Err(b.Name()) }
