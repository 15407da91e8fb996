package env

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
)

// TestDevices checks what is told at a glance: of a device that answers, of one that does not, and why there are none.
func TestDevices(t *testing.T) {
	h := fakeHost()
	mute := h200()
	mute.fails = map[string]bool{"capability": true, "memory": true, "clock": true, "limit": true}
	lib := &fakeDriver{devices: []*fakeDevice{h200(), mute, h200()}, handleErr: map[int]error{2: errors.New("GPU is lost")}}
	h.nvml = lib.open
	var d Devices
	took := time.Hour
	for range 3 { // a busy machine may hold one of them up
		start := time.Now()
		d = h.devices(context.Background())
		took = min(took, time.Since(start))
	}
	if d.Driver != "580.95.05" || d.CUDA != "13.0" || d.Reason != "" || d.Detail != "device 2: GPU is lost" || lib.closed != 3 || took > time.Second {
		t.Errorf("%+v after %v", d, took)
	}
	want := DeviceState{Name: "NVIDIA H200", UUID: "GPU-5c1b2a90-0000-1111-2222-333344445555", ComputeCapability: "9.0", SMs: 132, MemoryBytes: 150_754_820_096,
		MemoryFreeBytes: 37_688_705_024, SMClockMHz: 345, MaxSMClockMHz: 1980, MemoryClockMHz: 3201, PowerLimitW: 700, MIG: "off"}
	silent := DeviceState{Index: 1, Name: want.Name, UUID: want.UUID, MaxSMClockMHz: 1980, MemoryClockMHz: 3201, MIG: "off"}
	if !reflect.DeepEqual(d.List, []DeviceState{want, silent}) {
		t.Errorf("%+v", d.List)
	}
	for reason, open := range map[backends.Reason]func() (driver, error){
		backends.CudaUnavailable:    func() (driver, error) { return nil, &gpuError{backends.CudaUnavailable, "why"} },
		backends.CudaDeviceNotFound: (&fakeDriver{}).open,
		backends.CudaQueryFailed:    (&fakeDriver{devices: []*fakeDevice{{fails: map[string]bool{"name": true}}}}).open,
	} {
		h.nvml = open
		if d := h.devices(context.Background()); d.Reason != reason || d.Detail == "" || len(d.List) > 0 {
			t.Errorf("%s: %+v", reason, d)
		}
	}
}
