package cover

import (
	"maps"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/kernels"
)

// planner is a driver whose devices take sessions and compute nothing: it keeps the names of the kernels that would be launched.
type planner struct {
	properties kernels.Device
	launched   map[string]bool
}

func newPlanner(d kernels.Device) *planner {
	return &planner{properties: d, launched: map[string]bool{}}
}

// taken returns the kernels that sessions would have launched since the last call, by name.
func (p *planner) taken() []string {
	names := slices.Sorted(maps.Keys(p.launched))
	clear(p.launched)
	return names
}

// Probe implements cuda.Driver.
func (p *planner) Probe() backends.Availability { return backends.Availability{Available: true} }

// Open implements cuda.Driver.
func (p *planner) Open() (cuda.Device, error) { return &device{planner: p, next: 1 << 20}, nil }

// device gives addresses that nothing lies at.
type device struct {
	*planner
	next cuda.Address
}

// Properties implements cuda.Device.
func (d *device) Properties() kernels.Device { return d.properties }

// Alloc implements cuda.Device.
func (d *device) Alloc(bytes int) (cuda.Address, error) {
	at := d.next
	d.next += cuda.Address((bytes + 255) / 256 * 256)
	return at, nil
}

// Free implements cuda.Device.
func (d *device) Free(cuda.Address) error { return nil }

// Host implements cuda.Device.
func (d *device) Host(bytes int) ([]byte, cuda.Address, error) {
	at, err := d.Alloc(bytes)
	return make([]byte, bytes), at, err
}

// Write implements cuda.Device.
func (d *device) Write(cuda.Address, []byte) error { return nil }

// Read implements cuda.Device.
func (d *device) Read([]byte, cuda.Address) error { return nil }

// Prepare implements cuda.Device.
func (d *device) Prepare(s cuda.Schedule) (cuda.Executable, error) {
	for _, step := range s.Steps {
		for _, l := range step {
			d.launched[l.Kernel] = true
		}
	}
	return executable{}, nil
}

// Close implements cuda.Device.
func (d *device) Close() error { return nil }

type executable struct{}

// Run implements cuda.Executable.
func (executable) Run() (time.Duration, error) { return 0, nil }

// RunSteps implements cuda.Executable.
func (executable) RunSteps([]time.Duration) error { return nil }

// Close implements cuda.Executable.
func (executable) Close() error { return nil }
