//go:build !cgo

package ort

import (
	"context"
	"errors"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
)

func TestWithoutCgo(t *testing.T) {
	b := New()
	if a := b.Probe(context.Background()); a.Available || a.Reason != backends.BuiltWithoutCgo {
		t.Errorf("%+v", a)
	}
	if s := b.Supports(graph.MatMul{}, backends.FP32); s.Level != backends.Unsupported || s.Reason != backends.BuiltWithoutCgo {
		t.Errorf("%+v", s)
	}
	var missing *backends.Unavailable
	if _, err := b.Compile(context.Background(), nil, backends.Options{}); !errors.As(err, &missing) || missing.Reason != backends.BuiltWithoutCgo {
		t.Error(err)
	}
}
