package gate

import (
	"strings"
	"testing"
)

// TestLax: what a record allows is held to the default policy of the machine that executed its cells, and of no other.
func TestLax(t *testing.T) {
	onGPU := func(w *world) {
		w.device = true
		w.cells = w.cells[:1]
		w.cells[0].Backend = "cuda"
	}
	for name, c := range map[string]struct {
		delta float64
		edit  func(w *world)
		want  string
	}{
		"the default":                   {0.08, func(*world) {}, ""},
		"a greater δ":                   {0.05, func(*world) {}, "reference/nano/fp32/128x128/b1/complete: time was allowed to grow by 8 %, and 5 % is allowed"},
		"a smaller one":                 {0.08, func(w *world) { w.policy.Targets.SetDelta(0.01) }, ""},
		"a GPU's, with that of a CPU":   {0.03, onGPU, ""},
		"the steps of a GPU":            {0.03, func(w *world) { onGPU(w); w.policy.Steps = NoSteps }, "cuda/nano/fp32/128x128/b1/complete: its steps were not judged"},
		"an offset":                     {0.08, func(w *world) { w.policy.Targets.CPU.Limits.Allocs.Offset = 1e9 }, "number of allocations was allowed to grow by 10 % and 1e+08, and 10 % and 100 is allowed"},
		"memory of another machine":     {0.08, func(w *world) { w.policy.Targets.LockedGPU.Limits.HostMemory.Delta = 9 }, ""},
		"memory":                        {0.08, func(w *world) { w.policy.Targets.CPU.Limits.HostMemory.Delta = 9 }, "was allowed to grow by 900 %"},
		"base against base of no cells": {0.08, func(w *world) { w.policy.ControlShare = 0 }, "0 % of its cells had an A/A arm, and the default is 10 %"},
	} {
		w := quiet()
		c.edit(&w)
		if got := w.record().Lax(c.delta); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
