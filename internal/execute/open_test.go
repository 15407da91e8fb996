package execute

import (
	"slices"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/worker"
)

// TestOwnBackendsAreKnown finds a backend that the program holds but no command takes.
func TestOwnBackendsAreKnown(t *testing.T) {
	for _, name := range InProcess().Names() {
		if !slices.Contains(backends.Known, name) {
			t.Errorf("backends.Known lacks %s", name)
		}
	}
}

// TestStuckWorkersAreTold: what Open is to tell of a worker reaches whoever closes it.
func TestStuckWorkersAreTold(t *testing.T) {
	var told *worker.Stuck
	spec := Options{OnStuck: func(s *worker.Stuck) { told = s }}.spec("ort-cuda")
	stuck := &worker.Stuck{Backend: "ort-cuda", Pid: 3822}
	if spec.OnStuck(stuck); told != stuck || spec.Name != "ort-cuda" {
		t.Errorf("told %v of %s", told, spec.Name)
	}
	if (Options{}).spec("ort-cuda").OnStuck != nil {
		t.Error("nobody is told, and closing does not fail")
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
