package worker

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/apex-x/apexx/backends"
)

// What a client believes of the numbers in a reply. Times are held against the time that the client itself saw pass, so that no unit and no
// clock but nanoseconds of this machine fits; what the client cannot see is held against what no machine has.
const (
	maxBytes  = 1 << 50 // of memory, and of allocations in one run
	maxAllocs = 1 << 40 // in one run: more than a run of minutes could make
	// leastGroup is the least time in ns that a group of runs may take, half the unit of the clock, as the mean of a group is rounded.
	leastGroup = 0.5
	// leastReading is the least time in ns that a pair of clock readings may take; it is 20 or more where the clock is fast.
	leastReading = 0.5
	// longestStall is how long a worker may do nothing between its samples before anybody wonders, and leastFilled the share of what is
	// beyond that its samples have to fill. A process that was stopped or starved reaches neither the one nor the other; samples in
	// microseconds fill a thousandth. Of one request no more than countedWait counts, since a single stall, of the machine or of a
	// runtime, may last a minute.
	longestStall = 10 * time.Second
	leastFilled  = 0.01
	countedWait  = 6 * time.Second
)

// elapsed returns the time in ns that a worker may tell of what it did during a request that took so long for the client. Both read the
// monotonic clock of one machine, and one interval lies within the other. A worker in another language may take a clock that is not
// slewed (CLOCK_MONOTONIC_RAW): they differ by 500 ppm at most.
func elapsed(took time.Duration) float64 { return math.Round(1.001*float64(took) + 1e3) }

// elapsedOnDevice is elapsed for runs that were timed one by one by a device's own oscillator, whose events are told apart by half a
// microsecond (CUDA).
func elapsedOnDevice(took time.Duration, runs float64) float64 {
	return math.Round(1.01*float64(took) + 1e3*runs)
}

// within refuses a number outside of a range, and what is no number. why tells where the range comes from.
func within(field string, value, low, high float64, why string) error {
	if value >= low && value <= high {
		return nil
	}
	return fmt.Errorf("%s is %v, want %v to %v (%s)", field, value, low, high, why)
}

// between refuses a time of one call that does not fit into its request.
func between(field string, ns int64, took time.Duration) error {
	return within(field, float64(ns), 0, elapsed(took), fmt.Sprintf("the request took %v", took))
}

// check refuses times that do not fit into the request, or to the steps of the plan.
func (r executeReply) check(steps int, took time.Duration) error {
	if r.Steps != nil && len(r.Steps) != steps {
		return fmt.Errorf("steps_ns has %d times, the plan %d steps", len(r.Steps), steps)
	}
	all, why := 0.0, fmt.Sprintf("the request took %v", took)
	most := elapsedOnDevice(took, float64(1+len(r.Steps)))
	for i, ns := range r.Steps {
		if err := within(fmt.Sprintf("steps_ns %d", i), float64(ns), 0, most, why); err != nil {
			return err
		}
		all += float64(ns)
	}
	return cmp.Or(between("execute_ns", r.Execute, took), within("device_ns", float64(r.Device), 0, most, why), within("the sum of steps_ns", all, 0, most, why), r.Memory.check())
}

const anyMachine = "bytes of memory of any machine"

func (m wireMemory) check() error {
	return cmp.Or(within("host_bytes", float64(m.Host), 0, maxBytes, anyMachine), within("device_bytes", float64(m.Device), 0, maxBytes, anyMachine))
}

// checkSizes refuses what no machine can hold.
func checkSizes(p backends.Plan) error {
	checks := []error{within("arena_bytes", float64(p.Arena), 0, maxBytes, anyMachine)}
	for _, s := range p.Steps {
		checks = append(checks, within("workspace of step "+s.Name, float64(s.Workspace), 0, maxBytes, anyMachine))
	}
	return cmp.Or(checks...)
}

// check refuses a reply that does not answer its request or holds what no measurement can give.
func (r measureReply) check(req measureRequest, steps int, took time.Duration) error {
	if err := r.checkCounts(req, steps); err != nil {
		return err
	}
	calls := float64(req.Calls)
	why := fmt.Sprintf("%d calls in a sample, the request took %v", req.Calls, took)
	host := limits{least: leastGroup / calls, most: elapsed(took) / calls, why: why}
	device := limits{most: elapsedOnDevice(took, calls*float64(len(r.Host)*(1+steps))) / calls, why: why}
	checks := []error{host.check("host_ns", r.Host), device.check("device_ns", r.Device)}
	all := 0.0
	for i, sample := range r.Steps {
		checks = append(checks, device.check(fmt.Sprintf("steps_ns %d,", i), sample))
		all += sum(sample)
	}
	checks = append(checks, within("the sum of all steps_ns", all, 0, device.most, why))
	if r.Clock != 0 { // 0 is unknown
		checks = append(checks, within("clock_ns", r.Clock, leastReading, elapsed(took), "a pair of clock readings in nanoseconds"))
	}
	return cmp.Or(cmp.Or(checks...), cmp.Or(
		within("host_peak_bytes", float64(r.HostPeak), 0, maxBytes, anyMachine),
		within("device_peak_bytes", float64(r.DevicePeak), 0, maxBytes, anyMachine),
		within("allocs_per_run", r.AllocsPerRun, 0, maxAllocs, "objects of any run"),
		within("alloc_bytes_per_run", r.BytesPerRun, 0, maxBytes, "bytes of any run")))
}

func (r measureReply) checkCounts(req measureRequest, steps int) error {
	n := len(r.Host)
	if n < 1 || n > req.Samples || r.Device != nil && len(r.Device) != n || r.Steps != nil && len(r.Steps) != n {
		return fmt.Errorf("got %d samples in host_ns, %d in device_ns, %d in steps_ns; asked for 1 to %d", n, len(r.Device), len(r.Steps), req.Samples)
	}
	for i, sample := range r.Steps {
		if len(sample) != steps {
			return fmt.Errorf("steps_ns %d has %d times, the plan %d steps", i, len(sample), steps)
		}
	}
	return nil
}

// limits hold the times of a request, each and all together.
type limits struct {
	least, most float64
	why         string
}

func (l limits) check(field string, times []float64) error {
	for i, ns := range times {
		if err := within(fmt.Sprintf("%s %d", field, i), ns, l.least, l.most, l.why); err != nil {
			return err
		}
	}
	return within("the sum of "+field, sum(times), 0, l.most, l.why)
}

func sum(times []float64) (all float64) {
	for _, ns := range times {
		all += ns
	}
	return all
}

// history is what the measurements of a session have in common.
type history struct {
	groups  int
	device  bool          // they have samples of the device
	sampled float64       // ns of all samples, by the worker's clock
	waited  time.Duration // for the groups after the first, which may be cold
}

// add refuses a device whose clock comes or goes, and samples that fill next to nothing of the requests that were to take them. One
// request tells little of that, as the worker may be stopped between two samples for longer than they take.
func (h *history) add(r measureReply, calls int, took time.Duration) error {
	if h.groups > 0 && h.device != (r.Device != nil) {
		return fmt.Errorf("got %d samples in device_ns, which the session's other measurements have %s", len(r.Device), map[bool]string{true: "too", false: "not"}[h.device])
	}
	h.device = r.Device != nil
	if h.groups++; h.groups > 1 {
		h.waited += min(took, countedWait)
	}
	h.sampled += sum(r.Host) * float64(calls)
	if least := leastFilled * float64(h.waited-longestStall); h.sampled < least {
		return fmt.Errorf("host_ns are %.4g ns together, want at least %.4g (%v of the time of their requests count, of which %v may pass without samples)", h.sampled, least,
			h.waited, longestStall)
	}
	return nil
}
