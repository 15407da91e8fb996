package perf

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/stat"
)

// What a measurement can hold at all. The worker's client holds numbers against what it saw itself (backends/worker/PROTOCOL.md);
// these limits are wider and need nothing but the number, so that they also fit what is read from a file.
const (
	leastGroupNS = 0.5         // of a group of runs: half the unit of the clock, as the mean of a group is rounded
	mostNS       = 86_400e9    // of anything that is timed: a day
	mostCalls    = 65_536      // in a sample
	mostSteps    = 65_536      // of a plan
	mostBytes    = 1 << 50     // of memory, and of allocations in one run
	mostAllocs   = 1 << 40     // in one run: more than a run of minutes could make
	mostCount    = 1 << 31     // of processes, blocks and cells in a run
	mostWatts    = 1_000_000.0 // of one device
	// mostPause is how long a process may be kept from running between two samples. Bounds below it say nothing about the samples.
	mostPause = 100 * time.Millisecond
)

// within refuses a number outside of a range, and what is no number.
func within(field string, value, low, high float64) error {
	if value >= low && value <= high {
		return nil
	}
	return fmt.Errorf("%s is %v, want %v to %v", field, value, low, high)
}

// Check returns the first thing that no measurement can hold, nil where there is none: a name that is no cell's, a state that no run
// ends in, samples without the state measured or the other way round, and numbers that are none or that no machine reaches. What
// passes can be summed up and written as JSON.
func (m *Measurement) Check() error {
	if _, err := ParseCell(m.Cell.String()); err != nil {
		return err
	}
	if _, err := evidence.Parse(string(m.State)); err != nil {
		return err
	}
	switch n := len(m.DeviceSamples); {
	case m.State.Compared():
		return fmt.Errorf("%s is no state of a measurement", m.State)
	case m.State == evidence.Measured && len(m.Samples) == 0:
		return errors.New("it is measured and has no samples")
	case m.State != evidence.Measured && len(m.Samples)+n+len(m.EndToEnd) > 0:
		return fmt.Errorf("it is %s and has samples", m.State)
	case n > 0 && n != len(m.Samples):
		return fmt.Errorf("it has %d samples of the host's clock and %d of the device's", len(m.Samples), n)
	case len(m.EndToEnd) > len(m.Samples):
		return fmt.Errorf("it has %d samples of runs from end to end and %d of executions, of which they are a share", len(m.EndToEnd), len(m.Samples))
	case m.Device != nil && *m.Device < 0:
		return fmt.Errorf("device is %d, want an index", *m.Device)
	}
	if m.Steps != nil && (m.State != evidence.Measured || m.StepsLack != "") {
		return fmt.Errorf("it has times of steps, and is %s and lacks them (%q)", m.State, m.StepsLack)
	}
	return cmp.Or(m.checkCounts(), m.checkSamples(), m.checkCosts(), m.checkDevices(), m.Steps.check(), m.Outputs.Check())
}

// Check returns what no timed session can have given, nil where there is nothing: a digest that is none, a comparison that was not
// made.
func (o *Outputs) Check() error {
	if o == nil {
		return nil
	}
	digests := []string{o.FirstSHA256, o.LastSHA256}
	if o.StepsSHA256 != "" {
		digests = append(digests, o.StepsSHA256)
	}
	for _, digest := range digests {
		if b, err := hex.DecodeString(digest); err != nil || len(b) != 32 {
			return fmt.Errorf("the digest %q of its outputs is no SHA-256", digest)
		}
	}
	if !o.Parity.State.Compared() {
		return fmt.Errorf("its outputs were not compared: %s", o.Parity.State)
	}
	return o.Parity.Check()
}

func (m *Measurement) checkCounts() error {
	return cmp.Or(
		within("replicate", float64(m.Replicate), 0, mostCount), within("block", float64(m.Block), 0, mostCount), within("order", float64(m.Order), 0, mostCount),
		within("calls_per_sample", float64(m.CallsPerSample), 0, mostCalls), within("bound_ns", float64(m.BoundNS), 0, mostNS))
}

func (m *Measurement) checkSamples() error {
	calls, sum := m.calls(), 0.0
	for i, ns := range m.Samples {
		if err := within(fmt.Sprintf("samples_ns[%d]", i), ns, leastGroupNS/calls, mostNS/calls); err != nil {
			return err
		}
		sum += ns
	}
	for i, ns := range m.DeviceSamples {
		if err := within(fmt.Sprintf("device_samples_ns[%d]", i), ns, 0, mostNS/calls); err != nil {
			return err
		}
	}
	for i, ns := range m.EndToEnd {
		if err := within(fmt.Sprintf("end_to_end_ns[%d]", i), ns, leastGroupNS/calls, mostNS); err != nil {
			return err
		}
	}
	return cmp.Or(within("the sum of samples_ns", sum, 0, mostNS/calls), within("timer_share", m.TimerShare, 0, 1))
}

// check refuses steps that have no name, come twice, or take more than their execution. The median of numbers that are not negative is at most twice
// their mean (Markov), so the medians of all steps together are at most twice the mean of an execution; a device's clock may run 1 % fast.
func (s *Steps) check() error {
	if s == nil {
		return nil
	}
	if err := cmp.Or(within("the samples of steps", float64(s.Samples), 1, mostCount), within("calls in a sample of steps", float64(s.Calls), 1, mostCalls),
		within("mean_ns of steps", s.MeanNS, leastGroupNS, mostNS), within("the number of steps", float64(len(s.List)), 1, mostSteps)); err != nil {
		return err
	}
	type key struct{ name, nodes string }
	seen, sum := map[key]bool{}, 0.0
	for _, step := range s.List {
		k := key{step.Name, step.Nodes}
		if step.Name == "" || step.Nodes == "" || seen[k] {
			return fmt.Errorf("the step %q of the nodes %q has no name, no nodes, or comes twice", step.Name, step.Nodes)
		}
		if err := within("ns of step "+step.Name, step.NS, 0, mostNS); err != nil {
			return err
		}
		seen[k] = true
		sum += step.NS
	}
	if most := 2 * 1.01 * s.MeanNS; sum > most {
		return fmt.Errorf("the steps take %.4g ns together and an execution %.4g: their medians can be %.4g at most", sum, s.MeanNS, most)
	}
	return nil
}

func (m *Measurement) checkCosts() error {
	return cmp.Or(
		within("compile_ns", float64(m.CompileNS), 0, mostNS), within("first_run_ns", float64(m.FirstRunNS), 0, mostNS),
		within("host_peak_bytes", float64(m.HostPeakBytes), 0, mostBytes), within("device_peak_bytes", float64(m.DevicePeakBytes), 0, mostBytes),
		within("allocs_per_run", m.AllocsPerRun, 0, mostAllocs), within("alloc_bytes_per_run", m.BytesPerRun, 0, mostBytes))
}

func (m *Measurement) checkDevices() error {
	for i, d := range m.Devices {
		field := func(name string) string { return fmt.Sprintf("devices[%d].%s", i, name) }
		if err := cmp.Or(
			within(field("device"), float64(d.Device), 0, mostCount), within(field("sm_clock_mhz"), float64(d.SMClockMHz), 0, mostCount),
			within(field("mem_clock_mhz"), float64(d.MemClockMHz), 0, mostCount), within(field("power_w"), d.PowerW, 0, mostWatts),
		); err != nil {
			return err
		}
	}
	return nil
}

// Checked returns the measurement, Refused where Check refuses it.
func (m Measurement) Checked() Measurement {
	if err := m.Check(); err != nil {
		return m.Refused(err)
	}
	return m
}

// Refused returns a measurement of the same cell and place that ended in an error and holds no numbers: what one worker says wrongly
// costs its cell and nothing else.
func (m Measurement) Refused(why error) Measurement {
	m.End(evidence.Outcome{State: evidence.Errored, Reason: evidence.ReasonError, Detail: why.Error()})
	return m
}

// calls is the number of runs in a sample.
func (m *Measurement) calls() float64 { return float64(max(m.CallsPerSample, 1)) }

// CheckUnits compares the samples of a measurement that passed Check with what else is known of the time that was spent, so that
// milliseconds or microseconds do not read as a build that became a thousand times faster. Sampling goes on until there are so many
// iterations or until they took the bound, both positive; the share of reading the clock, which takes a nanosecond at least, is of the
// median; and no run takes much longer than the first, cold one. (How much longer the first may take is not known: it may load a
// device's program.)
func (m *Measurement) CheckUnits(iterations int, bound time.Duration) error {
	if m.State != evidence.Measured {
		return nil
	}
	const other = "other units than nanoseconds"
	n, limit, middle := len(m.Samples), float64(bound), stat.Median(m.Samples)
	least, most := slices.Min(m.Samples), slices.Max(m.Samples)
	spent := 0.0
	for _, ns := range m.Samples {
		spent += ns * m.calls()
	}
	switch reading := m.TimerShare * middle * m.calls(); {
	case n > iterations:
		return fmt.Errorf("it has %d samples, and sampling ends at %d", n, iterations)
	case n < iterations && spent < limit/100 && bound > mostPause:
		return fmt.Errorf("%d samples took %.4g ns together, and sampling ends at %d or at %.4g ns: %s", n, spent, iterations, limit, other)
	case n > 1 && spent-most*m.calls() > 2*limit:
		return fmt.Errorf("%d samples took %.4g ns together, and sampling ends at %.4g ns: %s", n, spent, limit, other)
	case reading > 0 && reading < leastGroupNS:
		return fmt.Errorf("reading the clock takes %.2g of a sample of %.4g ns: %s", m.TimerShare, middle, other)
	case m.FirstRunNS > 0 && least > 100*float64(m.FirstRunNS) && (n > 2 || least > float64(mostPause)): // a busy machine may hold up one or two
		return fmt.Errorf("every sample is above %.4g ns and the first run took %d: %s", least, m.FirstRunNS, other)
	}
	if len(m.EndToEnd) > 0 && slices.Max(m.EndToEnd) < least/100 {
		return fmt.Errorf("runs from end to end take %.4g ns at most and executions alone %.4g at least: %s", slices.Max(m.EndToEnd), least, other)
	}
	if len(m.DeviceSamples) > 0 && slices.Max(m.DeviceSamples) > 1e3*most {
		return fmt.Errorf("the device's samples reach %.4g ns and the host's %.4g: %s", slices.Max(m.DeviceSamples), most, other)
	}
	return nil
}

// Check returns the first number of what a model did that no run can have, nil where there is none.
func (w *Work) Check() error {
	if w == nil {
		return nil
	}
	for _, list := range []struct {
		field  string
		counts []int
	}{{"tiles_l0", w.TilesL0}, {"tiles_l1", w.TilesL1}, {"tiles_l2", w.TilesL2}, {"candidates", w.Candidates}} {
		for i, n := range list.counts {
			if err := within(fmt.Sprintf("%s[%d]", list.field, i), float64(n), 0, mostCount); err != nil {
				return err
			}
		}
	}
	for name, b := range w.Budgets {
		if err := cmp.Or(within("budgets."+name+".spent", b.Spent, 0, math.MaxFloat32), within("budgets."+name+".limit", b.Limit, 0, math.MaxFloat32)); err != nil {
			return err
		}
		const slack = 1e-6                                                // of what is added up over a batch
		if name != "b1" && b.Spent > b.Limit*(1+slack)+slack && !b.Over { // b1 does not bind a model that is routed densely
			return fmt.Errorf("budgets.%s spent %g of %g, and is not said to be over", name, b.Spent, b.Limit)
		}
	}
	return nil
}

// CheckWhole is Check of what a complete model did, which accounts for each budget.
func (w *Work) CheckWhole() error {
	if w == nil {
		return errors.New("work is missing, though its outputs were compared")
	}
	for _, name := range []string{"b1", "b2", "b3"} {
		if _, ok := w.Budgets[name]; !ok {
			return fmt.Errorf("budgets lack %s", name)
		}
	}
	return w.Check()
}

// TimedIn is a parity with the words that it is of the timed session of a replicate.
func (p Parity) TimedIn(replicate int) Parity {
	p.Detail = strings.TrimSuffix(fmt.Sprintf("timed in replicate %d: %s", replicate, p.Detail), ": ")
	return p
}

// passNote is all that is said of a parity that is a pass: what TimedIn says of one.
var passNote = regexp.MustCompile(`^(timed in replicate \d+)?$`)

// Check returns what no comparison can give, nil where there is nothing: a state that is none, a largest error that is no finite
// number or negative, a pass of which something has to be explained.
func (p *Parity) Check() error {
	if _, err := evidence.Parse(string(p.State)); err != nil {
		return err
	}
	if p.State == evidence.Measured {
		return fmt.Errorf("%s is no state of a comparison", p.State)
	}
	if p.State == evidence.Pass && !passNote.MatchString(p.Detail) {
		return fmt.Errorf("it is a pass, and %q is said of it", p.Detail)
	}
	return within("max_abs", p.MaxAbs, 0, math.MaxFloat64)
}
