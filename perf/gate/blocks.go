package gate

import (
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/stat"
)

// series is what the blocks of one comparison say of one metric.
type series struct {
	metric     Metric
	values     []float64 // log ratio of head over base, one for each block that counts
	base, head []float64 // figures of the replicates in the blocks that count
	dropped    []string  // why blocks do not count
}

// blocksOf compares the arms of a cell, block by block, over the given number of blocks, in every metric. What keeps a block from
// counting at all is told with Time.
func blocksOf(list []perf.Measurement, c perf.Cell, blocks int, limits Limits) map[Metric]series {
	all := map[Metric]series{}
	for i, block := range inBlocks(list, c, blocks) {
		if len(block) == 0 {
			continue
		}
		base, head := arms(block, false)
		if why := unusable(base, head, limits.Time.Delta); why != "" {
			all[Time] = all[Time].drop(i, why)
			continue
		}
		for _, k := range Metrics {
			if s := all[k].add(i, k, limits.Of(k).Offset, base, head); len(s.values)+len(s.dropped) > 0 {
				all[k] = s
			}
		}
	}
	return all
}

// controlBlocks compares the control's base with the base, process by process: a block gives two values, so that few blocks are
// enough to tell a machine that moved from chance.
func controlBlocks(list []perf.Measurement, c perf.Cell, blocks int, delta float64) series {
	s := series{metric: Time}
	for i, block := range inBlocks(list, c, blocks) {
		base, again := arms(block, true)
		if why := unusable(base, again, delta); why != "" {
			s = s.drop(i, why)
			continue
		}
		s.pair(figures(base, Time), figures(again, Time))
	}
	return s
}

// inBlocks sorts the measurements of a cell by their blocks.
func inBlocks(list []perf.Measurement, c perf.Cell, blocks int) [][]perf.Measurement {
	out := make([][]perf.Measurement, blocks)
	for _, m := range list {
		if m.Cell == c && m.Block >= 0 && m.Block < blocks {
			out[m.Block] = append(out[m.Block], m)
		}
	}
	return out
}

func (s series) drop(block int, why string) series {
	s.metric = Time
	s.dropped = append(s.dropped, fmt.Sprintf("block %d: %s", block, why))
	return s
}

// add adds the value of a block. One side that does not tell a metric which the other tells is no value of zero.
func (s series) add(block int, k Metric, offset float64, base, head []perf.Measurement) series {
	s.metric = k
	told := 0
	for _, m := range slices.Concat(base, head) {
		if _, has := k.value(m); has {
			told++
		}
	}
	switch told {
	case 0:
		return s
	case len(base) + len(head):
	default:
		s.dropped = append(s.dropped, fmt.Sprintf("block %d: not every process tells its %s", block, k.Words()))
		return s
	}
	b, h := figures(base, k), figures(head, k)
	s.values = append(s.values, meanLog(h, offset)-meanLog(b, offset))
	s.base, s.head = append(s.base, b...), append(s.head, h...)
	return s
}

// pair adds the log ratios of neighbours: the first of head over the first of base, and so on.
func (s *series) pair(base, head []float64) {
	for i := range min(len(base), len(head)) {
		s.values = append(s.values, math.Log(head[i]/base[i]))
	}
	s.base, s.head = append(s.base, base...), append(s.head, head...)
}

// arms splits the measurements of a block.
func arms(block []perf.Measurement, control bool) (base, head []perf.Measurement) {
	for _, m := range block {
		switch {
		case m.Arm == perf.Base && !m.Control:
			base = append(base, m)
		case control == m.Control:
			head = append(head, m)
		}
	}
	return base, head
}

// unusable tells why a block does not count, "" if it does. delta bounds by how much time and cycles of a device may disagree.
func unusable(base, head []perf.Measurement, delta float64) string {
	if len(base) != 2 || len(head) != 2 {
		return fmt.Sprintf("has %d and %d replicates, want 2 and 2", len(base), len(head))
	}
	for _, m := range slices.Concat(base, head) {
		if m.State != evidence.Measured {
			return failure(m)
		}
		if (len(m.DeviceSamples) > 0) != (len(base[0].DeviceSamples) > 0) {
			return "is timed in two ways, by the host's clock and by the device's"
		}
		if where(m) != where(base[0]) {
			return fmt.Sprintf("ran in two places, %s and %s", where(base[0]), where(m))
		}
		if why := disturbed(m); why != "" {
			return why
		}
		if x := median(m); !(x > 0) || math.IsInf(x, 0) {
			return fmt.Sprintf("%s has a median of %v ns", m.Arm, x)
		}
	}
	value := meanLog(figures(head, Time), 0) - meanLog(figures(base, Time), 0)
	if clocked(base) && clocked(head) { // on a device, time and cycles have to tell one story
		cycles := value + meanLog(clocks(head), 0) - meanLog(clocks(base), 0)
		if math.Abs(cycles-value) > math.Log1p(delta)/2 {
			return fmt.Sprintf("time and cycles disagree: %+.1f %% and %+.1f %%", 100*math.Expm1(value), 100*math.Expm1(cycles))
		}
	}
	return ""
}

// where names what executed a replicate.
func where(m perf.Measurement) string {
	if m.Device == nil {
		return "processors"
	}
	return fmt.Sprintf("device %d", *m.Device)
}

// watched returns the samples of the device that executed a replicate. Others may be busy with something else.
func watched(m perf.Measurement) []perf.DeviceSample {
	return slices.DeleteFunc(slices.Clone(m.Devices), func(d perf.DeviceSample) bool { return m.Device == nil || d.Device != *m.Device })
}

// disturbed tells why the device of a replicate was not free to run, as far as anybody knows: what cannot be observed is not clean.
func disturbed(m perf.Measurement) string {
	if m.Device == nil {
		return ""
	}
	samples := watched(m)
	if len(samples) == 0 {
		return fmt.Sprintf("device %d was not observed", *m.Device)
	}
	for _, d := range samples {
		if slices.Contains(d.EventReasons, env.ReasonsUnreadable) {
			return fmt.Sprintf("device %d does not tell its clock event reasons", d.Device)
		}
		if reasons := env.ThrottleReasons(d); len(reasons) > 0 {
			return fmt.Sprintf("device %d was slowed down: %s", d.Device, reasons[0])
		}
	}
	return ""
}

// median is the replicate's figure: the median of its samples, by the device's own clock where it has one.
func median(m perf.Measurement) float64 { return stat.Median(m.Judged()) }

// figures returns a metric of replicates that have it.
func figures(list []perf.Measurement, k Metric) []float64 {
	var out []float64
	for _, m := range list {
		x, _ := k.value(m)
		out = append(out, x)
	}
	return out
}

// clocked tells whether every replicate of a device's own samples saw the device's clock.
func clocked(list []perf.Measurement) bool {
	return !slices.ContainsFunc(list, func(m perf.Measurement) bool { return len(m.DeviceSamples) == 0 || clock(m) <= 0 })
}

// clock is the mean SM clock over a replicate, in MHz.
func clock(m perf.Measurement) float64 {
	samples, sum := watched(m), 0.0
	for _, d := range samples {
		sum += float64(d.SMClockMHz)
	}
	return sum / float64(max(len(samples), 1))
}

func clocks(list []perf.Measurement) (out []float64) {
	for _, m := range list {
		out = append(out, clock(m))
	}
	return out
}

func meanLog(list []float64, offset float64) float64 {
	sum := 0.0
	for _, x := range list {
		sum += math.Log(x + offset)
	}
	return sum / float64(len(list))
}

// workloadBlocks compares the fixed workload as it ran before the head's turns with how it ran before the base's, process by
// process.
func workloadBlocks(list []WorkloadSample, stage Stage, blocks int) series {
	s := series{metric: Time}
	bySlot := map[string][]float64{} // by block, backend and slot
	var names []string
	key := func(block int, backend string, slot int) string { return fmt.Sprintf("%d %s %d", block, backend, slot) }
	for _, w := range list {
		if w.Stage != stage || w.NS <= 0 {
			continue
		}
		k := key(w.Block, w.Backend, w.Slot)
		bySlot[k] = append(bySlot[k], w.NS)
		if !slices.Contains(names, w.Backend) {
			names = append(names, w.Backend)
		}
	}
	slices.Sort(names)
	for block := range blocks {
		for _, b := range names {
			s.pair(bySlot[key(block, b, 0)], bySlot[key(block, b, 1)])
			s.pair(bySlot[key(block, b, 5)], bySlot[key(block, b, 4)])
		}
	}
	return s
}
