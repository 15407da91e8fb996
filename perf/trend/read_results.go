package trend

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/stat"
	"github.com/apex-x/apexx/perf/sweep"
)

// fromSweep takes p50 and p95 of executions by the host's and by the device's clock and of runs from end to end, and the peak host memory, of every
// measured cell whose parity holds.
func fromSweep(s *sweep.Result) (*Run, error) {
	run, err := newRun(FromSweep, s.Class, &s.Environment)
	if err != nil {
		return nil, err
	}
	run.When, run.Version, run.Commit, run.Dirty = s.When, s.Version, s.Environment.Commit, s.Environment.Dirty
	for i := range s.Cells {
		c := &s.Cells[i]
		if ended := c.Ended(); !ended.Holds() {
			run.leaveOut(c.Cell, ended)
			continue
		}
		name := c.Cell.String()
		run.addSummary(name+".", c.Summary, medians(s.Measurements, c.Cell, perf.HostSamples))
		run.addSummary(name+".device_", c.Device, medians(s.Measurements, c.Cell, perf.DeviceSamples))
		run.addSummary(name+".end_to_end_", c.EndToEnd, medians(s.Measurements, c.Cell, perf.EndToEndSamples))
		if c.HostPeakBytes != 0 {
			run.Points = append(run.Points, Point{Metric: name + ".host_peak_mib", Unit: Mebibytes,
				Value: float64(c.HostPeakBytes) / (1 << 20), Replicates: c.Summary.Replicates})
		}
	}
	return run, nil
}

// addSummary adds the two quantiles of a series; medians are those of the replicates.
func (r *Run) addSummary(prefix string, s *perf.Summary, medians []float64) {
	if s == nil {
		return
	}
	r.Points = append(r.Points,
		Point{Metric: prefix + "p50_ms", Unit: Milliseconds, Value: s.P50, Samples: s.Samples, Replicates: s.Replicates, Medians: medians},
		Point{Metric: prefix + "p95_ms", Unit: Milliseconds, Value: s.P95, Samples: s.Samples, Replicates: s.Replicates})
}

// leaveOut notes that the speed of a cell does not count, for how it ended; what cannot be had on a machine is nothing to note.
func (r *Run) leaveOut(c perf.Cell, ended evidence.State) {
	if ended != evidence.Unsupported {
		r.LeftOut = append(r.LeftOut, fmt.Sprintf("%s is %s", c, ended))
	}
}

// fromGate takes the median of the medians of the head's replicates, of executions by the host's and by the device's clock and from end to end, of
// every cell whose parity holds.
func fromGate(g *gate.Record) (*Run, error) {
	if g.Verdict == nil {
		return nil, errors.New("the gate's record has no verdict: it did not finish")
	}
	judged := gate.Judge(g)
	if differs := gate.Differs(g.Verdict, judged); differs != "" {
		return nil, errors.New(differs)
	}
	e := g.Environment
	e.Variables = slices.Concat(e.Variables, g.Head.Variables) // whose numbers these are
	run, err := newRun(FromGate, g.Class, &e)
	if err != nil {
		return nil, err
	}
	run.When, run.Version, run.Commit, run.Dirty = g.When, g.Head.Version, g.Head.Revision, g.Head.Modified
	all := slices.DeleteFunc(slices.Concat(g.Screen, g.Confirm), func(m perf.Measurement) bool { return m.Arm != perf.Head || m.Control })
	for _, c := range judged.Cells {
		if !c.Parity.Holds() {
			run.leaveOut(c.Cell, c.Parity.State)
			continue
		}
		run.addMedian(c.Name+".gate_p50_ms", all, c.Cell, perf.HostSamples)
		run.addMedian(c.Name+".gate_device_p50_ms", all, c.Cell, perf.DeviceSamples)
		run.addMedian(c.Name+".gate_end_to_end_p50_ms", all, c.Cell, perf.EndToEndSamples)
	}
	return run, nil
}

// addMedian adds the median of the medians of a cell's replicates, where there are any.
func (r *Run) addMedian(metric string, all []perf.Measurement, c perf.Cell, series perf.Series) {
	of := medians(all, c, series)
	if len(of) == 0 {
		return
	}
	samples := 0
	for i := range all {
		if all[i].Cell == c {
			samples += len(series(&all[i]))
		}
	}
	r.Points = append(r.Points, Point{Metric: metric, Unit: Milliseconds, Value: stat.Median(of), Samples: samples, Replicates: len(of), Medians: of})
}

func newRun(source Source, class env.Class, e *env.Environment) (*Run, error) {
	if faults := e.Injected(); faults != "" {
		return nil, fmt.Errorf("it was measured with faults injected (%s): no history of a build", printable.Line(faults))
	}
	return &Run{RunRef: RunRef{Source: source, Software: software(e)}, Class: class.ID, Kind: cmp.Or(class.Kind, kindOf(class.ID))}, nil
}

// medians returns the medians of a cell's replicates, in milliseconds.
func medians(measurements []perf.Measurement, c perf.Cell, samples perf.Series) (ms []float64) {
	for i := range measurements {
		m := &measurements[i]
		if of := samples(m); m.Cell == c && m.State == evidence.Measured && len(of) > 0 {
			ms = append(ms, perf.Millis(stat.Median(of)))
		}
	}
	return ms
}
