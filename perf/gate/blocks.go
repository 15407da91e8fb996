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

// series is what the blocks of one comparison say.
type series struct {
	values     []float64 // log ratio of head over base, one for each block that counts
	base, head []float64 // medians of the replicates in the blocks that count, in milliseconds
	dropped    []string  // why blocks do not count
}

// blocksOf compares the arms of a cell, block by block, over the given number of blocks. With control set it compares the
// control's base with the base, process by process: a block gives two values, so that few blocks are enough to tell a machine
// that moved from chance. delta bounds by how much time and cycles of a device may disagree.
func blocksOf(list []perf.Measurement, c perf.Cell, blocks int, control bool, delta float64) series {
	var s series
	byBlock := make([][]perf.Measurement, blocks)
	for _, m := range list {
		if m.Cell == c && m.Block >= 0 && m.Block < blocks {
			byBlock[m.Block] = append(byBlock[m.Block], m)
		}
	}
	for i, block := range byBlock {
		if len(block) == 0 {
			continue
		}
		base, head := arms(block, control)
		value, why := compare(base, head, delta)
		if why != "" {
			s.dropped = append(s.dropped, fmt.Sprintf("block %d: %s", i, why))
			continue
		}
		b, h := medians(base), medians(head)
		if control {
			s.pair(b, h)
			continue
		}
		s.values, s.base, s.head = append(s.values, value), append(s.base, b...), append(s.head, h...)
	}
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

// compare returns the log ratio of a block, or why it does not count.
func compare(base, head []perf.Measurement, delta float64) (value float64, why string) {
	if len(base) != 2 || len(head) != 2 {
		return 0, fmt.Sprintf("has %d and %d replicates, want 2 and 2", len(base), len(head))
	}
	for _, m := range slices.Concat(base, head) {
		if m.State != evidence.Measured {
			return 0, failure(m)
		}
		if m.Clock != base[0].Clock {
			return 0, fmt.Sprintf("is timed in two ways, %s and %s", base[0].Clock, m.Clock)
		}
		if (len(m.DeviceSamples) > 0) != (len(base[0].DeviceSamples) > 0) {
			return 0, "is timed in two ways, by the host's clock and by the device's"
		}
		if why := throttled(m); why != "" {
			return 0, why
		}
		if x := median(m); !(x > 0) || math.IsInf(x, 0) {
			return 0, fmt.Sprintf("%s has a median of %v ns", m.Arm, x)
		}
	}
	value = meanLog(head, median) - meanLog(base, median)
	if clocked(base) && clocked(head) { // on a device, time and cycles have to tell one story
		cycles := value + meanLog(head, clock) - meanLog(base, clock)
		if math.Abs(cycles-value) > math.Log1p(delta)/2 {
			return 0, fmt.Sprintf("time and cycles disagree: %+.1f %% and %+.1f %%", 100*math.Expm1(value), 100*math.Expm1(cycles))
		}
	}
	return value, ""
}

// throttled tells why a device was not free to run while a replicate was measured. Devices are watched only where a cell computes
// on one, whether or not its backend has a clock of the device's own.
func throttled(m perf.Measurement) string {
	for _, d := range m.Devices {
		if reasons := env.ThrottleReasons(d); len(reasons) > 0 {
			return fmt.Sprintf("device %d was slowed down: %s", d.Device, reasons[0])
		}
	}
	return ""
}

// median is the replicate's figure: the median of its samples, by the device's own clock where it has one.
func median(m perf.Measurement) float64 {
	samples := m.Samples
	if len(m.DeviceSamples) > 0 {
		samples = m.DeviceSamples
	}
	return stat.Median(samples)
}

func medians(list []perf.Measurement) []float64 {
	var out []float64
	for _, m := range list {
		out = append(out, perf.Millis(median(m)))
	}
	return out
}

// clocked tells whether every replicate of a device's own samples saw the device's clock.
func clocked(list []perf.Measurement) bool {
	return !slices.ContainsFunc(list, func(m perf.Measurement) bool { return len(m.DeviceSamples) == 0 || clock(m) <= 0 })
}

// clock is the mean SM clock over a replicate, in MHz.
func clock(m perf.Measurement) float64 {
	sum := 0.0
	for _, d := range m.Devices {
		sum += float64(d.SMClockMHz)
	}
	return sum / float64(max(len(m.Devices), 1))
}

func meanLog(list []perf.Measurement, of func(perf.Measurement) float64) float64 {
	sum := 0.0
	for _, m := range list {
		sum += math.Log(of(m))
	}
	return sum / float64(len(list))
}

// workloadBlocks compares the fixed workload as it ran before the head's turns with how it ran before the base's, process by
// process.
func workloadBlocks(list []WorkloadSample, stage Stage, blocks int) series {
	var s series
	bySlot := map[string][]float64{} // by block, backend and slot
	var names []string
	key := func(block int, backend string, slot int) string { return fmt.Sprintf("%d %s %d", block, backend, slot) }
	for _, w := range list {
		if w.Stage != stage || w.NS <= 0 {
			continue
		}
		k := key(w.Block, w.Backend, w.Slot)
		bySlot[k] = append(bySlot[k], perf.Millis(w.NS))
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
