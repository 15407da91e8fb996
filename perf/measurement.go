package perf

import (
	"cmp"
	"slices"
	"time"

	"github.com/apex-x/apexx/parity/evidence"
)

// Arm tells the sides of a gate apart.
type Arm string

// The arms. A sweep has Head alone.
const (
	Base Arm = "base"
	Head Arm = "head"
)

// Measurement is one cell in one replicate: what a fresh process recorded of it. Durations are nanoseconds.
type Measurement struct {
	Cell      Cell           `json:"cell"`
	Arm       Arm            `json:"arm,omitempty"`
	Replicate int            `json:"replicate"` // from 0; in a gate, the position of the process in the stage
	Block     int            `json:"block"`     // of a gate, from 0; 0 in a sweep
	Control   bool           `json:"control,omitempty"`
	Order     int            `json:"order"` // position of the cell in its process, from 0
	State     evidence.State `json:"state"` // Measured, or how it ended without samples
	Reason    string         `json:"reason,omitempty"`
	Detail    string         `json:"detail,omitempty"`

	Samples        []float64 `json:"samples_ns,omitempty"`        // of Execute alone by the host's clock, one per sample, of one call each (see CallsPerSample)
	DeviceSamples  []float64 `json:"device_samples_ns,omitempty"` // the backend's own events, where it has them
	EndToEnd       []float64 `json:"end_to_end_ns,omitempty"`     // upload, execute and download by the host's clock, within the process; nil where one run takes longer than the bound
	CallsPerSample int       `json:"calls_per_sample,omitempty"`  // short calls are timed in groups; a sample is the group's time over its size
	TimerShare     float64   `json:"timer_share,omitempty"`       // reading the clock, as a share of the median group
	BoundNS        int64     `json:"bound_ns,omitempty"`          // what the samples were to take together, where a gate cut that to keep to its time

	CompileNS       int64   `json:"compile_ns,omitempty"`        // in a gate, beside the compilations of the block's other processes
	FirstRunNS      int64   `json:"first_run_ns,omitempty"`      // likewise
	HostPeakBytes   int64   `json:"host_peak_bytes,omitempty"`   // resident memory of the process, high-water mark over the cell
	DevicePeakBytes int64   `json:"device_peak_bytes,omitempty"` // 0 where the backend has no device
	AllocsPerRun    float64 `json:"allocs_per_run"`              // of the worker's Go heap
	BytesPerRun     float64 `json:"alloc_bytes_per_run"`

	Steps     *Steps `json:"steps,omitempty"`      // what another session of the process took, step by step; nil where none was asked for or could be had
	StepsLack string `json:"steps_lack,omitempty"` // why there are none although they were asked for

	Outputs *Outputs `json:"outputs,omitempty"` // what the timed session gave; nil where there are no samples

	Started time.Time      `json:"started"`
	Device  *int           `json:"device,omitempty"`  // the GPU that the cell computes on, by NVML's index; nil for the host's processors
	Devices []DeviceSample `json:"devices,omitempty"` // of every GPU, sampled between the timed regions
}

// Judged returns the samples of Execute that decide how fast a cell is: the device's own where there are some, else the host's. Nanoseconds.
func (m *Measurement) Judged() []float64 {
	if len(m.DeviceSamples) > 0 {
		return m.DeviceSamples
	}
	return m.Samples
}

// DevicesOf lists the GPUs that measurements were taken on, by NVML's index, each once.
func DevicesOf(measurements []Measurement) []int {
	var list []int
	for i := range measurements {
		if d := measurements[i].Device; d != nil && !slices.Contains(list, *d) {
			list = append(list, *d)
		}
	}
	return list
}

// Outputs says what a timed session gave: parity belongs to the session that was timed, and not to another one of the same cell.
type Outputs struct {
	FirstSHA256 string `json:"first_sha256"`           // of the outputs of its first run, the cold one: names, types, shapes and bits
	LastSHA256  string `json:"last_sha256"`            // of those of its last run, which has other inputs than those that it was timed with
	StepsSHA256 string `json:"steps_sha256,omitempty"` // of those of the last run of the session that was timed step by step; "" where there is none
	Parity      Parity `json:"parity"`                 // the worst of these and of the last timed run's, against the float64 oracle
}

// Steps are the times of the steps of a cell in one process. They are taken in a session of their own, compiled like the timed one and with the same
// plan, since to time every step makes a session slower.
type Steps struct {
	Samples int     `json:"samples"` // of which each step's time is the median
	Calls   int     `json:"calls"`   // executions in a sample, of which it is the mean
	MeanNS  float64 `json:"mean_ns"` // of one of these executions, by the host's clock
	List    []Step  `json:"list"`    // in the order of the plan
}

// Step is one step of a plan and its time.
type Step struct {
	Name  string  `json:"name"`
	Nodes string  `json:"nodes"` // identifies the nodes of the graph that it covers: steps of two builds are compared where name and nodes are equal
	NS    float64 `json:"ns"`    // of one execution, by the device's clock where there is one
}

// End records how a measurement ended without samples; numbers that it has already are dropped. What ended a crashed process is its
// reason.
func (m *Measurement) End(o evidence.Outcome) {
	*m = Measurement{Cell: m.Cell, Arm: m.Arm, Replicate: m.Replicate, Block: m.Block, Control: m.Control, Order: m.Order, Started: m.Started, Device: m.Device,
		State: o.State, Reason: cmp.Or(o.Reason, o.Signal), Detail: o.Detail}
}

// DeviceSample is the state of one GPU at one time, by NVML.
type DeviceSample struct {
	At           time.Time `json:"at"`
	Device       int       `json:"device"`
	SMClockMHz   int       `json:"sm_clock_mhz"`
	MemClockMHz  int       `json:"mem_clock_mhz"`
	TemperatureC int       `json:"temperature_c"`
	PowerW       float64   `json:"power_w"`
	EventReasons []string  `json:"event_reasons,omitempty"` // names of the clock event reasons that are active, such as sw_thermal_slowdown
}

// Work is what the model did for the input of a workload; the same in every replicate.
type Work struct {
	TilesL0    []int             `json:"tiles_l0,omitempty"` // selected, by sample of the batch
	TilesL1    []int             `json:"tiles_l1,omitempty"`
	TilesL2    []int             `json:"tiles_l2,omitempty"`
	Candidates []int             `json:"candidates,omitempty"` // predictions over the score threshold that entered suppression, by sample
	Budgets    map[string]Budget `json:"budgets,omitempty"`    // b1, b2, b3 over the batch
}

// Budget compares what a selection spent with what it was given.
type Budget struct {
	Spent float64 `json:"spent"`
	Limit float64 `json:"limit"`
	Over  bool    `json:"over"` // a sample spent more than its part of the limit + 1e-9: a failure
}

// Parity says whether the cell computes what it should: its outputs against the float64 oracle's.
type Parity struct {
	State  evidence.State `json:"state"`
	Detail string         `json:"detail,omitempty"`
	MaxAbs float64        `json:"max_abs"` // largest absolute error of any output; 0 where nothing was compared
}

// Holds tells whether the cell's speed counts.
func (p Parity) Holds() bool { return p.State.Holds() }
