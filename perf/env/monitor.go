package env

import (
	"errors"
	"fmt"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf"
)

// Monitor samples the state of every GPU. It has no goroutine: the caller takes a sample when nothing is being timed, at least
// ten times a second, because asking the driver can disturb what runs. It is not safe for concurrent use. A nil *Monitor has no
// devices.
type Monitor struct {
	lib     driver
	devices []monitored
	now     func() time.Time
}

type monitored struct {
	index  int
	device device
}

// OpenMonitor opens NVML once. Its error names the code of backends.Reasons, as Environment.GPUReason does, and what was found.
func OpenMonitor() (*Monitor, error) { return openMonitor(openNVML, time.Now) }

func openMonitor(open func() (driver, error), now func() time.Time) (*Monitor, error) {
	lib, err := open()
	if err != nil {
		return nil, err
	}
	m := &Monitor{lib: lib, now: now}
	count, err := lib.DeviceCount()
	var problems []error
	for i := range count {
		d, err := lib.Device(i)
		if err != nil {
			problems = append(problems, fmt.Errorf("device %d: %w", i, err))
			continue
		}
		m.devices = append(m.devices, monitored{i, d})
	}
	if len(m.devices) > 0 {
		return m, nil
	}
	lib.Close()
	if err = errors.Join(append(problems, err)...); err != nil {
		return nil, &gpuError{backends.CudaQueryFailed, err.Error()}
	}
	return nil, &gpuError{backends.CudaDeviceNotFound, "the NVIDIA driver is there and shows no device"}
}

// Sample reads every device once: about a millisecond each. A device that does not tell its clock, such as one that fell off
// the bus, has no sample; temperature and power that it does not tell are 0; event reasons that it does not tell are the one
// reason "unreadable".
func (m *Monitor) Sample() []perf.DeviceSample {
	if m == nil {
		return nil
	}
	samples := make([]perf.DeviceSample, 0, len(m.devices))
	for _, d := range m.devices {
		clock, err := d.device.SMClockMHz()
		if err != nil {
			continue
		}
		s := perf.DeviceSample{At: m.now(), Device: d.index, SMClockMHz: clock}
		s.MemClockMHz, _ = d.device.MemoryClockMHz()
		s.TemperatureC, _ = d.device.TemperatureC()
		milliwatts, _ := d.device.PowerMilliwatts()
		s.PowerW = float64(milliwatts) / 1000
		if mask, err := d.device.EventReasons(); err == nil {
			s.EventReasons = reasonNames(mask)
		} else {
			s.EventReasons = []string{ReasonsUnreadable}
		}
		samples = append(samples, s)
	}
	return samples
}

// Close gives NVML back. Closing twice, or a nil *Monitor, does nothing.
func (m *Monitor) Close() {
	if m == nil || m.lib == nil {
		return
	}
	m.lib.Close()
	m.lib, m.devices = nil, nil
}
