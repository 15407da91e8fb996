//go:build cgo

package locate_test

import (
	"errors"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/cuda/emulation"
	"github.com/apex-x/apexx/kernels"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/parity/locate"
)

// emulated is the CUDA backend on an emulated device, which fuses and merges as on a real one.
func emulated(t *testing.T) backends.Backend {
	t.Helper()
	d, err := emulation.Open("../../kernels")
	if errors.Is(err, emulation.ErrNoCompiler) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return cuda.New(d.As(kernels.Device{Multiprocessors: 7, Capability: 90}))
}

// TestFusedDevice holds the fused and merged steps of the CUDA backend to their budgets in every precision, and the reference beside them: no step of
// either is beyond.
func TestFusedDevice(t *testing.T) {
	b := emulated(t)
	for _, p := range []backends.Precision{backends.FP32, backends.TF32, backends.FP16, backends.BF16} {
		t.Run(string(p), func(t *testing.T) {
			trace := run(t, b, p)
			var worst *locate.Step
			fused := 0
			for i := range trace.Steps {
				s := &trace.Steps[i]
				if !s.Local.Within() || !s.Reference.Within() || s.Skipped != "" {
					t.Errorf("%s: local %+v, reference %+v, %s", s.Name, s.Local, s.Reference, s.Skipped)
				}
				if len(s.Nodes) > 10 {
					fused++
				}
				if worst == nil || s.Accumulated.Ratio > worst.Accumulated.Ratio {
					worst = s
				}
			}
			t.Logf("%d steps, the whole run at %.3g of its budget at %s, %d changed", len(trace.Steps), float64(worst.Accumulated.Ratio), worst.Name, len(trace.Changed))
			if fused < 5 || trace.State != evidence.Pass {
				t.Errorf("%d of %d steps cover more than ten nodes; state %s, strays %q", fused, len(trace.Steps), trace.State, trace.Strays)
			}
		})
	}
}
