package cuda

import (
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/kernels"
)

// Driver gives access to a device.
type Driver interface {
	// Probe tells whether there is a device that can run the kernels, and facts about it. It never panics.
	Probe() backends.Availability
	// Open returns the device for one session. Its error is an *backends.Unavailable where there is none.
	Open() (Device, error)
}

// Device is what one session has of a device: memory and an order of execution of its own. One call at a time; different Devices may be used
// at once.
type Device interface {
	// Properties tells what the choice of kernels depends on.
	Properties() kernels.Device
	// Alloc returns memory of the device, its content undefined. 0 bytes are a valid request.
	Alloc(bytes int) (Address, error)
	// Free gives back what Alloc returned.
	Free(Address) error
	// Host returns page-locked memory of the host, and where the device sees it. It is given back by Close.
	Host(bytes int) ([]byte, Address, error)
	// Write copies to the device, Read from it. Both return when the copy is done.
	Write(to Address, from []byte) error
	Read(to []byte, from Address) error
	// Prepare makes a schedule executable. It refuses launches whose kernel does not exist or takes another argument.
	Prepare(Schedule) (Executable, error)
	// Close releases everything that the session has on the device.
	Close() error
}

// Executable is a schedule that a device has recorded.
type Executable interface {
	// Run executes all steps, overlapping where the schedule allows it, waits for the end, and returns the time by the device's clock.
	Run() (time.Duration, error)
	// RunSteps executes the steps one after the other, with the time of each by the device's clock in times.
	RunSteps(times []time.Duration) error
	// Close releases the recording.
	Close() error
}

// Address is a place in memory that the device sees; 0 is none.
type Address uint64

// Schedule is what a device executes.
type Schedule struct {
	Steps [][]Launch
	After [][]int // for each step the steps that must have ended before it begins; all come earlier in Steps
}

// Ahead tells whether launch k of step i may be started before the one before it has ended: both wait themselves, and nothing else comes between
// them. (Where branches part or meet, starting ahead makes a graph slower: the blocks that wait take the place of others that could run.)
func (s Schedule) Ahead(i, k int) bool {
	if k > 0 {
		return s.Steps[i][k].Waits && s.Steps[i][k-1].Waits
	}
	if len(s.After[i]) != 1 || len(s.Steps[s.After[i][0]]) == 0 {
		return false
	}
	j := s.After[i][0]
	for other, after := range s.After {
		if other != i && slices.Contains(after, j) {
			return false
		}
	}
	last := s.Steps[j][len(s.Steps[j])-1]
	return s.Steps[i][0].Waits && last.Waits
}
