package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/apex-x/apexx/backends/tensor"
)

// The clocks of a Measurement: where a sample was taken.
const (
	ClockWorker = "worker" // inside the worker, around Session.Run alone
	ClockTiming = "timing" // what a worker of protocol 1.0 tells of each run: its backend's own clock
)

// MeasureOptions say how long a session is timed.
type MeasureOptions struct {
	WarmupRuns  int           // untimed runs before the first sample, at most this many
	WarmupBound time.Duration // … and at most this long, after the first of them
	Iterations  int           // samples, at most; from 1 to MaxSamples
	// CallsPerSample is the number of runs of a sample, where it is known: the warm-up need not find it then. 0 lets the worker choose.
	CallsPerSample int
	Bound          time.Duration // of all samples together, the time of Between not counted: none begins when this is spent, no group one of which less than half would fit
	// Requests times single run requests, as against a worker of protocol 1.0, which has no measure request. Two sides that are
	// compared have to be timed in one way.
	Requests bool
	// Between, when set, is called between groups of samples that take no longer than BetweenEvery each (or one sample, if that
	// takes longer): the place for queries that would disturb a sample.
	Between        func()
	BetweenEvery   time.Duration
	BetweenSamples int // where it is set, a group holds no more samples than this either
	// BetweenWarmup runs once untimed after each Between, where a run is short against BetweenEvery: something else had the
	// processor's caches meanwhile.
	BetweenWarmup bool
}

// MaxSamples bounds the samples of one measurement.
const MaxSamples = 100000

// Measured is what timing a session gave. Durations are nanoseconds.
type Measured struct {
	Clock          string
	Samples        []float64 // of one run each, by the host's clock
	DeviceSamples  []float64 // of one run each, by the device's own events; nil where the backend has none
	CallsPerSample int       // runs that were timed together; a sample is their mean
	TimerShare     float64   // time to read the clock, as a share of the median group of runs; 0 for ClockTiming
	FirstRun       time.Duration
	HostPeak       int64   // bytes of resident memory, the process's high-water mark since the session was compiled; 0 if unknown
	DevicePeak     int64   // bytes, greatest after any run; 0 without a device
	AllocsPerRun   float64 // objects allocated on the worker's Go heap
	BytesPerRun    float64
	// Outputs are those of the last timed run, so that what was timed can be compared. They are the session's, as those of Run are:
	// valid until its next Run or Measure. nil where a worker of protocol 1.1 has timed itself.
	Outputs tensor.List
}

// measureRequest asks for one group of samples. Without samples it only warms up.
type measureRequest struct {
	Session        int   `json:"session"`
	WarmupRuns     int   `json:"warmup_runs,omitempty"`
	WarmupBound    int64 `json:"warmup_bound_ns,omitempty"`
	Iterations     int   `json:"iterations"`
	Bound          int64 `json:"bound_ns"`
	CallsPerSample int   `json:"calls_per_sample,omitempty"` // 0: the worker chooses
}

type measureReply struct {
	Samples        []float64 `json:"host_ns"`
	DeviceSamples  []float64 `json:"device_ns,omitempty"`
	CallsPerSample int       `json:"calls_per_sample"`
	TimerShare     float64   `json:"timer_share"`
	FirstRun       int64     `json:"first_run_ns"`
	HostPeak       int64     `json:"host_peak_bytes"`
	DevicePeak     int64     `json:"device_peak_bytes"`
	AllocsPerRun   float64   `json:"allocs_per_run"`
	BytesPerRun    float64   `json:"alloc_bytes_per_run"`
}

// Measurer is a Session whose worker can time it.
type Measurer interface {
	// Measure times runs on the inputs. Its errors are those of Run.
	Measure(ctx context.Context, inputs tensor.List, o MeasureOptions) (*Measured, error)
	// Protocol is the version that the worker speaks.
	Protocol() Version
}

// Protocol returns the version that the session's worker speaks.
func (s *session) Protocol() Version { return s.worker.hello.Protocol }

// The minor versions that brought requests.
const (
	measures       = 1
	returnsOutputs = 2
)

// Measure implements Measurer.
func (s *session) Measure(ctx context.Context, inputs tensor.List, o MeasureOptions) (_ *Measured, err error) {
	if o.Iterations < 1 || o.Iterations > MaxSamples || o.Bound <= 0 || o.CallsPerSample > maxCalls {
		return nil, badInput(fmt.Errorf("cannot take %d samples of %d runs in %v (want 1 to %d samples, at most %d runs, and a time)", o.Iterations,
			o.CallsPerSample, o.Bound, MaxSamples, maxCalls))
	}
	if o.Requests || !s.Protocol().Measures() {
		return s.measureByRequests(ctx, inputs, o)
	}
	if err := s.place(inputs); err != nil {
		return nil, err
	}
	m := &Measured{Clock: ClockWorker}
	req := measureRequest{Session: s.id, WarmupRuns: o.WarmupRuns, WarmupBound: o.WarmupBound.Nanoseconds(), Iterations: o.Iterations, Bound: o.Bound.Nanoseconds(),
		CallsPerSample: o.CallsPerSample}
	left := o
	var sampled float64      // ns that the groups of runs took, by the worker's clock
	var waited time.Duration // for the requests after the first, which alone warms up
	for left.Iterations > 0 && left.Bound > 0 {
		if o.Between != nil {
			o.Between()
			req.Bound = min(left.Bound, max(o.BetweenEvery, time.Millisecond)).Nanoseconds()
		}
		req.Iterations = left.Iterations
		if o.Between != nil && o.BetweenSamples > 0 {
			req.Iterations = min(req.Iterations, o.BetweenSamples)
		}
		var r measureReply
		took, err := s.request(ctx, kindMeasure, req, &r)
		if err != nil {
			return nil, err
		}
		if len(m.Samples) > 0 {
			waited += took
		}
		if err := m.add(r, req, seen{took, s.cold, m.FirstRun.Nanoseconds()}); err != nil {
			return nil, s.worker.refused("measurement", err)
		}
		left.Iterations -= len(r.Samples)
		for _, ns := range r.Samples {
			sampled += ns * float64(r.CallsPerSample)
			left.Bound -= time.Duration(ns * float64(r.CallsPerSample))
		}
		if err := checkFilled(sampled, waited); err != nil {
			return nil, s.worker.refused("measurement", err)
		}
		last := r.Samples[len(r.Samples)-1] * float64(r.CallsPerSample)
		if float64(left.Bound) < last/2 {
			break
		}
		req.WarmupRuns, req.CallsPerSample = 0, r.CallsPerSample
		if o.BetweenWarmup && last < float64(o.BetweenEvery)/4 {
			req.WarmupRuns = r.CallsPerSample
		}
	}
	if o.Between != nil {
		o.Between()
	}
	if s.Protocol().Minor >= returnsOutputs {
		var r outputsReply
		if err := s.worker.call(ctx, s.worker.spec.Deadline, kindOutputs, sessionRequest{s.id}, &r); err != nil {
			return nil, err
		}
		if m.Outputs, err = s.read(r); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// add appends the group of samples that answers a request.
func (m *Measured) add(r measureReply, req measureRequest, s seen) error {
	if err := r.check(req, s); err != nil {
		return err
	}
	if len(m.Samples) > 0 && (r.DeviceSamples != nil) != (m.DeviceSamples != nil) {
		return fmt.Errorf("got %d samples of the device after %d before", len(r.DeviceSamples), len(m.DeviceSamples))
	}
	before, n := float64(len(m.Samples)), float64(len(r.Samples))
	mean := func(old, now float64) float64 { return (old*before + now*n) / (before + n) }
	m.AllocsPerRun, m.BytesPerRun = mean(m.AllocsPerRun, r.AllocsPerRun), mean(m.BytesPerRun, r.BytesPerRun)
	m.TimerShare = mean(m.TimerShare, r.TimerShare)
	m.Samples, m.DeviceSamples = append(m.Samples, r.Samples...), append(m.DeviceSamples, r.DeviceSamples...)
	m.CallsPerSample = r.CallsPerSample
	m.HostPeak, m.DevicePeak = max(m.HostPeak, r.HostPeak), max(m.DevicePeak, r.DevicePeak)
	m.FirstRun = time.Duration(r.FirstRun)
	return nil
}

// measureByRequests takes the time that the worker tells of every single run.
func (s *session) measureByRequests(ctx context.Context, inputs tensor.List, o MeasureOptions) (*Measured, error) {
	m := &Measured{Clock: ClockTiming, CallsPerSample: 1}
	once := func() (time.Duration, error) {
		var err error
		if m.Outputs, err = s.Run(ctx, inputs); err != nil {
			return 0, err
		}
		m.DevicePeak = max(m.DevicePeak, s.memory.Device)
		if d := s.timing.Total(); d > 0 {
			return d, nil
		}
		return 0, fmt.Errorf("the worker of backend %s tells of a run that took %v: its runs cannot be timed", s.worker.spec.Name, s.timing.Total())
	}
	var err error
	if m.FirstRun, err = once(); err != nil {
		return nil, err
	}
	for start, i := time.Now(), 1; i < o.WarmupRuns && time.Since(start) < o.WarmupBound; i++ {
		if _, err := once(); err != nil {
			return nil, err
		}
	}
	var between time.Time // when it was last called
	since := 0            // samples since then
	var last time.Duration
	for spent := time.Duration(0); len(m.Samples) < o.Iterations && spent+last/2 < o.Bound; {
		if o.Between != nil && (time.Since(between) >= o.BetweenEvery || o.BetweenSamples > 0 && since >= o.BetweenSamples) {
			o.Between()
			if o.BetweenWarmup && len(m.Samples) > 0 && m.Samples[len(m.Samples)-1] < float64(o.BetweenEvery)/4 {
				if _, err := once(); err != nil {
					return nil, err
				}
			}
			between, since = time.Now(), 0
		}
		start := time.Now()
		d, err := once()
		if err != nil {
			return nil, err
		}
		last = time.Since(start)
		spent += last // the request included: a bound on what it costs to wait for
		m.Samples = append(m.Samples, float64(d.Nanoseconds()))
		since++
	}
	if o.Between != nil {
		o.Between()
	}
	m.HostPeak = s.Peak()
	return m, nil
}

// Measures tells whether a worker of the version has the measure request.
func (v Version) Measures() bool { return v.Minor >= measures }
