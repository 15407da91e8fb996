package plots

import (
	"slices"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/stat"
)

// armSamples is one side of one cell, in milliseconds.
type armSamples struct {
	pooled  []float64 // every sample of every replicate, sorted
	medians []float64 // of the replicates, in order
	middle  float64   // median of the medians
}

// thinned returns at most n samples at even distances in rank, the least and the greatest among them.
func (a armSamples) thinned(n int) []float64 {
	if len(a.pooled) <= n {
		return a.pooled
	}
	list := make([]float64, n)
	for i := range list {
		list[i] = a.pooled[i*(len(a.pooled)-1)/(n-1)]
	}
	return list
}

// cellSamples is what a cell's verdict rests on: the confirmation where there was one, else the screen.
type cellSamples struct {
	cell  gate.Cell
	stage string
	arms  map[perf.Arm]armSamples
}

// measured tells whether anything can be drawn.
func (c cellSamples) measured() bool {
	return len(c.arms[perf.Base].pooled)+len(c.arms[perf.Head].pooled) > 0
}

// worstWithSamples returns the cells that have samples, the worst first.
func worstWithSamples(r *gate.Record) []cellSamples {
	if r == nil {
		return nil
	}
	screen, confirm := byCell(r.Screen), byCell(r.Confirm)
	var list []cellSamples
	for _, c := range r.Verdict.Worst() {
		drawn := cellSamples{c, "screen", screen[c.Cell]}
		if s := c.Of(gate.Time); s != nil && s.Confirm != nil {
			drawn.stage, drawn.arms = "confirmation", confirm[c.Cell]
		}
		if drawn.measured() {
			list = append(list, drawn)
		}
	}
	return list
}

// byCell sorts measurements, controls left out, by cell and arm. Samples that cannot be drawn on a logarithmic axis are dropped.
func byCell(measurements []perf.Measurement) map[perf.Cell]map[perf.Arm]armSamples {
	all := map[perf.Cell]map[perf.Arm]armSamples{}
	for _, m := range measurements {
		if m.Control {
			continue
		}
		var ms []float64
		for _, ns := range m.Judged() {
			if positive(ns / 1e6) {
				ms = append(ms, ns/1e6)
			}
		}
		if len(ms) == 0 {
			continue
		}
		if all[m.Cell] == nil {
			all[m.Cell] = map[perf.Arm]armSamples{}
		}
		arm := all[m.Cell][m.Arm]
		arm.pooled = append(arm.pooled, ms...)
		arm.medians = append(arm.medians, stat.Median(ms))
		all[m.Cell][m.Arm] = arm
	}
	for _, arms := range all {
		for name, a := range arms {
			slices.Sort(a.pooled)
			a.middle = stat.Median(a.medians)
			arms[name] = a
		}
	}
	return all
}
