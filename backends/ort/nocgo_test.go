//go:build !cgo

package ort

import (
	"context"
	"errors"
	"testing"

	"github.com/apex-x/apexx/backends"
)

func TestWithoutCgo(t *testing.T) {
	b := New()
	if a := b.Probe(context.Background()); a.Available || a.Reason != backends.BuiltWithoutCgo {
		t.Errorf("%+v", a)
	}
	var missing *backends.Unavailable
	if _, err := b.Compile(context.Background(), nil, backends.Options{}); !errors.As(err, &missing) || missing.Reason != backends.BuiltWithoutCgo {
		t.Error(err)
	}
}
