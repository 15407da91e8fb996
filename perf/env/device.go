package env

import (
	"context"
	"strings"

	"github.com/apex-x/apexx/backends"
)

// Devices is what NVML tells at a glance of the GPUs of this machine. Gather tells more, and waits seconds for it.
type Devices struct {
	List   []DeviceState
	Driver string          // version of the kernel driver, such as 580.95.05; "" where it does not tell
	CUDA   string          // the newest version of CUDA that the driver supports, such as 13.0; "" where it does not tell
	Reason backends.Reason // why the list is empty; "" where it is not
	Detail string          // what was found, for people; also where some of the devices cannot be read
}

// DeviceState is one GPU now. What it does not tell is at its zero value.
type DeviceState struct {
	Index             int     `json:"index"` // of NVML: in the order of PCI addresses
	Name              string  `json:"name"`
	UUID              string  `json:"-"`                  // names the device for CUDA_VISIBLE_DEVICES; never shown
	ComputeCapability string  `json:"compute_capability"` // such as 9.0
	SMs               int     `json:"sms"`
	MemoryBytes       int64   `json:"memory_bytes"`
	MemoryFreeBytes   int64   `json:"memory_free_bytes"`
	SMClockMHz        int     `json:"sm_clock_mhz"`
	MaxSMClockMHz     int     `json:"max_sm_clock_mhz"`
	MemoryClockMHz    int     `json:"mem_clock_mhz"`
	PowerLimitW       float64 `json:"power_limit_w"`
	MIG               string  `json:"mig"` // on, off, "" where the device does not tell
}

// ReadDevices looks at the GPUs. It never fails: that there are none is a reason, cuda_query_failed where ctx ends before a hanging
// driver answers.
func ReadDevices(ctx context.Context) Devices { return thisHost().devices(ctx) }

func (h host) devices(ctx context.Context) (out Devices) {
	err := h.askDriver(ctx, func(lib driver) (func(), error) {
		var d Devices
		d.Driver, _ = lib.Version()
		d.CUDA, _ = lib.CUDAVersion()
		problems, err := eachDevice(lib, func(i int, name string, dev device) { d.List = append(d.List, readState(i, name, dev)) })
		d.Detail = strings.Join(problems, "; ")
		return func() { out = d }, err
	})
	if err != nil {
		out.Reason, out.Detail = err.reason, err.detail
	}
	return out
}

func readState(index int, name string, d device) DeviceState {
	s := DeviceState{Index: index, Name: name}
	s.UUID, _ = d.UUID()
	if c, err := d.ComputeCapability(); err == nil {
		s.ComputeCapability = c.String()
	}
	s.MIG = mode(d.MIG())
	s.SMs = multiprocessors(d, s.MIG == "on")
	if total, free, err := d.MemoryBytes(); err == nil {
		s.MemoryBytes, s.MemoryFreeBytes = int64(total), int64(free)
	}
	s.SMClockMHz, _ = d.SMClockMHz()
	s.MaxSMClockMHz, _ = d.MaxSMClockMHz()
	s.MemoryClockMHz, _ = d.MemoryClockMHz()
	if mw, err := d.PowerLimitMilliwatts(); err == nil {
		s.PowerLimitW = float64(mw) / 1000
	}
	return s
}
