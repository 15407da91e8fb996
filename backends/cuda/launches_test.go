//go:build cgo && linux

package cuda_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/cuda/emulation"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/kernels"
)

// A recorder is the emulated device that keeps the last schedule it was given.
type recorder struct {
	emulation.Driver
	last *cuda.Schedule
}

func (r recorder) Open() (cuda.Device, error) {
	d, err := r.Driver.Open()
	return recordingDevice{d, r}, err
}

type recordingDevice struct {
	cuda.Device
	recorder
}

func (d recordingDevice) Prepare(s cuda.Schedule) (cuda.Executable, error) {
	*d.last = s
	return d.Device.Prepare(s)
}

// TestLaunches shows what the complete model becomes: every step with its launches, and after which steps it runs.
func TestLaunches(t *testing.T) {
	g := modeltest.Hashed(t, 5, model.Options{Batch: 1, Height: 512, Width: 512})
	for _, c := range []struct {
		name      string
		device    kernels.Device
		precision backends.Precision
	}{
		{"sm75-fp32", kernels.Device{Multiprocessors: 40, Capability: 75}, backends.FP32},
		{"sm90-fp32", kernels.Device{Multiprocessors: 132, Capability: 90}, backends.FP32},
		{"sm90-fp16", kernels.Device{Multiprocessors: 132, Capability: 90}, backends.FP16},
	} {
		t.Run(c.name, func(t *testing.T) {
			last := &cuda.Schedule{}
			s := backendtest.Open(t, cuda.New(recorder{driver(t).As(c.device), last}), g, backends.Options{Precision: c.precision})
			goldenfile.Check(t, "launches-"+c.name+".golden", describe(s.Plan(), last))
		})
	}
}

func describe(plan backends.Plan, s *cuda.Schedule) string {
	var b strings.Builder
	launches, depth := 0, make([]int, len(s.Steps))
	for i, step := range plan.Steps {
		for _, j := range s.After[i] {
			depth[i] = max(depth[i], depth[j])
		}
		fmt.Fprintf(&b, "%d %s %s, %d nodes %v after %v\n", i, step.Op, step.Name, len(step.Nodes), step.Level, s.After[i])
		for k, l := range s.Steps[i] {
			ahead := ""
			if s.Ahead(i, k) {
				ahead = ", started ahead"
			}
			fmt.Fprintf(&b, "\t%s %d×%d×%d blocks of %d%s\n", l.Kernel, l.Grid[0], l.Grid[1], l.Grid[2], l.Threads, ahead)
		}
		launches += len(s.Steps[i])
		depth[i] += len(s.Steps[i])
	}
	fmt.Fprintf(&b, "%d steps, %d launches, the longest chain %d; %d bytes of arena\n", len(s.Steps), launches, slices.Max(depth), plan.Arena)
	return b.String()
}

// A tap leaves the launches of the network as they are: what lies between two of them is stored besides. Only in a sum that one kernel adds up
// is there nothing to store, so a tap parts it, and the plan says so.
func TestTapPartsSum(t *testing.T) {
	g := modeltest.Hashed(t, 5, model.Options{Batch: 1, Height: 128, Width: 128})
	for _, c := range []struct {
		precision backends.Precision
		tap       string
		split     []backends.Split
	}{
		{"", "pv.backbone.down_s8.1.silu", nil},
		{"", "pv.backbone.stem.1.silu", nil},
		{"", "pv.backbone.stem.0", nil},
		{"", "fpn.p4_sum", nil},
		{"", "fpn.p4_lateral", []backends.Split{{Node: "fpn.p4_sum", Step: "ConvSplitSum", Value: "fpn.p4_lateral"}}},
		{backends.FP16, "pv.P3", nil},
		{backends.FP16, "pv.P3.unrounded", []backends.Split{{Node: "pv.P3", Step: "NormMap", Value: "pv.P3.unrounded"}}},
	} {
		s := backendtest.Open(t, cuda.New(driver(t).As(hopper)), g, backends.Options{Precision: c.precision, Taps: []string{c.tap}})
		if got := s.Plan().Split; !slices.Equal(got, c.split) {
			t.Errorf("tap %s: split %+v, want %+v", c.tap, got, c.split)
		}
	}
}
