package execute

import (
	"slices"
	"testing"

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
