package tensorrt

import (
	"testing"

	"github.com/apex-x/apexx/backends/backendtest"
)

// cached lets all sessions of a test find their engines in a folder of their own.
func cached(t *testing.T) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

// The emulation computes in float32, and cannot read a Round's body: the suite holds what goes into and comes out of an engine.

func TestOperators(t *testing.T) {
	cached(t)
	backendtest.Run(t, New(newEmulated()), backendtest.Options{})
}

func TestModules(t *testing.T) {
	cached(t)
	backendtest.RunModules(t, New(newEmulated()), backendtest.Options{})
}

func TestReplay(t *testing.T) {
	cached(t)
	backendtest.RunReplay(t, New(newEmulated()), backendtest.Options{})
}

func TestSessions(t *testing.T) {
	cached(t)
	backendtest.RunSessions(t, New(newEmulated()), backendtest.Options{})
}
