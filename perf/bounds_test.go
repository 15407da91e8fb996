package perf

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/parity/evidence"
)

var timed = Cell{Backend: "ort", Profile: "nano", Precision: backends.FP32, Height: 128, Width: 128, Batch: 2, Scope: Complete}

// sound is a measurement with a number in every field.
func sound() Measurement {
	return Measurement{Cell: timed, Replicate: 3, Block: 2, Order: 1, State: evidence.Measured, Samples: []float64{2e6, 3e6, 2.5e6},
		DeviceSamples: []float64{1e6, 0, 1e6}, EndToEnd: []float64{4e6}, CallsPerSample: 4, TimerShare: 1e-4, BoundNS: 4e8, CompileNS: 5e6, FirstRunNS: 6e6, HostPeakBytes: 1 << 30,
		Steps:           &Steps{Samples: 9, Calls: 2, MeanNS: 2e6, List: []Step{{"a", "0a", 5e5}, {"b", "0b", 0}}},
		DevicePeakBytes: 1 << 31, AllocsPerRun: 12.5, BytesPerRun: 1e6, Started: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		Devices: []DeviceSample{{SMClockMHz: 1980, MemClockMHz: 2600, TemperatureC: -5, PowerW: 350}}}
}

// TestMeasurementCheck changes one thing of a sound measurement at a time. What is refused becomes an error of its cell that can be
// written, at its place.
func TestMeasurementCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Measurement)
		want   string
	}{
		"no cell":                {func(m *Measurement) { m.Cell.Batch = 0 }, "is not the name of a cell"},
		"no state":               {func(m *Measurement) { m.State = "" }, `unknown state ""`},
		"a comparison's state":   {func(m *Measurement) { m.State = evidence.Pass }, "pass is no state of a measurement"},
		"measured, no samples":   {func(m *Measurement) { m.Samples = nil }, "it is measured and has no samples"},
		"crashed, samples":       {func(m *Measurement) { m.State = evidence.Crashed }, "it is crashed and has samples"},
		"crashed, device's":      {func(m *Measurement) { m.State, m.Samples = evidence.Crashed, nil }, "it is crashed and has samples"},
		"half a device":          {func(m *Measurement) { m.DeviceSamples = m.DeviceSamples[1:] }, "3 samples of the host's clock and 2 of the device's"},
		"crashed, whole runs":    {func(m *Measurement) { m.State, m.Samples, m.DeviceSamples = evidence.Crashed, nil, nil }, "it is crashed and has samples"},
		"more whole runs":        {func(m *Measurement) { m.EndToEnd = []float64{1, 1, 1, 1} }, "4 samples of runs from end to end and 3 of executions"},
		"a whole run of nothing": {func(m *Measurement) { m.EndToEnd[0] = 0 }, "end_to_end_ns[0] is 0, want 0.125 to "},
		"a whole run's NaN":      {func(m *Measurement) { m.EndToEnd[0] = math.NaN() }, "end_to_end_ns[0] is NaN"},
		"a tiny sample":          {func(m *Measurement) { m.Samples[1] = 1e-300 }, "samples_ns[1] is 1e-300, want 0.125 to 2.16e+13"},
		"no sample":              {func(m *Measurement) { m.Samples[0] = 0 }, "samples_ns[0] is 0"},
		"a negative sample":      {func(m *Measurement) { m.Samples[0] = -1 }, "samples_ns[0] is -1"},
		"NaN":                    {func(m *Measurement) { m.Samples[2] = math.NaN() }, "samples_ns[2] is NaN"},
		"infinity":               {func(m *Measurement) { m.Samples[2] = math.Inf(1) }, "samples_ns[2] is +Inf"},
		"days":                   {func(m *Measurement) { m.Samples = []float64{2e13, 2e13}; m.DeviceSamples = nil }, "the sum of samples_ns is 4e+13"},
		"a device's NaN":         {func(m *Measurement) { m.DeviceSamples[0] = math.NaN() }, "device_samples_ns[0] is NaN"},
		"a device's 1e300":       {func(m *Measurement) { m.DeviceSamples[0] = 1e300 }, "device_samples_ns[0] is 1e+300"},
		"2^62 calls":             {func(m *Measurement) { m.CallsPerSample = 1 << 62 }, "calls_per_sample is 4.611686018427388e+18, want 0 to 65536"},
		"negative calls":         {func(m *Measurement) { m.CallsPerSample = -1 }, "calls_per_sample is -1"},
		"a share of 5":           {func(m *Measurement) { m.TimerShare = 5 }, "timer_share is 5, want 0 to 1"},
		"a negative replicate":   {func(m *Measurement) { m.Replicate = -1 }, "replicate is -1"},
		"a negative block":       {func(m *Measurement) { m.Block = -1 }, "block is -1"},
		"a negative order":       {func(m *Measurement) { m.Order = -1 }, "order is -1"},
		"a negative bound":       {func(m *Measurement) { m.BoundNS = -1 }, "bound_ns is -1"},
		"a negative compile":     {func(m *Measurement) { m.CompileNS = -1 }, "compile_ns is -1"},
		"an endless first run":   {func(m *Measurement) { m.FirstRunNS = math.MaxInt64 }, "first_run_ns is 9.223372036854776e+18"},
		"a peak of 2^63-1":       {func(m *Measurement) { m.HostPeakBytes = math.MaxInt64 }, "host_peak_bytes is 9.223372036854776e+18"},
		"a nameless step":        {func(m *Measurement) { m.Steps.List[0].Name = "" }, `the step "" of the nodes "0a" has no name, no nodes, or comes twice`},
		"a step twice":           {func(m *Measurement) { m.Steps.List[1] = m.Steps.List[0] }, `the step "a" of the nodes "0a" has no name, no nodes, or comes twice`},
		"a step's NaN":           {func(m *Measurement) { m.Steps.List[1].NS = math.NaN() }, "ns of step b is NaN"},
		"a negative step":        {func(m *Measurement) { m.Steps.List[1].NS = -1 }, "ns of step b is -1"},
		"longer than the whole":  {func(m *Measurement) { m.Steps.List[1].NS = 4.1e6 }, "the steps take 4.6e+06 ns together and an execution 2e+06: their medians can be 4.04e+06 at most"},
		"no steps":               {func(m *Measurement) { m.Steps.List = nil }, "the number of steps is 0"},
		"steps of no samples":    {func(m *Measurement) { m.Steps.Samples = 0 }, "the samples of steps is 0"},
		"steps and none":         {func(m *Measurement) { m.StepsLack = "none" }, "it has times of steps, and is measured and lacks them"},
		"a negative peak":        {func(m *Measurement) { m.DevicePeakBytes = -1 }, "device_peak_bytes is -1"},
		"1e308 allocations":      {func(m *Measurement) { m.AllocsPerRun = 1e308 }, "allocs_per_run is 1e+308, want 0 to 1.099511627776e+12"},
		"1e308 bytes":            {func(m *Measurement) { m.BytesPerRun = 1e308 }, "alloc_bytes_per_run is 1e+308"},
		"a device without end":   {func(m *Measurement) { m.Devices[0].PowerW = math.Inf(1) }, "devices[0].power_w is +Inf"},
		"a clock that is none":   {func(m *Measurement) { m.Devices[0].SMClockMHz = -1 }, "devices[0].sm_clock_mhz is -1"},
		"a digest that is none":  {func(m *Measurement) { m.Outputs = &Outputs{FirstSHA256: "0a", Parity: Parity{State: evidence.Pass}} }, `the digest "0a"`},
		"outputs nobody compared": {func(m *Measurement) {
			m.Outputs = &Outputs{FirstSHA256: strings.Repeat("0a", 32), LastSHA256: strings.Repeat("0a", 32), Parity: Parity{State: evidence.Crashed}}
		}, "its outputs were not compared: crashed"},
		"a device before the first": {func(m *Measurement) { before := -1; m.Device = &before }, "device is -1"},
		"a memory without rate":     {func(m *Measurement) { m.Devices[0].MemClockMHz = -1 }, "devices[0].mem_clock_mhz is -1"},
	} {
		m := sound()
		c.change(&m)
		err := m.Check()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
			continue
		}
		got := m.Checked()
		if got.State != evidence.Errored || got.Reason != evidence.ReasonError || got.Detail != err.Error() || len(got.Samples) > 0 || got.AllocsPerRun != 0 ||
			got.Cell != m.Cell || got.Replicate != m.Replicate || got.Block != m.Block || got.Order != m.Order {
			t.Errorf("%s: becomes %+v", name, got)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, m := range map[string]Measurement{
		"with every number": sound(),
		"a crash":           {Cell: timed, State: evidence.Crashed, Reason: "SIGKILL"},
		"a single sample":   {Cell: timed, State: evidence.Measured, Samples: []float64{6e10}},
		"groups of a tick":  {Cell: timed, State: evidence.Measured, Samples: []float64{0.001}, CallsPerSample: 1000},
	} {
		if got := m.Checked(); m.Check() != nil || got.State != m.State || len(got.Samples) != len(m.Samples) {
			t.Errorf("%s: %v", name, m.Check())
		}
	}
}

// TestCheckUnits checks what tells units apart, one rule at a time, and that none of them refuses what can be measured.
func TestCheckUnits(t *testing.T) {
	many := func(n int, ns float64) (out []float64) {
		for range n {
			out = append(out, ns)
		}
		return out
	}
	const iterations, bound = 200, 400 * time.Millisecond
	for name, c := range map[string]struct {
		m    Measurement
		want string
	}{
		"whole runs in ms":                     {Measurement{Samples: many(80, 5e6), EndToEnd: many(20, 6), FirstRunNS: 9e6, TimerShare: 1e-5}, "runs from end to end take 6 ns at most and executions alone 5e+06 at least"},
		"80 samples of 5 ms":                   {Measurement{Samples: many(80, 5e6), FirstRunNS: 9e6, TimerShare: 1e-5}, ""},
		"the same in µs":                       {Measurement{Samples: many(80, 5e3), FirstRunNS: 9e6}, "80 samples took 4e+05 ns together"},
		"the same in ps":                       {Measurement{Samples: many(80, 5e9)}, "80 samples took 4e+11 ns together"},
		"200 samples of 1 ms":                  {Measurement{Samples: many(200, 1e6), TimerShare: 5e-5}, ""},
		"the same in µs, by the clock's share": {Measurement{Samples: many(200, 1e3), TimerShare: 5e-5}, "reading the clock takes 5e-05"},
		"groups of 20 runs of 1 µs":            {Measurement{Samples: many(200, 1e3), CallsPerSample: 20, TimerShare: 2.5e-3}, ""},
		"the same in ms, by their size":        {Measurement{Samples: many(200, 1e-3), CallsPerSample: 20, TimerShare: 2.5e-3}, "reading the clock takes 0.0025"},
		"more than were asked for":             {Measurement{Samples: many(201, 1e6)}, "it has 201 samples, and sampling ends at 200"},
		"one run of a minute":                  {Measurement{Samples: many(1, 6e10), FirstRunNS: 7e10}, ""},
		"a device whose program took a second": {Measurement{Samples: many(200, 2e4), DeviceSamples: many(200, 1.5e4), FirstRunNS: 1e9}, ""},
		"a device in µs beside a host in ns":   {Measurement{Samples: many(200, 2e5), DeviceSamples: many(200, 2e9)}, "the device's samples reach 2e+09 ns"},
		"two samples, both held up":            {Measurement{Samples: many(2, 4.8e7), FirstRunNS: 387022}, ""}, // as seen on a busy machine
		"a first run a hundred times as short": {Measurement{Samples: many(80, 5e6), FirstRunNS: 1e4}, "the first run took 10000"},
		"a measurement that found no cell":     {Measurement{State: evidence.Crashed}, ""},
	} {
		if c.m.State == "" {
			c.m.State = evidence.Measured
		}
		if err := c.m.CheckUnits(iterations, bound); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestWorkAndParityCheck(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no work":         {(*Work)(nil).Check(), ""},
		"work":            {(&Work{TilesL0: []int{3}, Candidates: []int{0}, Budgets: map[string]Budget{"b1": {Spent: 3, Limit: 4}}}).Check(), ""},
		"negative tiles":  {(&Work{TilesL1: []int{1, math.MinInt}}).Check(), "tiles_l1[1] is -9.223372036854776e+18"},
		"tiles no end":    {(&Work{TilesL0: []int{math.MaxInt}}).Check(), "tiles_l0[0] is 9.223372036854776e+18"},
		"an endless cost": {(&Work{Budgets: map[string]Budget{"b2": {Spent: math.Inf(1)}}}).Check(), "budgets.b2.spent is +Inf"},
		"overspent":       {(&Work{Budgets: map[string]Budget{"b2": {Spent: 5, Limit: 4}}}).Check(), "budgets.b2 spent 5 of 4, and is not said to be over"},
		"overspent, told": {(&Work{Budgets: map[string]Budget{"b2": {Spent: 5, Limit: 4, Over: true}}}).Check(), ""},
		"routed densely":  {(&Work{Budgets: map[string]Budget{"b1": {Spent: 64, Limit: 4}}}).Check(), ""},
		"of no cell":      {(*Work)(nil).CheckWhole(), "work is missing"},
		"of no budget":    {(&Work{TilesL0: []int{3}, Budgets: map[string]Budget{"b1": {}, "b2": {}}}).CheckWhole(), "budgets lack b3"},
		"no limit":        {(&Work{Budgets: map[string]Budget{"b2": {Limit: math.NaN()}}}).Check(), "budgets.b2.limit is NaN"},
		"parity":          {(&Parity{State: evidence.Fail, MaxAbs: math.MaxFloat64}).Check(), ""},
		"no parity":       {(&Parity{}).Check(), `unknown state ""`},
		"measured":        {(&Parity{State: evidence.Measured}).Check(), "measured is no state of a comparison"},
		"a pass, timed":   {(&Parity{State: evidence.Pass, Detail: "timed in replicate 12"}).Check(), ""},
		"a pass, edited":  {(&Parity{State: evidence.Pass, Detail: "timed in replicate 1: tiles swap → explained"}).Check(), "it is a pass, and \"timed in replicate 1: tiles swap → explained\" is said of it"},
		"explained":       {(&Parity{State: evidence.Explained, Detail: "tiles swap → explained"}).Check(), ""},
		"an error of NaN": {(&Parity{State: evidence.Pass, MaxAbs: math.NaN()}).Check(), "max_abs is NaN"},
	} {
		if (c.err == nil) != (c.want == "") || c.err != nil && !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, c.err, c.want)
		}
	}
}
