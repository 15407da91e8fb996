package backendtest

import (
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// SkipWithout skips a test, with the reason, where the backend is not available.
func SkipWithout(t testing.TB, b backends.Backend) {
	t.Helper()
	if a := b.Probe(t.Context()); !a.Available {
		t.Skipf("%s is unavailable: %s: %s", b.Name(), a.Reason, a.Detail)
	}
}

// Open compiles a graph. The session is closed when the test ends, and has to close well.
func Open(t testing.TB, b backends.Backend, g *graph.Graph, opts backends.Options) backends.Session {
	t.Helper()
	s, err := b.Compile(t.Context(), g, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Outputs executes a session once, and returns copies of its outputs.
func Outputs(t testing.TB, s backends.Session, inputs tensor.List) tensor.List {
	t.Helper()
	out, err := backends.Run(t.Context(), s, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return out.Clone()
}
