package worker

import (
	"context"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
)

// measure times runs of a session. Groups of runs are timed together where one is short, so that reading the clock takes less
// than a half per cent of a sample.
func (s *server) measure(ctx context.Context, r measureRequest) (any, error) {
	h, err := s.session(r.Session)
	if err != nil {
		return nil, err
	}
	if r.Iterations < 1 || r.Iterations > MaxSamples || r.Bound <= 0 || r.CallsPerSample > maxCalls {
		return nil, badMessage("cannot take %d samples of %d runs in %d ns (want 1 to %d samples, at most %d runs)", r.Iterations, r.CallsPerSample,
			r.Bound, MaxSamples, maxCalls)
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
		if err := t.sizeGroups(); err != nil {
			return nil, h.blame(err)
		}
	}
	if r.CallsPerSample < 1 {
		runtime.GC() // what came before is not this cell's to collect
	}
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

// timer takes the samples of one request.
type timer struct {
	ctx        context.Context
	hosted     *hosted
	clock      backends.DeviceTimer // nil where the backend has no clock of the device's own
	overhead   time.Duration        // of reading the host's clock twice
	fastest    time.Duration        // run of the warm-up, 0 before there is one
	calls      int                  // runs in a sample
	host       []float64
	device     []float64
	devicePeak int64
}

// run executes once and tells how long that took.
func (t *timer) run() (time.Duration, error) {
	d, err := t.hosted.run(t.ctx)
	t.devicePeak = max(t.devicePeak, t.hosted.session.Memory().Device)
	return d, err
}

// warmUp runs untimed: the session's first run if that is still to come, then at least one more where the size of a sample is to
// be found, as a first run tells nothing of how long the others take, and further as the request says.
func (t *timer) warmUp(r measureRequest) error {
	runs := 0
	if t.hosted.firstRun == 0 {
		if _, err := t.run(); err != nil { // which keeps its time
			return err
		}
		runs = 1
	}
	for start := time.Now(); t.fastest == 0 && r.CallsPerSample < 1 || runs < r.WarmupRuns && time.Since(start) < time.Duration(r.WarmupBound); runs++ {
		d, err := t.run()
		if err != nil {
			return err
		}
		if t.fastest == 0 || d < t.fastest {
			t.fastest = d
		}
	}
	return nil
}

const (
	maxTimerShare = 0.005   // greatest share of a sample that reading the clock may take; groups are sized for half of it
	maxCalls      = 1 << 16 // runs in a sample
)

// sizeGroups finds how many runs have to be timed together. A single run looks longer than it is by the reading of the clock,
// so a group is tried before it is trusted, three times because one may have been disturbed.
func (t *timer) sizeGroups() error {
	wanted := float64(t.overhead) / (maxTimerShare / 2)
	grow := func(took time.Duration) int {
		return int(min(max(1, math.Ceil(float64(t.calls)*wanted/float64(took))), maxCalls))
	}
	t.calls = 1
	for t.calls = grow(t.fastest); t.calls > 1 && t.calls < maxCalls; {
		took := time.Duration(math.MaxInt64)
		for range 3 {
			host, _, err := t.group()
			if err != nil {
				return err
			}
			took = min(took, max(host, 1))
		}
		if float64(took) >= wanted {
			return nil
		}
		t.calls = grow(took)
	}
	return nil
}

// group runs as often as a sample does, and tells the time by the host's and by the device's clock.
func (t *timer) group() (host, device time.Duration, err error) {
	var out tensor.List
	start := time.Now()
	for range t.calls {
		if out, err = t.hosted.session.Run(t.ctx, t.hosted.views); err != nil {
			t.hosted.last = nil
			return 0, 0, err
		}
		if t.clock != nil {
			device += t.clock.LastDeviceTime()
		}
	}
	host = time.Since(start)
	t.hosted.last = out
	return host, device, nil
}

// samples takes at least one sample.
func (t *timer) samples(r measureRequest) error {
	t.host = make([]float64, 0, r.Iterations)
	for begin := time.Now(); len(t.host) < r.Iterations; {
		host, device, err := t.group()
		if err != nil {
			return err
		}
		t.host = append(t.host, float64(max(host, 1))/float64(t.calls))
		if t.clock != nil {
			t.device = append(t.device, float64(device)/float64(t.calls))
		}
		if time.Since(begin) >= time.Duration(r.Bound) {
			break
		}
	}
	t.devicePeak = max(t.devicePeak, t.hosted.session.Memory().Device)
	return nil
}

// share returns what part of the median sample reading the clock takes: all of it where runs are shorter, in groups whose size was
// ordered.
func (t *timer) share() float64 {
	sorted := slices.Sorted(slices.Values(t.host))
	return min(float64(t.overhead)/(sorted[len(sorted)/2]*float64(t.calls)), 1)
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
