package worker

import (
	"context"
	"fmt"
	"time"
)

// Span says which calls of a session a sample takes in.
type Span string

// The spans.
const (
	ExecuteAlone Span = "execute"    // Execute, on what was uploaded last
	EndToEnd     Span = "end_to_end" // Upload, Execute and Download of every output, within the worker: no transport
)

// GroupOptions order one group of samples. How many groups there are, how long they warm up and what happens between them is the
// caller's to decide.
type GroupOptions struct {
	Span       Span
	Samples    int           // at most; from 1 to MaxSamples
	Calls      int           // how many are timed together; a sample is their mean. From 1 to MaxCalls
	Bound      time.Duration // no sample begins when this is spent, but for the first
	WarmupRuns int           // untimed ones before the first sample, at most MaxCalls
	Collect    bool          // collect garbage before: what was left before is not this group's to collect
}

// The limits of a group.
const (
	MaxSamples = 100000
	MaxCalls   = 1 << 16
)

// Group is what timing a session once gave. Samples are in the order in which they were taken.
type Group struct {
	Host         []float64   // ns of one call, by the host's clock
	Device       []float64   // ns of the same ones, by the device's own events; nil where the backend has none, and then in every group of a session
	Steps        [][]float64 // ns of each of the plan's steps, for each sample; nil unless the session was compiled with StepTimes and can tell
	Clock        float64     // ns that reading the clock adds to a sample's group of calls; 0 where unknown
	HostPeak     int64       // bytes of resident memory, the process's high-water mark since it was last asked to compile; 0 where unknown
	DevicePeak   int64       // bytes, greatest after any sample; 0 without a device
	AllocsPerRun float64     // objects allocated on the worker's Go heap
	BytesPerRun  float64
}

type measureRequest struct {
	Session    int   `json:"session"`
	Span       Span  `json:"span"`
	Samples    int   `json:"samples"`
	Calls      int   `json:"calls"`
	Bound      int64 `json:"bound_ns"`
	WarmupRuns int   `json:"warmup_runs,omitempty"`
	Collect    bool  `json:"collect,omitempty"`
}

// check refuses what the protocol does not allow to ask.
func (r measureRequest) check() error {
	if r.Samples < 1 || r.Samples > MaxSamples || r.Calls < 1 || r.Calls > MaxCalls || r.Bound <= 0 || r.WarmupRuns < 0 || r.WarmupRuns > MaxCalls {
		return fmt.Errorf("cannot take %d samples of %d calls in %d ns after %d others (want 1 to %d samples, 1 to %d calls, a time, at most %d others)",
			r.Samples, r.Calls, r.Bound, r.WarmupRuns, MaxSamples, MaxCalls, MaxCalls)
	}
	if r.Span != ExecuteAlone && r.Span != EndToEnd {
		return fmt.Errorf("unknown span %q of a sample (want %s or %s)", r.Span, ExecuteAlone, EndToEnd)
	}
	return nil
}

type measureReply struct {
	Host         []float64   `json:"host_ns"`
	Device       []float64   `json:"device_ns,omitempty"`
	Steps        [][]float64 `json:"steps_ns,omitempty"`
	Clock        float64     `json:"clock_ns"`
	HostPeak     int64       `json:"host_peak_bytes"`
	DevicePeak   int64       `json:"device_peak_bytes"`
	AllocsPerRun float64     `json:"allocs_per_run"`
	BytesPerRun  float64     `json:"alloc_bytes_per_run"`
}

// Measure takes one group of samples of the session, on the inputs that were uploaded last. Its outputs can be downloaded afterwards.
func (s *Session) Measure(ctx context.Context, o GroupOptions) (*Group, error) {
	req := measureRequest{Session: s.id, Span: o.Span, Samples: o.Samples, Calls: o.Calls, Bound: o.Bound.Nanoseconds(), WarmupRuns: o.WarmupRuns, Collect: o.Collect}
	if err := req.check(); err != nil {
		return nil, badInput(err)
	}
	if err := s.progress.Executing(); err != nil {
		return nil, s.wrap(err)
	}
	var r measureReply
	start := time.Now()
	if err := s.call(ctx, kindMeasure, req, &r); err != nil {
		return nil, err
	}
	took := time.Since(start)
	if err := r.check(req, len(s.plan.Steps), took); err != nil {
		return nil, s.worker.refused("measurement", err)
	}
	if err := s.measured.add(r, req.Calls, took); err != nil {
		return nil, s.worker.refused("measurement", err)
	}
	s.progress.Executed()
	return (*Group)(&r), nil
}
