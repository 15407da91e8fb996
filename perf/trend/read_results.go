package trend

import (
	"errors"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/stat"
	"github.com/apex-x/apexx/perf/sweep"
)

// fromSweep takes p50, p95 and peak host memory of every measured cell. A cell that computes something else is left out: its speed
// does not count.
func fromSweep(s *sweep.Result) (*Run, error) {
	run, err := newRun(FromSweep, s.Class, &s.Environment)
	if err != nil {
		return nil, err
	}
	run.When, run.Version, run.Commit, run.Dirty = s.When, s.Version, s.Environment.Commit, s.Environment.Dirty
	samples := byCell(s.Measurements, func(m *perf.Measurement) bool { return m.Arm != perf.Base && !m.Control })
	for _, c := range s.Cells {
		if c.State != evidence.Measured || parityFailed(c.Parity) {
			continue
		}
		if c.Summary == nil {
			return nil, fmt.Errorf("cell %s is measured but has no summary", c.Cell)
		}
		of := samples[c.Cell]
		if of == nil {
			return nil, fmt.Errorf("cell %s has a summary but no samples; a sweep's JSON holds both", c.Cell)
		}
		name := c.Cell.String()
		p50 := Point{Metric: name + ".p50_ms", Unit: Milliseconds, Value: c.Summary.P50,
			Samples: c.Summary.Samples, Replicates: c.Summary.Replicates, Medians: of.medians}
		if err := of.contain(p50); err != nil {
			return nil, err
		}
		run.Points = append(run.Points, p50)
		if c.Summary.P95 != 0 {
			p95 := Point{Metric: name + ".p95_ms", Unit: Milliseconds, Value: c.Summary.P95, Samples: c.Summary.Samples, Replicates: c.Summary.Replicates}
			if err := of.contain(p95); err != nil {
				return nil, err
			}
			run.Points = append(run.Points, p95)
		}
		if c.HostPeakBytes != 0 {
			run.Points = append(run.Points, Point{Metric: name + ".host_peak_mib", Unit: Mebibytes,
				Value: float64(c.HostPeakBytes) / (1 << 20), Replicates: c.Summary.Replicates})
		}
	}
	return run, nil
}

// fromGate takes the median of the medians of the head's replicates of every cell.
func fromGate(g *gate.Record) (*Run, error) {
	if g.Verdict == nil {
		return nil, errors.New("the gate's record has no verdict: it did not finish")
	}
	run, err := newRun(FromGate, g.Class, &g.Environment)
	if err != nil {
		return nil, err
	}
	run.When, run.Version, run.Commit, run.Dirty = g.When, g.Head.Version, g.Head.Revision, g.Head.Modified
	failed := map[perf.Cell]bool{}
	for _, p := range g.Parity {
		failed[p.Cell] = parityFailed(p.Parity)
	}
	head := func(m *perf.Measurement) bool { return m.Arm == perf.Head && !m.Control }
	for cell, of := range byCell(slices.Concat(g.Screen, g.Confirm), head) {
		if failed[cell] {
			continue
		}
		run.Points = append(run.Points, Point{Metric: cell.String() + ".gate_p50_ms", Unit: Milliseconds,
			Value: stat.Median(of.medians), Samples: of.count, Replicates: len(of.medians), Medians: of.medians})
	}
	return run, nil
}

func newRun(source Source, class env.Class, e *env.Environment) (*Run, error) {
	if class.ID != "" && !slices.Contains([]env.Kind{env.LockedGPU, env.UnlockedGPU, env.SharedCPU}, class.Kind) {
		return nil, fmt.Errorf("machine class %s is of the unknown kind %q", class.ID, class.Kind)
	}
	return &Run{Source: source, Class: class.ID, Kind: class.Kind, Software: software(e)}, nil
}

func parityFailed(p perf.Parity) bool {
	return p.State == "fail" || p.State == "crashed" || p.State == "hung"
}

// cellSamples are the samples of one cell over its replicates, in milliseconds.
type cellSamples struct {
	medians     []float64 // by replicate
	count       int
	least, most float64
}

func byCell(measurements []perf.Measurement, keep func(*perf.Measurement) bool) map[perf.Cell]*cellSamples {
	const perMS = 1e6
	cells := map[perf.Cell]*cellSamples{}
	for i := range measurements {
		m := &measurements[i]
		if m.State != evidence.Measured || len(m.Samples) == 0 || !keep(m) {
			continue
		}
		of := cells[m.Cell]
		if of == nil {
			of = &cellSamples{least: m.Samples[0] / perMS}
			cells[m.Cell] = of
		}
		of.medians = append(of.medians, stat.Median(m.Samples)/perMS)
		of.count += len(m.Samples)
		of.least = min(of.least, slices.Min(m.Samples)/perMS)
		of.most = max(of.most, slices.Max(m.Samples)/perMS)
	}
	return cells
}

// contain checks that a quantile lies among the samples that it is of.
func (s *cellSamples) contain(p Point) error {
	const slack = 1e-6 // for a rounded summary
	if p.Value < s.least*(1-slack) || p.Value > s.most*(1+slack) {
		return fmt.Errorf("metric %s is %v ms, outside of its own samples (%v to %v ms); is it in another unit?", p.Metric, p.Value, s.least, s.most)
	}
	return nil
}
