package worker

import (
	"fmt"
	"math"
	"slices"
	"time"
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
	// microseconds fill a thousandth.
	longestStall = 10 * time.Second
	leastFilled  = 0.01
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

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// check refuses times that do not fit into the request.
func (t wireTiming) check(took time.Duration) error {
	most, why := elapsed(took), fmt.Sprintf("the request took %v", took)
	up, run, down := float64(t.Upload), float64(t.Execute), float64(t.Download)
	return first(
		within("upload_ns", up, 0, most, why), within("execute_ns", run, 0, most, why), within("download_ns", down, 0, most, why),
		within("the sum of upload_ns, execute_ns and download_ns", up+run+down, 0, most, why))
}

const anyMachine = "bytes of memory of any machine"

func (m wireMemory) check() error {
	return first(within("host_bytes", float64(m.Host), 0, maxBytes, anyMachine), within("device_bytes", float64(m.Device), 0, maxBytes, anyMachine))
}

// seen is what a client knows of a measurement when a reply arrives.
type seen struct {
	took     time.Duration // by the request
	cold     time.Duration // by the request in which the session ran first
	firstRun int64         // first_run_ns of earlier replies, 0 before there is one
}

// check refuses a reply that does not answer its request or holds what no measurement can give.
func (r measureReply) check(req measureRequest, s seen) error {
	if err := r.checkCounts(req); err != nil {
		return err
	}
	return first(r.checkSamples(s.took), r.checkDeviceSamples(s.took), r.checkTimer(), r.checkFirstRun(s), first(
		within("host_peak_bytes", float64(r.HostPeak), 0, maxBytes, anyMachine),
		within("device_peak_bytes", float64(r.DevicePeak), 0, maxBytes, anyMachine),
		within("allocs_per_run", r.AllocsPerRun, 0, maxAllocs, "objects of any run"),
		within("alloc_bytes_per_run", r.BytesPerRun, 0, maxBytes, "bytes of any run")))
}

func (r measureReply) checkCounts(req measureRequest) error {
	n := len(r.Samples)
	if n < 1 || n > req.Iterations || r.DeviceSamples != nil && len(r.DeviceSamples) != n {
		return fmt.Errorf("got %d samples in host_ns, %d in device_ns; asked for 1 to %d", n, len(r.DeviceSamples), req.Iterations)
	}
	if r.CallsPerSample < 1 || r.CallsPerSample > maxCalls || req.CallsPerSample > 0 && r.CallsPerSample != req.CallsPerSample {
		asked := fmt.Sprintf("1 to %d", maxCalls)
		if req.CallsPerSample > 0 {
			asked = fmt.Sprint(req.CallsPerSample)
		}
		return fmt.Errorf("calls_per_sample is %d, want %s", r.CallsPerSample, asked)
	}
	return nil
}

// checkSamples holds every group of runs, and all together, against the time that the request took.
func (r measureReply) checkSamples(took time.Duration) error {
	calls, sum, why := float64(r.CallsPerSample), 0.0, fmt.Sprintf("%d runs in a sample, the request took %v", r.CallsPerSample, took)
	for i, ns := range r.Samples {
		if err := within(fmt.Sprintf("host_ns %d", i), ns, leastGroup/calls, elapsed(took)/calls, why); err != nil {
			return err
		}
		sum += ns
	}
	return within("the sum of host_ns", sum, 0, elapsed(took)/calls, why)
}

func (r measureReply) checkDeviceSamples(took time.Duration) error {
	calls, sum := float64(r.CallsPerSample), 0.0
	most := elapsedOnDevice(took, calls*float64(len(r.DeviceSamples))) / calls
	why := fmt.Sprintf("%d runs in a sample, the request took %v", r.CallsPerSample, took)
	for i, ns := range r.DeviceSamples {
		if err := within(fmt.Sprintf("device_ns %d", i), ns, 0, most, why); err != nil {
			return err
		}
		sum += ns
	}
	return within("the sum of device_ns", sum, 0, most, why)
}

// checkTimer finds samples in another unit than the share of reading the clock was taken from.
func (r measureReply) checkTimer() error {
	if err := within("timer_share", r.TimerShare, 0, 1, "a share"); err != nil || r.TimerShare == 0 {
		return err
	}
	sorted := slices.Sorted(slices.Values(r.Samples))
	middle := sorted[len(sorted)/2] * float64(r.CallsPerSample)
	if reading := r.TimerShare * middle; reading < leastReading {
		return fmt.Errorf("timer_share is %v of a median group of %v ns: the clock would be read in %.2g ns, want at least %v; host_ns are other units "+
			"than nanoseconds", r.TimerShare, middle, reading, leastReading)
	}
	return nil
}

// checkFilled refuses samples, sampled ns together, that fill next to nothing of the requests that were to take them. One request tells
// little, as the worker may be stopped between two samples for longer than they take.
func checkFilled(sampled float64, waited time.Duration) error {
	if least := leastFilled * float64(waited-longestStall); sampled < least {
		return fmt.Errorf("host_ns are %.4g ns together, want at least %.4g (their requests took %v, of which %v may pass without samples)", sampled, least,
			waited, longestStall)
	}
	return nil
}

func (r measureReply) checkFirstRun(s seen) error {
	if s.firstRun != 0 && r.FirstRun != s.firstRun {
		return fmt.Errorf("first_run_ns is %d, an earlier reply said %d", r.FirstRun, s.firstRun)
	}
	return within("first_run_ns", float64(r.FirstRun), 1, elapsed(s.cold), fmt.Sprintf("the request with the first run took %v", s.cold))
}
