package worker

import (
	"context"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
)

// measure times runs of a session. Groups of runs are timed together where one is short, so that reading the clock takes less
// than a half per cent of a sample.
func (s *server) measure(ctx context.Context, r measureRequest) (any, error) {
	h, err := s.session(r.Session)
	if err != nil {
		return nil, err
	}
	if r.Iterations < 1 || r.Iterations > MaxSamples || r.Bound <= 0 {
		return nil, badMessage("cannot take %d samples in %d ns (want 1 to %d samples)", r.Iterations, r.Bound, MaxSamples)
	}
	if err := h.inputs.fetch(); err != nil {
		return nil, err
	}
	t := timer{ctx: ctx, hosted: h, overhead: clockOverhead()}
	t.clock, _ = h.session.(backends.DeviceTimer)
	if err := t.warmUp(r); err != nil {
		return nil, h.blame(err)
	}
	if t.calls = r.CallsPerSample; t.calls < 1 {
		t.calls = t.groupSize()
	}
	runtime.GC() // what came before is not this cell's to collect
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := t.samples(r); err != nil {
		return nil, h.blame(err)
	}
	runtime.ReadMemStats(&after)
	runs := float64(t.calls * len(t.host))
	return measureReply{
		Samples: t.host, DeviceSamples: t.device, CallsPerSample: t.calls, TimerShare: t.share(), FirstRun: h.firstRun.Nanoseconds(),
		HostPeak: peakMemory(h.pid), DevicePeak: t.devicePeak,
		AllocsPerRun: float64(after.Mallocs-before.Mallocs) / runs, BytesPerRun: float64(after.TotalAlloc-before.TotalAlloc) / runs,
	}, nil
}

// blame makes bad inputs the caller's fault, as run does.
func (h *hosted) blame(err error) error {
	if backends.CheckInputs(h.graph, h.views) != nil {
		return badInput(err)
	}
	return err
}

// timer takes the samples of one request.
type timer struct {
	ctx        context.Context
	hosted     *hosted
	clock      backends.DeviceTimer // nil where the backend has no clock of the device's own
	overhead   time.Duration        // of reading the host's clock twice
	recent     time.Duration        // of the last run of the warm-up
	calls      int                  // runs in a sample
	host       []float64
	device     []float64
	devicePeak int64
}

// run executes once and tells how long that took.
func (t *timer) run() (time.Duration, error) {
	start := time.Now()
	_, err := t.hosted.session.Run(t.ctx, t.hosted.views)
	d := time.Since(start)
	t.devicePeak = max(t.devicePeak, t.hosted.session.Memory().Device)
	return d, err
}

// warmUp runs untimed: once if the session has not run yet, and further as the request says. A sample's group size needs a
// recent run in any case.
func (t *timer) warmUp(r measureRequest) (err error) {
	start, runs := time.Now(), 0
	if t.hosted.firstRun == 0 {
		if t.hosted.firstRun, err = t.run(); err != nil {
			return err
		}
		t.recent = t.hosted.firstRun
		start, runs = time.Now(), 1
	}
	for ; runs < r.WarmupRuns && time.Since(start) < time.Duration(r.WarmupBound) || t.recent == 0; runs++ {
		if t.recent, err = t.run(); err != nil {
			return err
		}
	}
	return nil
}

// maxTimerShare is the greatest share of a sample that reading the clock may take; groups are sized for half of it.
const maxTimerShare = 0.005

// groupSize returns how many runs are timed together.
func (t *timer) groupSize() int {
	wanted := float64(t.overhead) / (maxTimerShare / 2)
	return int(min(max(1, math.Ceil(wanted/float64(max(t.recent, 1)))), 1<<16))
}

// samples takes at least one sample.
func (t *timer) samples(r measureRequest) error {
	t.host = make([]float64, 0, r.Iterations)
	for begin := time.Now(); len(t.host) < r.Iterations; {
		var onDevice time.Duration
		start := time.Now()
		for range t.calls {
			if _, err := t.hosted.session.Run(t.ctx, t.hosted.views); err != nil {
				return err
			}
			if t.clock != nil {
				onDevice += t.clock.LastDeviceTime()
			}
		}
		end := time.Now()
		t.host = append(t.host, float64(end.Sub(start).Nanoseconds())/float64(t.calls))
		if t.clock != nil {
			t.device = append(t.device, float64(onDevice.Nanoseconds())/float64(t.calls))
		}
		if end.Sub(begin) >= time.Duration(r.Bound) {
			break
		}
	}
	t.devicePeak = max(t.devicePeak, t.hosted.session.Memory().Device)
	return nil
}

// share returns what part of the median sample reading the clock takes.
func (t *timer) share() float64 {
	sorted := slices.Sorted(slices.Values(t.host))
	return float64(t.overhead) / (sorted[len(sorted)/2] * float64(t.calls))
}

// clockOverhead returns the median time that a pair of clock readings takes, measured over pairs in a row.
func clockOverhead() time.Duration {
	const pairs, trials = 64, 15
	var each [trials]time.Duration
	for i := range each {
		start := time.Now()
		for range pairs {
			_ = time.Since(time.Now())
		}
		each[i] = time.Since(start) / pairs
	}
	slices.Sort(each[:])
	return max(each[trials/2], 1)
}
