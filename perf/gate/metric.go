package gate

import (
	"fmt"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/stat"
)

// Metric is what a series of block values is of.
type Metric string

// The metrics. A regression of any of them fails a gate; each has a limit of its own.
const (
	Time         Metric = "time"          // of an execution, median of a replicate: by the device's own clock where the backend has one, else the host's
	HostTime     Metric = "host-time"     // of a run by the host's clock, where Time is the device's
	EndToEnd     Metric = "end-to-end"    // of a run with upload and download, by the host's clock
	Compile      Metric = "compile"       // time to compile the session, as the caller sees it
	FirstRun     Metric = "first-run"     // time of the first, cold run
	HostMemory   Metric = "host-memory"   // greatest resident memory of the process
	DeviceMemory Metric = "device-memory" // greatest memory on the device
	Allocs       Metric = "allocs"        // objects that a run allocates on the worker's Go heap
	AllocBytes   Metric = "alloc-bytes"   // bytes likewise
)

// Step is the time of one step of the plan. A cell has many of them: they are series beside Metrics (steps.go).
const Step Metric = "step"

// Metrics lists every metric in the order of reports.
var Metrics = []Metric{Time, HostTime, EndToEnd, Compile, FirstRun, HostMemory, DeviceMemory, Allocs, AllocBytes}

// value returns a replicate's figure, in nanoseconds, bytes or objects, and whether it has one.
func (k Metric) value(m perf.Measurement) (value float64, told bool) {
	switch k {
	case Time:
		return median(m), true
	case HostTime:
		return stat.Median(m.Samples), len(m.DeviceSamples) > 0
	case EndToEnd:
		return stat.Median(m.EndToEnd), len(m.EndToEnd) > 0
	case Compile:
		return float64(m.CompileNS), m.CompileNS > 0
	case FirstRun:
		return float64(m.FirstRunNS), m.FirstRunNS > 0
	case HostMemory:
		return float64(m.HostPeakBytes), m.HostPeakBytes > 0
	case DeviceMemory:
		return float64(m.DevicePeakBytes), m.DevicePeakBytes > 0
	case Allocs:
		return m.AllocsPerRun, true
	}
	return m.BytesPerRun, true
}

// Unit is that of the figures in an Estimate: "ms", "bytes", or "" for objects.
func (k Metric) Unit() string {
	switch k {
	case Time, HostTime, EndToEnd, Compile, FirstRun, Step:
		return "ms"
	case HostMemory, DeviceMemory, AllocBytes:
		return "bytes"
	}
	return ""
}

// shown converts a figure to the unit of an Estimate.
func (k Metric) shown(value float64) float64 {
	if k.Unit() == "ms" {
		return perf.Millis(value)
	}
	return value
}

// Words names the metric in a sentence.
func (k Metric) Words() string {
	switch k {
	case Time:
		return "time"
	case HostTime:
		return "time by the host's clock"
	case EndToEnd:
		return "time from end to end"
	case Compile:
		return "time to compile"
	case FirstRun:
		return "time of the first run"
	case HostMemory:
		return "peak of host memory"
	case DeviceMemory:
		return "peak of device memory"
	case Allocs:
		return "number of allocations"
	case Step:
		return "time of a step"
	}
	return "bytes allocated"
}

// Limit says what is a regression of a metric: a head above the base by more than Delta·(base + Offset). Block values are
// log((head + Offset)/(base + Offset)), so that one test serves what is a matter of percents and what is a matter of amounts.
type Limit struct {
	Delta  float64 `json:"delta"`            // the least relative increase that counts
	Offset float64 `json:"offset,omitempty"` // in nanoseconds, bytes or objects: relative changes of what is small against it do not count
}

// Limits are the limits of all metrics.
type Limits struct {
	Time         Limit `json:"time"`
	HostTime     Limit `json:"host_time"`
	EndToEnd     Limit `json:"end_to_end"`
	Compile      Limit `json:"compile"`
	FirstRun     Limit `json:"first_run"`
	HostMemory   Limit `json:"host_memory"`
	DeviceMemory Limit `json:"device_memory"`
	Allocs       Limit `json:"allocs"`
	AllocBytes   Limit `json:"alloc_bytes"`
	Step         Limit `json:"step,omitzero"` // zero in records of before steps were judged
}

// Of returns the limit of a metric.
func (l Limits) Of(k Metric) Limit {
	switch k {
	case Time:
		return l.Time
	case HostTime:
		return l.HostTime
	case EndToEnd:
		return l.EndToEnd
	case Compile:
		return l.Compile
	case FirstRun:
		return l.FirstRun
	case HostMemory:
		return l.HostMemory
	case DeviceMemory:
		return l.DeviceMemory
	case Allocs:
		return l.Allocs
	case Step:
		return l.Step
	}
	return l.AllocBytes
}

// Text writes a limit for people, in the unit of the metric: "8 %", or "50 % and 10 ms", which is Delta·Offset.
func (l Limit) Text(k Metric) string {
	amount := l.Delta * l.Offset
	switch s := percent(1 + l.Delta); {
	case l.Offset == 0:
		return s
	case k.Unit() == "ms" && amount < 1e3:
		return fmt.Sprintf("%s and %.3g ns", s, amount)
	case k.Unit() == "ms":
		return fmt.Sprintf("%s and %.3g ms", s, perf.Millis(amount))
	case k.Unit() == "bytes":
		return fmt.Sprintf("%s and %.3g MiB", s, amount/(1<<20))
	default:
		return fmt.Sprintf("%s and %.3g", s, amount)
	}
}

// Amount writes a figure of an Estimate with its unit.
func (k Metric) Amount(x float64) string {
	switch k.Unit() {
	case "ms":
		if 0 < x && x < 0.1 {
			return fmt.Sprintf("%.4g µs", 1000*x)
		}
		return fmt.Sprintf("%.4g ms", x)
	case "bytes":
		return fmt.Sprintf("%.4g MiB", x/(1<<20))
	}
	return fmt.Sprintf("%.4g", x)
}
