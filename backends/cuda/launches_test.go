//go:build cgo && linux

package cuda_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/cuda/emulation"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	modelweights "github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/internal/goldenfile"
)

// A recorder is the emulated device that keeps the last schedule it was given.
type recorder struct {
	emulation.Driver
	last *cuda.Schedule
}

func (r recorder) Open() (cuda.Device, error) {
	d, err := r.Driver.Open()
	return recordingDevice{d, r.last}, err
}

type recordingDevice struct {
	cuda.Device
	last *cuda.Schedule
}

func (d recordingDevice) Prepare(s cuda.Schedule) (cuda.Executable, error) {
	*d.last = s
	return d.Device.Prepare(s)
}

// TestLaunches shows what the complete model becomes: every step with its launches, and after which steps it runs.
func TestLaunches(t *testing.T) {
	cfg, err := config.Parse(nil, []string{"model.profile=nano"})
	if err != nil {
		t.Fatal(err)
	}
	g, err := model.Build(cfg, model.FromSet(modelweights.Hashed(cfg, 5)), model.Options{Batch: 1, Height: 512, Width: 512, Decode: model.DefaultDecode()})
	if err != nil {
		t.Fatal(err)
	}
	last := &cuda.Schedule{}
	s := open(t, cuda.New(recorder{driver(t), last}), g, backends.Options{})
	var b strings.Builder
	launches, depth := 0, make([]int, len(last.Steps))
	for i, step := range s.Plan().Steps {
		for _, j := range last.After[i] {
			depth[i] = max(depth[i], depth[j])
		}
		fmt.Fprintf(&b, "%d %s %s after %v\n", i, step.Op, step.Name, last.After[i])
		for _, l := range last.Steps[i] {
			fmt.Fprintf(&b, "\t%s %d×%d×%d blocks of %d\n", l.Kernel, l.Grid[0], l.Grid[1], l.Grid[2], l.Threads)
		}
		launches += len(last.Steps[i])
		depth[i] += len(last.Steps[i])
	}
	fmt.Fprintf(&b, "%d steps, %d launches, the longest chain %d; %d bytes of arena\n", len(last.Steps), launches, slices.Max(depth), s.Plan().Arena)
	goldenfile.Check(t, "launches.golden", b.String())
}
