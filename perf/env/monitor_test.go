package env

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf"
)

func TestMonitor(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	first, second, third := h200(), h200(), h200()
	first.clock, first.reasons = 1755, 1<<2|1<<5|1<<40
	third.fails = map[string]bool{"memclock": true, "temperature": true, "power": true, "reasons": true}
	lib := &fakeDriver{devices: []*fakeDevice{first, second, third}, handleErr: map[int]error{1: errors.New("GPU is lost")}}
	m, err := openMonitor(lib.open, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	want := []perf.DeviceSample{
		{At: at, Device: 0, SMClockMHz: 1755, MemClockMHz: 3201, TemperatureC: 31, PowerW: 76.543, EventReasons: []string{"sw_power_cap", "sw_thermal_slowdown", "unknown_40"}},
		{At: at, Device: 2, SMClockMHz: 345, EventReasons: []string{"unreadable"}},
	}
	if got := m.Sample(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	third.fails["clock"] = true
	if got := m.Sample(); !reflect.DeepEqual(got, want[:1]) {
		t.Errorf("after a device was lost: %+v", got)
	}
	m.Close()
	m.Close()
	if lib.closed != 1 || len(m.Sample()) != 0 {
		t.Errorf("closed %d times, then %d samples", lib.closed, len(m.Sample()))
	}
}

func TestMonitorWithoutDevices(t *testing.T) {
	for name, tt := range map[string]struct {
		lib    *fakeDriver
		reason backends.Reason
	}{
		"none":         {&fakeDriver{}, backends.CudaDeviceNotFound},
		"count fails":  {&fakeDriver{countErr: errNotTold}, backends.CudaQueryFailed},
		"handle fails": {&fakeDriver{devices: []*fakeDevice{h200()}, handleErr: map[int]error{0: errNotTold}}, backends.CudaQueryFailed},
	} {
		m, err := openMonitor(tt.lib.open, time.Now)
		if m != nil || err == nil || !strings.Contains(err.Error(), string(tt.reason)) || tt.lib.closed != 1 {
			t.Errorf("%s: %v, %v, closed %d times", name, m, err, tt.lib.closed)
		}
	}
	m, err := openMonitor(func() (driver, error) { return nil, &gpuError{"library_not_found", "x"} }, time.Now)
	if m != nil || err == nil || err.Error() != "no GPU: library_not_found: x" {
		t.Errorf("%v %v", m, err)
	}
	if m.Sample() != nil { // of nil
		t.Error("no monitor has samples")
	}
	m.Close()
}

// TestMonitorHere takes real samples where there is a GPU.
func TestMonitorHere(t *testing.T) {
	m, err := OpenMonitor()
	if err != nil {
		t.Skip(err)
	}
	defer m.Close()
	m.Sample() // binds the library's functions
	var samples []perf.DeviceSample
	took := time.Hour
	for range 5 { // a busy machine may hold some of them up
		start := time.Now()
		samples = m.Sample()
		took = min(took, time.Since(start))
	}
	t.Logf("%d samples in %v: %+v", len(samples), took, samples)
	if len(samples) == 0 || samples[0].SMClockMHz == 0 || took > time.Duration(len(samples))*5*time.Millisecond {
		t.Errorf("%d samples in %v", len(samples), took)
	}
}

func TestReasonNames(t *testing.T) {
	if got := reasonNames(0); got != nil {
		t.Errorf("no reasons: %v", got)
	}
	if got := reasonNames(1<<11 - 1); !slices.Equal(got, eventReasons[:]) {
		t.Errorf("all reasons: %v", got)
	}
	if got := reasonNames(1<<63 | 1<<11); !slices.Equal(got, []string{"unknown_11", "unknown_63"}) {
		t.Errorf("unknown reasons: %v", got)
	}
}

// TestThrottleReasons checks every known reason against the values of nvml.h that DESIGN section 6 calls thermal or power brake.
func TestThrottleReasons(t *testing.T) {
	spoils := map[uint64]string{0x8: "hw_slowdown", 0x20: "sw_thermal_slowdown", 0x40: "hw_thermal_slowdown", 0x80: "hw_power_brake_slowdown"}
	for bit := uint64(1); bit < 1<<20; bit <<= 1 {
		var want []string
		if name := spoils[bit]; name != "" {
			want = []string{name}
		}
		if got := ThrottleReasons(perf.DeviceSample{EventReasons: reasonNames(bit)}); !slices.Equal(got, want) {
			t.Errorf("%#x: %v, want %v", bit, got, want)
		}
	}
	if got := ThrottleReasons(perf.DeviceSample{EventReasons: reasonNames(0x4c)}); !slices.Equal(got, []string{"hw_slowdown", "hw_thermal_slowdown"}) {
		t.Errorf("several: %v", got)
	}
	if got := ThrottleReasons(perf.DeviceSample{EventReasons: []string{ReasonsUnreadable}}); got != nil {
		t.Errorf("unreadable: %v", got)
	}
}
