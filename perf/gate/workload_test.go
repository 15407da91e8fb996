package gate

import "testing"

// TestWorkloadStays runs the workload far longer than a gate does: its numbers have to stay where they were, as a processor may
// compute subnormal ones far slower.
func TestWorkloadStays(t *testing.T) {
	for range 500 {
		if timeWorkload() <= 0 {
			t.Fatal("the workload takes no time")
		}
	}
	for i, list := range triad() {
		for j, x := range list {
			if !(x >= 0.5 && x <= 8) {
				t.Fatalf("array %d, element %d became %g", i, j, x)
			}
		}
	}
}
