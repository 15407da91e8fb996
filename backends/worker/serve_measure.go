package worker

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
)

// MaxStepTimes bounds the times of steps in a reply, so that it fits a frame: no group has more samples than that, over the steps of the plan.
const MaxStepTimes = 1 << 19

// measure takes one group of samples of a session.
func (s *server) measure(ctx context.Context, r measureRequest) (any, error) {
	h, err := s.session(r.Session)
	if err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, badMessage("%v", err)
	}
	if n := len(h.session.Plan().Steps); h.stepTimes && r.Samples*n > MaxStepTimes {
		return nil, badMessage("%d samples of %d steps are more times than a reply holds (%d)", r.Samples, n, MaxStepTimes)
	}
	if err := h.inputs.fetch(); err != nil {
		return nil, err
	}
	m := newMeter(ctx, h, r)
	for range r.WarmupRuns {
		if err := m.call(); err != nil {
			return nil, err
		}
	}
	if r.Collect {
		runtime.GC()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := m.samples(); err != nil {
		return nil, err
	}
	runtime.ReadMemStats(&after)
	runs := float64(r.Calls * len(m.host))
	return measureReply{
		Host: m.host, Device: m.deviceSamples(), Steps: m.stepSamples(), Clock: float64(clockOverhead().Nanoseconds()),
		HostPeak: peakMemory(h.pid), DevicePeak: m.devicePeak,
		AllocsPerRun: float64(after.Mallocs-before.Mallocs) / runs, BytesPerRun: float64(after.TotalAlloc-before.TotalAlloc) / runs,
	}, nil
}

// meter takes the samples of one request. Memory for all of them is there before the first, so that what is allocated between the first
// and the last is the session's.
type meter struct {
	ctx        context.Context
	hosted     *hosted
	request    measureRequest
	host       []float64
	device     []float64
	steps      []float64 // those of the first sample, then those of the next
	devicePeak int64
}

func newMeter(ctx context.Context, h *hosted, r measureRequest) *meter {
	m := &meter{ctx: ctx, hosted: h, request: r, host: make([]float64, 0, r.Samples), device: make([]float64, 0, r.Samples)}
	if h.stepTimes {
		m.steps = make([]float64, 0, r.Samples*len(h.session.Plan().Steps))
	}
	return m
}

// call makes the calls of the span once.
func (m *meter) call() error {
	s := m.hosted.session
	if m.request.Span == EndToEnd {
		if _, err := backends.Run(m.ctx, s, m.hosted.views); err != nil {
			return m.hosted.blame(err)
		}
		return nil
	}
	return outOfOrder(s.Execute(m.ctx))
}

// samples takes at least one sample.
func (m *meter) samples() error {
	for begin := time.Now(); len(m.host) < m.request.Samples; {
		if err := m.sample(); err != nil {
			return err
		}
		if time.Since(begin) >= time.Duration(m.request.Bound) {
			break
		}
	}
	return nil
}

// sample times the calls of one sample, by the host's clock all together, by the device's and step by step each.
func (m *meter) sample() error {
	calls := float64(m.request.Calls)
	var device time.Duration
	first := len(m.steps) // of this sample's steps
	start := time.Now()
	for range m.request.Calls {
		if err := m.call(); err != nil {
			return err
		}
		t := m.hosted.session.LastTiming()
		device += t.Device
		for i, d := range t.Steps {
			if first+i == len(m.steps) {
				m.steps = append(m.steps, 0)
			}
			m.steps[first+i] += float64(d) / calls
		}
	}
	m.host = append(m.host, float64(max(time.Since(start), 1))/calls)
	m.device = append(m.device, float64(device)/calls)
	m.devicePeak = max(m.devicePeak, m.hosted.session.Memory().Device)
	return nil
}

// deviceSamples returns nil where the backend has no clock of the device's own.
func (m *meter) deviceSamples() []float64 {
	if slices.Max(m.device) > 0 {
		return m.device
	}
	return nil
}

// stepSamples returns the steps' times of each sample; nil where the session does not tell them.
func (m *meter) stepSamples() [][]float64 {
	if len(m.steps) == 0 {
		return nil
	}
	return slices.Collect(slices.Chunk(m.steps, len(m.steps)/len(m.host)))
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
