package worker

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
)

// measure takes one group of samples of a session.
func (s *server) measure(ctx context.Context, r measureRequest) (any, error) {
	h, err := s.session(r.Session)
	if err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, badMessage("%v", err)
	}
	if err := h.inputs.fetch(); err != nil {
		return nil, err
	}
	m := meter{ctx: ctx, hosted: h, request: r}
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
		Host: m.host, Device: m.device, Steps: m.steps, Clock: float64(clockOverhead().Nanoseconds()),
		HostPeak: peakMemory(h.pid), DevicePeak: m.devicePeak,
		AllocsPerRun: float64(after.Mallocs-before.Mallocs) / runs, BytesPerRun: float64(after.TotalAlloc-before.TotalAlloc) / runs,
	}, nil
}

// meter takes the samples of one request.
type meter struct {
	ctx        context.Context
	hosted     *hosted
	request    measureRequest
	host       []float64
	device     []float64   // nil where the backend has no clock of the device's own
	steps      [][]float64 // nil where the session does not tell
	devicePeak int64
}

// call makes the calls of the span once.
func (m *meter) call() error {
	s := m.hosted.session
	if m.request.Span == EndToEnd {
		_, err := backends.Run(m.ctx, s, m.hosted.views)
		if err != nil {
			return m.hosted.blame(err)
		}
		return nil
	}
	return outOfOrder(s.Execute(m.ctx))
}

// samples takes at least one sample. Memory for all of them is there before the first.
func (m *meter) samples() error {
	n := len(m.hosted.session.LastTiming().Steps)
	m.host = make([]float64, 0, m.request.Samples)
	for begin := time.Now(); len(m.host) < m.request.Samples; {
		if err := m.sample(n); err != nil {
			return err
		}
		if time.Since(begin) >= time.Duration(m.request.Bound) {
			break
		}
	}
	return nil
}

// sample times the calls of one sample, by the host's clock all together, by the device's and step by step each.
func (m *meter) sample(steps int) error {
	calls := float64(m.request.Calls)
	var device time.Duration
	var each []float64
	if steps > 0 {
		each = make([]float64, steps)
	}
	start := time.Now()
	for range m.request.Calls {
		if err := m.call(); err != nil {
			return err
		}
		t := m.hosted.session.LastTiming()
		device += t.Device
		for i, d := range t.Steps {
			each[i] += float64(d) / calls
		}
	}
	m.host = append(m.host, float64(max(time.Since(start), 1))/calls)
	if device > 0 || m.device != nil {
		m.device = append(m.device, float64(device)/calls)
	}
	if each != nil {
		m.steps = append(m.steps, each)
	}
	m.devicePeak = max(m.devicePeak, m.hosted.session.Memory().Device)
	return nil
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
