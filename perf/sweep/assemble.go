package sweep

import (
	"cmp"
	"slices"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/stat"
)

// Result sums the store up. It is a function of the log alone.
func (s *Store) Result() *Result {
	h := s.Header
	r := &Result{Schema: SchemaID, When: h.When, Version: h.Version, Command: h.Command, Environment: h.Environment, Class: h.Class, Plan: h.Plan}
	r.Measurements = slices.Clone(s.Measurements)
	slices.SortStableFunc(r.Measurements, func(a, b perf.Measurement) int { return cmp.Compare(a.Replicate, b.Replicate) })
	for _, c := range h.Plan.Cells {
		cell := Sum(c, r.Measurements)
		for _, t := range s.ParityRuns {
			if t.Cell == c {
				cell.Parity, cell.Work = t.Parity, t.Work
			}
		}
		if timed := timedParity(c, r.Measurements); timed != nil && worse(*timed, cell.Parity) {
			cell.Parity = *timed
		}
		r.Cells = append(r.Cells, cell)
	}
	r.Quality = slices.Clone(s.Quality)
	for i := range r.Cells {
		r.Cells[i].Quality = r.QualityOf(r.Cells[i].Cell)
	}
	return r
}

// timedParity is the worst of what the timed sessions of a cell computed, nil where nothing was timed: the speed is theirs, and not that of
// the session of the parity run. A session of which no outputs are recorded is unverified.
func timedParity(c perf.Cell, all []perf.Measurement) (worst *perf.Parity) {
	for i := range all {
		m := &all[i]
		if m.Cell != c || m.State != evidence.Measured {
			continue
		}
		p := perf.Parity{State: evidence.Unverified, Detail: "its outputs were not recorded"}
		if m.Outputs != nil {
			p = m.Outputs.Parity
		}
		if worst == nil || worse(p, *worst) {
			p = p.TimedIn(m.Replicate)
			worst = &p
		}
	}
	return worst
}

// worse tells whether a comparison ended worse than another, or as well with a greater error.
func worse(p, than perf.Parity) bool {
	return p.State.Worse(than.State) || p.State == than.State && p.MaxAbs > than.MaxAbs
}

// Sum sums up the measurements of one cell, whose state is the worst of its replicates'. Without any, the cell has failed for the reason not_measured.
func Sum(c perf.Cell, all []perf.Measurement) CellResult {
	r := CellResult{Cell: c, Name: c.String(), State: evidence.Measured, Parity: perf.Parity{State: "not-run", Detail: "no parity run"}}
	var list []perf.Measurement
	for _, m := range all {
		if m.Cell == c {
			list = append(list, m)
		}
	}
	if len(list) == 0 {
		r.State, r.Reason = evidence.Errored, "not_measured"
		return r
	}
	var first, compile, allocs, bytes []float64
	for _, m := range list {
		if m.State.Worse(r.State) {
			r.State, r.Reason, r.Detail = m.State, m.Reason, m.Detail
		}
		if m.State != evidence.Measured {
			continue
		}
		first, compile = append(first, float64(m.FirstRunNS)), append(compile, float64(m.CompileNS))
		allocs, bytes = append(allocs, m.AllocsPerRun), append(bytes, m.BytesPerRun)
		r.HostPeakBytes, r.DevicePeakBytes = max(r.HostPeakBytes, m.HostPeakBytes), max(r.DevicePeakBytes, m.DevicePeakBytes)
	}
	r.Summary, r.Device, r.EndToEnd = perf.Summarize(list, perf.HostSamples), perf.Summarize(list, perf.DeviceSamples), perf.Summarize(list, perf.EndToEndSamples)
	if len(first) > 0 {
		r.FirstRunMS, r.CompileMS = perf.Millis(stat.Median(first)), perf.Millis(stat.Median(compile))
		r.AllocsPerRun, r.BytesPerRun = stat.Median(allocs), stat.Median(bytes)
	}
	return r
}
