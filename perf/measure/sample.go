package measure

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/stat"
)

// How the samples of a cell are taken. A worker takes one group as it is told; what is told is decided here.
const (
	maxTimerShare = 0.005 // greatest share of a sample that reading the clock may take; groups are sized for half of it
	wholeEvery    = 4     // of so many samples of executions one from end to end comes with them
	trialSamples  = 3     // of a trial group: one may have been disturbed
)

// session times one compiled session of a worker; *worker.Session is one.
type session interface {
	Measure(ctx context.Context, o worker.GroupOptions) (*worker.Group, error)
}

// sampler takes the samples of one cell in one process.
type sampler struct {
	ctx     context.Context
	session session
	options Options
	long    bool // one run is known to take longer than the bound
	taken   int  // groups
	calls   int  // in a sample
	fastest float64
	clock   float64 // ns of reading it once
	got     *perf.Measurement
}

// warmUp runs untimed, after the session's first run, and finds how many calls have to be timed together.
func (s *sampler) warmUp() error {
	s.calls = 1
	if s.long {
		return nil
	}
	o := s.options
	g, err := s.group(worker.GroupOptions{Span: worker.ExecuteAlone, Samples: max(1, o.WarmupRuns-1), Calls: 1, Bound: o.WarmupBound})
	if err != nil {
		return err
	}
	s.fastest, s.clock = slices.Min(g.Host), g.Clock
	return s.sizeGroups()
}

// sizeGroups finds how many executions have to be timed together. A single one looks longer than it is by the reading of the clock, so a
// group is tried before it is trusted.
func (s *sampler) sizeGroups() error {
	wanted := s.clock / (maxTimerShare / 2)
	grow := func(took float64) int {
		return int(min(max(1, math.Ceil(float64(s.calls)*wanted/took)), worker.MaxCalls))
	}
	for s.calls = grow(s.fastest); s.calls > 1 && s.calls < worker.MaxCalls; {
		g, err := s.group(worker.GroupOptions{Span: worker.ExecuteAlone, Samples: trialSamples, Calls: s.calls, Bound: s.options.Bound})
		if err != nil {
			return err
		}
		took := slices.Min(g.Host) * float64(s.calls)
		if took >= wanted {
			return nil
		}
		s.calls = grow(took)
	}
	return nil
}

func (s *sampler) group(o worker.GroupOptions) (*worker.Group, error) {
	s.taken++
	g, err := s.session.Measure(s.ctx, o)
	if err == nil {
		s.got.HostPeakBytes, s.got.DevicePeakBytes = max(s.got.HostPeakBytes, g.HostPeak), max(s.got.DevicePeakBytes, g.DevicePeak)
	}
	return g, err
}

// pauses are what happens between groups of samples.
type pauses struct {
	between   func()        // may be nil
	every     time.Duration // the longest time of a group, as far as single samples allow it
	samples   int           // the most samples of a group; 0 for no such limit
	elsewhere bool          // something else has the processor's caches meanwhile: a short run is repeated once before it is timed
}

// run takes samples until there are enough or their time is over: of executions alone and, with every few of them, of runs from end to
// end. A cell whose single run takes longer than the bound has no time for the latter.
func (s *sampler) run(p pauses) error {
	left := s.options.Bound
	for len(s.got.Samples) < s.options.Iterations && left > 0 {
		bound := left
		if p.between != nil {
			p.between()
			bound = min(left, max(p.every, time.Millisecond))
		}
		n := s.options.Iterations - len(s.got.Samples)
		if p.between != nil && p.samples > 0 {
			n = min(n, p.samples)
		}
		spent, err := s.turn(n, bound, p)
		if err != nil {
			return err
		}
		left -= spent
		if last := s.got.Samples[len(s.got.Samples)-1] * float64(s.calls); float64(left) < last/2 {
			break
		}
	}
	if p.between != nil {
		p.between()
	}
	s.got.CallsPerSample = s.calls
	s.got.TimerShare = min(s.clock/(stat.Median(s.got.Samples)*float64(s.calls)), 1)
	return nil
}

// turn takes one group of executions, and from end to end what is due with them. It tells how long the samples took.
func (s *sampler) turn(n int, bound time.Duration, p pauses) (spent time.Duration, err error) {
	o := worker.GroupOptions{Span: worker.ExecuteAlone, Samples: n, Calls: s.calls, Bound: bound, Collect: len(s.got.Samples) == 0}
	if before := len(s.got.Samples); p.elsewhere && before > 0 && s.got.Samples[before-1]*float64(s.calls) < float64(p.every)/4 {
		o.WarmupRuns = s.calls
	}
	g, err := s.group(o)
	if err != nil {
		return 0, err
	}
	s.add(g)
	whole := 0
	if !s.long {
		whole = (len(s.got.Samples)+wholeEvery-1)/wholeEvery - len(s.got.EndToEnd)
	}
	if whole > 0 {
		e, err := s.group(worker.GroupOptions{Span: worker.EndToEnd, Samples: whole, Calls: s.calls, Bound: bound})
		if err != nil {
			return 0, err
		}
		s.got.EndToEnd = append(s.got.EndToEnd, e.Host...)
		spent += total(e.Host, s.calls)
	}
	return spent + total(g.Host, s.calls), nil
}

// add appends a group of executions.
func (s *sampler) add(g *worker.Group) {
	m := s.got
	before, n := float64(len(m.Samples)), float64(len(g.Host))
	mean := func(old, now float64) float64 { return (old*before + now*n) / (before + n) }
	m.AllocsPerRun, m.BytesPerRun, s.clock = mean(m.AllocsPerRun, g.AllocsPerRun), mean(m.BytesPerRun, g.BytesPerRun), mean(s.clock, g.Clock)
	m.Samples, m.DeviceSamples = append(m.Samples, g.Host...), append(m.DeviceSamples, g.Device...)
}

// total is the time of all samples.
func total(samples []float64, calls int) time.Duration {
	sum := 0.0
	for _, ns := range samples {
		sum += ns * float64(calls)
	}
	return time.Duration(sum)
}
