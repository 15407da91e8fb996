package execute

import (
	"slices"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
)

// TestOwnBackendsAreKnown finds a backend that the program holds but no command takes.
func TestOwnBackendsAreKnown(t *testing.T) {
	for _, name := range InProcess().Names() {
		if !slices.Contains(backends.Known, name) {
			t.Errorf("backends.Known lacks %s", name)
		}
	}
}

// TestTimeToBuild: a backend that builds engines has more time to compile than for another request, and no other has.
func TestTimeToBuild(t *testing.T) {
	for name, want := range map[string]time.Duration{"ort": 0, "ort-cuda": 0, "cuda": 0, "ort-tensorrt": 15 * time.Minute, "tensorrt": 15 * time.Minute} {
		if got := WorkerSpec(name, time.Minute).CompileDeadline; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
