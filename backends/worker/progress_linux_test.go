package worker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
)

// TestProgress: stages reach the client in their order, fit to print, before Compile returns; a client that does not ask gets none.
func TestProgress(t *testing.T) {
	var got []backends.Stage
	for _, told := range []func(backends.Stage){nil, func(s backends.Stage) { got = append(got, s) }} {
		s, err := New(spec(t, "ok")).Compile(t.Context(), addGraph(t, 1), backends.Options{Extra: map[string]string{"stages": "2"}, Progress: told})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	if want := []backends.Stage{{Name: "stage of the fake", Done: 1, Total: 2}, {Name: "stage of the fake", Done: 2, Total: 2}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestCompileDeadline: a compilation has a bound of its own, in the place of the one on every request.
func TestCompileDeadline(t *testing.T) {
	spec := spec(t, "ok")
	spec.StartTimeout, spec.Deadline, spec.CompileDeadline = time.Minute, 50*time.Millisecond, time.Minute
	slow := backends.Options{Extra: map[string]string{"stages": "2"}}
	s, err := New(spec).Compile(t.Context(), addGraph(t, 1), slow)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	spec.Deadline, spec.CompileDeadline = time.Minute, 50*time.Millisecond
	var died *Died
	if _, err := New(spec).Compile(context.Background(), addGraph(t, 1), slow); !errors.As(err, &died) || died.Limit != spec.CompileDeadline {
		t.Errorf("%v", err)
	}
}
