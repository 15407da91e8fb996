package peak

import "testing"

// TestRun checks the count of operations: two per lane and multiply-add.
func TestRun(t *testing.T) {
	if got := Run[float32](1000, 0); got != 16000 {
		t.Errorf("portable: got %v operations, want 16000", got)
	}
	if got := Run[float64](0, 0); got != 0 {
		t.Errorf("no steps: got %v operations, want 0", got)
	}
}
