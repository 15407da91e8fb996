package measure

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/perf"
)

// scripted is a session in a world of its own time: calls take what the script says, and reading the clock what it takes.
type scripted struct {
	execute, whole float64                                    // ns of a call
	clock          float64                                    // ns that a pair of readings takes
	device         bool                                       // every call takes the device 5 ns
	trouble        func(n int, o worker.GroupOptions) float64 // ns that disturb the first sample of request n, from 0; nil for nothing
	fail           int                                        // request that fails, from 1
	asked          []worker.GroupOptions
}

func (s *scripted) Measure(_ context.Context, o worker.GroupOptions) (*worker.Group, error) {
	s.asked = append(s.asked, o)
	if len(s.asked) == s.fail {
		return nil, errors.New("kernel 7 failed")
	}
	one := s.execute
	if o.Span == worker.EndToEnd {
		one = s.whole
	}
	n := float64(len(s.asked))
	g := &worker.Group{Clock: s.clock, HostPeak: int64(100 - n), DevicePeak: int64(n), AllocsPerRun: n, BytesPerRun: 8 * n}
	for spent := 0.0; len(g.Host) < o.Samples && (spent < float64(o.Bound) || len(g.Host) == 0); {
		took := one*float64(o.Calls) + s.clock
		if s.trouble != nil && len(g.Host) == 0 {
			took += s.trouble(len(s.asked)-1, o)
		}
		spent += took
		g.Host = append(g.Host, took/float64(o.Calls))
		if s.device {
			g.Device = append(g.Device, 5)
		}
	}
	return g, nil
}

// asks writes down what was asked: the span, samples × calls within a bound, and what comes before.
func (s *scripted) asks() string {
	var all []string
	for _, o := range s.asked {
		text := fmt.Sprintf("%s %d×%d in %v", map[worker.Span]string{worker.ExecuteAlone: "execute", worker.EndToEnd: "whole"}[o.Span], o.Samples, o.Calls, o.Bound)
		if o.Collect {
			text += " collect"
		}
		if o.WarmupRuns > 0 {
			text += fmt.Sprintf(" after %d", o.WarmupRuns)
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// sample takes the samples of a cell from a script.
func sample(s *scripted, o Options, long bool, p pauses) (*perf.Measurement, error) {
	got := new(perf.Measurement)
	all := sampler{ctx: context.Background(), session: s, options: o.Filled(), long: long, got: got}
	if err := all.warmUp(); err != nil {
		return nil, err
	}
	return got, all.run(p)
}

// TestSampler writes down which groups are asked for, and how many samples come of them.
func TestSampler(t *testing.T) {
	const ms = 1e6
	slices := func(turns *int) pauses {
		return pauses{between: func() { *turns++ }, every: 20 * time.Millisecond, samples: 2, elsewhere: true}
	}
	turns := new(int)
	for _, c := range []struct {
		name    string
		script  scripted
		options Options
		long    bool
		pauses  pauses
		asks    string
		samples string // of executions and from end to end
		turns   int
	}{
		{"long runs, one by one", scripted{execute: 1 * ms, whole: 1.1 * ms, clock: 50}, Options{Iterations: 8}, false, pauses{},
			"execute 9×1 in 50ms; whole 3×1 in 12.5ms; execute 8×1 in 400ms collect; whole 2×1 in 4.0002ms", "8 + 2", 0},
		{"the time is over", scripted{execute: 10 * ms, whole: 10 * ms}, Options{Iterations: 200, Bound: 100 * time.Millisecond, WarmupRuns: 3}, false, pauses{},
			"execute 2×1 in 12.5ms; whole 3×1 in 3.125ms; execute 200×1 in 100ms collect; whole 3×1 in 50ms", "10 + 3", 0},
		{"no warm-up beyond what sizes need", scripted{execute: 1 * ms, whole: 1 * ms}, Options{Iterations: 1, WarmupRuns: 1, Bound: 1}, false, pauses{},
			"execute 1×1 in 1ns; whole 3×1 in 1ns; execute 1×1 in 1ns collect; whole 1×1 in 500µs", "1 + 1", 0},
		{"known to be too long for a warm-up", scripted{execute: 500 * ms, whole: 500 * ms, clock: 50}, Options{Iterations: 200}, true, pauses{},
			"execute 200×1 in 400ms collect", "1 + 0", 0},
		{"too long for a warm-up, in turns", scripted{execute: 500 * ms, whole: 500 * ms}, Options{Iterations: 200}, true, slices(turns),
			"execute 2×1 in 20ms collect", "1 + 0", 2},
		// 50 ns of the clock are a quarter per cent of 20 µs: of 20 executions. One alone seems to take 1.05 µs, so that 19 × 1.05 looks like
		// enough, and is.
		{"short runs, in groups", scripted{execute: 1000, whole: 40000, clock: 50}, Options{Iterations: 4}, false, pauses{},
			"execute 9×1 in 50ms; execute 3×20 in 400ms; whole 3×1 in 12.5ms; execute 4×20 in 400ms collect; whole 1×1 in 40.1µs", "4 + 1", 0},
		// One of 10 ns seems to take 60: groups of 334 and of 1,971 are too small, as what they took tells.
		{"runs shorter than the clock's reading", scripted{execute: 10, whole: 30, clock: 50}, Options{Iterations: 4}, false, pauses{},
			"execute 9×1 in 50ms; execute 3×334 in 400ms; execute 3×1971 in 400ms; execute 3×1995 in 400ms; whole 3×1 in 12.5ms; " +
				"execute 4×1995 in 400ms collect; whole 1×250 in 40µs", "4 + 1", 0},
		{"a clock that is not known", scripted{execute: 10, whole: 30}, Options{Iterations: 4}, false, pauses{},
			"execute 9×1 in 50ms; whole 3×1 in 12.5ms; execute 4×1 in 400ms collect; whole 1×1 in 20ns", "4 + 1", 0},
		{"in turns, after others", scripted{execute: 4 * ms, whole: 4 * ms}, Options{Iterations: 5, WarmupRuns: 2}, false, slices(turns),
			"execute 1×1 in 50ms; whole 3×1 in 12.5ms; execute 2×1 in 20ms collect after 1; whole 1×1 in 4ms; " +
				"execute 2×1 in 20ms after 1; execute 1×1 in 20ms after 1; whole 1×1 in 2ms", "5 + 2", 4},
		{"in turns, too long to be repeated", scripted{execute: 6 * ms, whole: 6 * ms}, Options{Iterations: 3, WarmupRuns: 2}, false, slices(turns),
			"execute 1×1 in 50ms; whole 3×1 in 12.5ms; execute 2×1 in 20ms collect; whole 1×1 in 6ms; execute 1×1 in 20ms", "3 + 1", 3},
		{"in turns, longer than one", scripted{execute: 30 * ms, whole: 30 * ms}, Options{Iterations: 3, WarmupRuns: 2, Bound: 80 * time.Millisecond}, false, slices(turns),
			"execute 1×1 in 10ms; whole 3×1 in 2.5ms; execute 2×1 in 20ms collect; whole 1×1 in 15ms; execute 2×1 in 20ms", "2 + 1", 3},
		// A device's execution in microseconds between transfers in milliseconds: these come, and do not eat the bound.
		{"transfers that dwarf the execution", scripted{execute: 0.1 * ms, whole: 30 * ms}, Options{Iterations: 200, Bound: 60 * time.Millisecond, WarmupRuns: 2}, false, pauses{},
			"execute 1×1 in 7.5ms; whole 3×1 in 1.875ms; execute 200×1 in 60ms collect; whole 50×1 in 10ms", "200 + 1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			*turns = 0
			m, err := sample(&c.script, c.options, c.long, c.pauses)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.script.asks(); got != c.asks {
				t.Errorf("asked for %s\nwant      %s", got, c.asks)
			}
			if got := fmt.Sprintf("%d + %d", len(m.Samples), len(m.EndToEnd)); got != c.samples || *turns != c.turns {
				t.Errorf("got %s samples and %d turns, want %s and %d", got, *turns, c.samples, c.turns)
			}
		})
	}
}

// TestSizedGroups has runs of many lengths: the clock's reading is at most half a per cent of a sample, and groups are no larger than that
// takes.
func TestSizedGroups(t *testing.T) {
	for _, ns := range []float64{1, 7, 60, 999, 5e3, 19e3, 21e3, 1e6} {
		s := &scripted{execute: ns, whole: ns, clock: 50}
		m, err := sample(s, Options{Iterations: 4}, false, pauses{})
		if err != nil {
			t.Fatal(err)
		}
		if m.TimerShare > maxTimerShare || m.CallsPerSample > 1 && m.TimerShare < maxTimerShare/4 && m.CallsPerSample < worker.MaxCalls {
			t.Errorf("runs of %v ns: the clock takes %.4g of %d calls", ns, m.TimerShare, m.CallsPerSample)
		}
		if last := s.asked[len(s.asked)-1]; last.Span != worker.EndToEnd || last.Calls > m.CallsPerSample {
			t.Errorf("runs of %v ns: %d calls from end to end in a sample, %d alone", ns, last.Calls, m.CallsPerSample)
		}
	}
}

// TestDisturbedTrial disturbs one sample of every trial: the size of groups rests on the others.
func TestDisturbedTrial(t *testing.T) {
	s := &scripted{execute: 1000, whole: 1000, clock: 50, trouble: func(int, worker.GroupOptions) float64 { return 1e6 }}
	m, err := sample(s, Options{Iterations: 4}, false, pauses{})
	if err != nil || m.CallsPerSample != 20 {
		t.Errorf("%d calls in a sample, want 20; %v", m.CallsPerSample, err)
	}
}

// TestSamplesTogether adds groups up: peaks are greatest, allocations and the clock's share those of all samples, executions alone.
func TestSamplesTogether(t *testing.T) {
	s := &scripted{execute: 1e6, whole: 2e6, clock: 1000, device: true}
	m, err := sample(s, Options{Iterations: 5, WarmupRuns: 2}, false, pauses{between: func() {}, every: time.Second, samples: 4})
	if err != nil {
		t.Fatal(err)
	}
	// Requests 1 and 2 warm up, 3 and 5 are executions (4 samples and 1), 4 and 6 from end to end.
	if len(s.asked) != 6 || m.AllocsPerRun != (4*3+5)/5. || m.BytesPerRun != 8*m.AllocsPerRun || m.HostPeakBytes != 99 || m.DevicePeakBytes != 6 {
		t.Errorf("%d requests, %+v", len(s.asked), m)
	}
	if !slices.Equal(m.DeviceSamples, []float64{5, 5, 5, 5, 5}) || slices.Min(m.EndToEnd) < 2e6 || slices.Max(m.Samples) > 1.1e6 {
		t.Errorf("executions %v, on the device %v, from end to end %v", m.Samples, m.DeviceSamples, m.EndToEnd)
	}
	if want := 1000 / 1001000.; math.Abs(m.TimerShare-want) > 1e-12 {
		t.Errorf("the clock takes %v, want %v", m.TimerShare, want)
	}
}

// TestSamplerFails has every request fail once: of the warm-up, of a trial, of executions, from end to end.
func TestSamplerFails(t *testing.T) {
	for fail := 1; fail <= 5; fail++ {
		s := &scripted{execute: 1000, whole: 1000, clock: 50, fail: fail}
		if _, err := sample(s, Options{Iterations: 4}, false, pauses{}); err == nil || len(s.asked) != fail {
			t.Errorf("request %d failed: %v after %d", fail, err, len(s.asked))
		}
	}
}
