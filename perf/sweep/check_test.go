package sweep_test

import (
	"strings"
	"testing"

	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/sweep"
)

// TestValidClass lists classes that name a file everywhere, and others.
func TestValidClass(t *testing.T) {
	for id, valid := range map[string]bool{
		"cpu-test-2c": true, "0": true, strings.Repeat("a", 200): true,
		"": false, strings.Repeat("a", 201): false, "Cpu": false, ".hidden": false, "a/b": false, "a b": false, "é": false,
	} {
		if err := sweep.ValidClass(env.Class{Kind: env.SharedCPU, ID: id}); (err == nil) != valid {
			t.Errorf("%.20q (%d bytes): %v", id, len(id), err)
		}
	}
	if sweep.ValidClass(env.Class{Kind: "cloud", ID: "a"}) == nil {
		t.Error("an unknown kind passes")
	}
}
