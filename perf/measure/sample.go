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

// session times one compiled session of a worker, to which inputs were uploaded; *worker.Session is one.
type session interface {
	Measure(ctx context.Context, o worker.GroupOptions) (*worker.Group, error)
}

// sampler takes the samples of one cell in one process: warmUp once, then run.
type sampler struct {
	ctx     context.Context
	session session
	options Options // filled
	long    bool    // one run is known to take longer than the bound
	got     *perf.Measurement

	calls   int     // executions in a sample
	whole   int     // runs from end to end in a sample
	clock   float64 // ns of reading it once
	fastest float64 // ns of an execution of the warm-up
}

// warmUp executes untimed, after the session's first run, runs once from end to end, and finds how many calls have to be timed together. A
// cell whose single run takes longer than the bound has no time for that.
func (s *sampler) warmUp() error {
	s.calls, s.whole = 1, 1
	if s.long {
		return nil
	}
	o := s.options
	g, err := s.group(worker.GroupOptions{
		Span: worker.ExecuteAlone, Calls: 1, Samples: min(max(1, o.WarmupRuns-1), worker.MaxSamples), Bound: max(o.WarmupBound, 1),
	})
	if err != nil {
		return err
	}
	s.fastest, s.clock = slices.Min(g.Host), g.Clock
	if err := s.sizeGroups(); err != nil {
		return err
	}
	if g, err = s.group(worker.GroupOptions{Span: worker.EndToEnd, Calls: 1, Samples: trialSamples, Bound: max(o.WarmupBound/wholeEvery, 1)}); err != nil {
		return err
	}
	s.whole = min(s.grown(1, slices.Min(g.Host)), s.calls) // a run takes no less time than its execution
	return nil
}

// sizeGroups finds how many executions have to be timed together. A single one looks longer than it is by the reading of the clock, so a
// group is tried before it is trusted.
func (s *sampler) sizeGroups() error {
	for s.calls = s.grown(1, s.fastest); s.calls > 1 && s.calls < worker.MaxCalls; {
		g, err := s.group(worker.GroupOptions{Span: worker.ExecuteAlone, Calls: s.calls, Samples: trialSamples, Bound: s.options.Bound})
		if err != nil {
			return err
		}
		grown := s.grown(s.calls, slices.Min(g.Host)*float64(s.calls))
		if grown <= s.calls {
			return nil
		}
		s.calls = grown
	}
	return nil
}

// grown tells how many calls have to be timed together where so many of them took so many ns.
func (s *sampler) grown(calls int, took float64) int {
	wanted := s.clock / (maxTimerShare / 2)
	return int(min(max(1, math.Ceil(float64(calls)*wanted/took)), worker.MaxCalls))
}

func (s *sampler) group(o worker.GroupOptions) (*worker.Group, error) {
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
// end.
func (s *sampler) run(p pauses) error {
	left := s.options.Bound
	for len(s.got.Samples) < s.options.Iterations && left > 0 {
		bound, n := left, s.options.Iterations-len(s.got.Samples)
		if p.between != nil {
			p.between()
			bound = min(left, max(p.every, time.Millisecond))
			if p.samples > 0 {
				n = min(n, p.samples)
			}
		}
		spent, err := s.turn(n, bound, p)
		if err != nil {
			return err
		}
		left -= spent
		if float64(left) < s.last()/2 {
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

// last is how long the last group of calls took that was timed together, in ns; before the first sample what the warm-up lets expect.
func (s *sampler) last() float64 {
	one := s.fastest
	if n := len(s.got.Samples); n > 0 {
		one = s.got.Samples[n-1]
	}
	return one * float64(s.calls)
}

// turn takes one group of executions, and from end to end what is due with them. It tells how long the samples took.
func (s *sampler) turn(n int, bound time.Duration, p pauses) (spent time.Duration, err error) {
	o := worker.GroupOptions{Span: worker.ExecuteAlone, Calls: s.calls, Samples: n, Bound: bound, Collect: len(s.got.Samples) == 0}
	if p.elsewhere && !s.long && s.last() < float64(p.every)/4 {
		o.WarmupRuns = s.calls
	}
	g, err := s.group(o)
	if err != nil {
		return 0, err
	}
	s.add(g)
	spent = total(g.Host, s.calls)
	due := (len(s.got.Samples)+wholeEvery-1)/wholeEvery - len(s.got.EndToEnd)
	if s.long || due == 0 {
		return spent, nil
	}
	// Transfers that take far longer than the execution may not have its time.
	e, err := s.group(worker.GroupOptions{Span: worker.EndToEnd, Calls: s.whole, Samples: due, Bound: max(spent/2, 1)})
	if err != nil {
		return 0, err
	}
	s.got.EndToEnd = append(s.got.EndToEnd, e.Host...)
	return spent + total(e.Host, s.whole), nil
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
