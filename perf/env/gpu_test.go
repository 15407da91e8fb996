package env

import (
	"context"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
)

// gatherWith gathers from a driver on an otherwise empty machine.
func gatherWith(open func() (driver, error)) Environment {
	h := fakeHost()
	h.nvml = open
	return h.gather(context.Background(), Options{Identify: true})
}

func TestGPUReasons(t *testing.T) {
	for name, tt := range map[string]struct {
		lib    *fakeDriver
		reason backends.Reason
		detail string
	}{
		"no device":              {&fakeDriver{}, backends.CudaDeviceNotFound, "shows no device"},
		"count fails":            {&fakeDriver{devices: []*fakeDevice{h200()}, countErr: errNotTold}, backends.CudaQueryFailed, "not supported"},
		"handle fails":           {&fakeDriver{devices: []*fakeDevice{h200()}, handleErr: map[int]error{0: errors.New("GPU is lost")}}, backends.CudaQueryFailed, "device 0: GPU is lost"},
		"device answers nothing": {&fakeDriver{devices: []*fakeDevice{{fails: map[string]bool{"name": true}}}}, backends.CudaQueryFailed, "device 0: not supported"},
	} {
		e := gatherWith(tt.lib.open)
		if e.GPUReason != string(tt.reason) || !strings.Contains(e.GPUDetail, tt.detail) || e.GPUs == nil || len(e.GPUs) != 0 || tt.lib.closed != 1 {
			t.Errorf("%s: %q %q, %d GPUs, closed %d times", name, e.GPUReason, e.GPUDetail, len(e.GPUs), tt.lib.closed)
		}
		if !slices.Contains(backends.Reasons, backends.Reason(e.GPUReason)) {
			t.Errorf("%s: %q is not in the catalog", name, e.GPUReason)
		}
	}
	for _, reason := range []backends.Reason{backends.CudaUnavailable, backends.LibraryNotFound, backends.BuiltWithoutCgo} {
		e := gatherWith(func() (driver, error) { return nil, &gpuError{reason, "why"} })
		if e.GPUReason != string(reason) || e.GPUDetail != "why" || len(e.Libraries) != 0 {
			t.Errorf("%+v", e)
		}
	}
	if e := gatherWith(func() (driver, error) { return nil, errors.New("odd") }); e.GPUReason != "cuda_query_failed" || e.GPUDetail != "odd" {
		t.Errorf("an error without a reason: %q %q", e.GPUReason, e.GPUDetail)
	}
}

// TestLostDevice checks that a device that cannot be read is named and the others are kept with their indices.
func TestLostDevice(t *testing.T) {
	lib := &fakeDriver{devices: []*fakeDevice{h200(), h200(), h200()}, handleErr: map[int]error{1: errors.New("GPU is lost")}, cudaErr: errNotTold}
	e := gatherWith(lib.open)
	if len(e.GPUs) != 2 || e.GPUs[0].Index != 0 || e.GPUs[1].Index != 2 || e.GPUReason != "" || e.GPUDetail != "device 1: GPU is lost" {
		t.Errorf("%+v", e)
	}
	if want := []Software{{"driver", "580.95.05"}}; !slices.Equal(e.Libraries, want) {
		t.Errorf("libraries %v, want %v", e.Libraries, want)
	}
}

// TestHangingDriver checks that a driver that does not answer costs no more than the caller's bound.
func TestHangingDriver(t *testing.T) {
	lib := &fakeDriver{block: make(chan struct{})}
	defer close(lib.block)
	h := fakeHost()
	h.nvml = lib.open
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	if e := h.gather(ctx, Options{}); e.GPUReason != "cuda_query_failed" || !strings.Contains(e.GPUDetail, "did not answer") {
		t.Errorf("%q %q", e.GPUReason, e.GPUDetail)
	}
}

// TestGPUAnswers checks what each unanswered question leaves out, and that nothing else changes.
func TestGPUAnswers(t *testing.T) {
	read := func(change func(*fakeDevice)) GPU {
		d := h200()
		change(d)
		return readGPU(d, func() bool { return false })
	}
	for question, blank := range map[string]func(*GPU){
		"uuid":       func(g *GPU) { g.UUID = "" },
		"memory":     func(g *GPU) { g.MemoryBytes = 0 },
		"limit":      func(g *GPU) { g.PowerLimitW = 0 },
		"ecc":        func(g *GPU) { g.ECC = "" },
		"mig":        func(g *GPU) { g.MIG = "" },
		"max":        func(g *GPU) { g.MaxSMClockMHz = 0 },
		"cores":      func(g *GPU) { g.SMs = 0 },
		"capability": func(g *GPU) { g.SMs = 0 },
		"supported":  func(g *GPU) { g.ClocksEvidence = "the device does not tell" },
		"reasons":    func(g *GPU) { g.ClocksEvidence = "the device does not tell" },
		"clock":      func(g *GPU) { g.ClocksEvidence = "the device does not tell" },
		"processes":  func(g *GPU) { g.ClocksEvidence = "the device does not tell" },
		"instance":   func(*GPU) {}, // is not asked with MIG off
	} {
		want := read(func(*fakeDevice) {})
		blank(&want)
		if got := read(func(d *fakeDevice) { d.fails = map[string]bool{question: true} }); !reflect.DeepEqual(got, want) {
			t.Errorf("without %s: %+v, want %+v", question, got, want)
		}
	}
	if g := read(func(d *fakeDevice) { d.processes = []int{os.Getpid(), 7, 8, 7} }); g.OtherProcesses != 2 {
		t.Errorf("%d other processes, want 2", g.OtherProcesses)
	}
	if g := read(func(d *fakeDevice) { d.mig, d.instanceSMs, d.fails = true, 16, map[string]bool{"cores": true} }); g.MIG != "on" || g.SMs != 16 {
		t.Errorf("MIG %q with %d SMs, want on with 16", g.MIG, g.SMs)
	}
	if g := read(func(d *fakeDevice) { d.mig, d.fails = true, map[string]bool{"instance": true} }); g.SMs != 0 {
		t.Errorf("MIG without an instance has %d SMs", g.SMs)
	}
}

// TestMultiprocessors checks the products whose numbers NVIDIA's architecture papers give.
func TestMultiprocessors(t *testing.T) {
	for name, tt := range map[string]struct {
		cores int
		c     capability
		want  int
	}{
		"P100": {3584, capability{6, 0}, 56}, "GTX 1080": {2560, capability{6, 1}, 20}, "V100": {5120, capability{7, 0}, 80}, "T4": {2560, capability{7, 5}, 40},
		"A100": {6912, capability{8, 0}, 108}, "A10": {9216, capability{8, 6}, 72}, "L4": {7424, capability{8, 9}, 58}, "RTX 4090": {16384, capability{8, 9}, 128},
		"H100 SXM": {16896, capability{9, 0}, 132}, "RTX 5090": {21760, capability{12, 0}, 170},
		"unknown architecture": {1000, capability{99, 0}, 0}, "cores do not divide": {16897, capability{9, 0}, 0},
	} {
		if got := multiprocessors(&fakeDevice{cores: tt.cores, capability: tt.c}, false); got != tt.want {
			t.Errorf("%s: %d SMs, want %d", name, got, tt.want)
		}
	}
}

func TestClocksLocked(t *testing.T) {
	for name, tt := range map[string]struct {
		change   func(*fakeDevice)
		locked   bool
		evidence string
	}{
		"free and idle":      {func(*fakeDevice) {}, false, "idle at 345 MHz, clocks lowered"},
		"application clock":  {func(d *fakeDevice) { d.appTarget = 1410 }, true, "application clock 1410 MHz, default 1980 MHz"},
		"no such clocks":     {func(d *fakeDevice) { d.appTarget, d.fails = 1410, map[string]bool{"application": true} }, false, "idle at 345 MHz, clocks lowered"},
		"never idle":         {func(d *fakeDevice) { d.reasons, d.clock = 0, 1500 }, true, "idle at 1500 MHz, clocks not lowered"},
		"idle after a while": {func(d *fakeDevice) { d.reasons, d.idleAfter = 0, 40 }, false, "idle at 345 MHz, clocks lowered"},
		"idle too late":      {func(d *fakeDevice) { d.reasons, d.idleAfter = 0, settlePolls+2 }, true, "idle at 345 MHz, clocks not lowered"},
		"in use":             {func(d *fakeDevice) { d.reasons, d.clock, d.processes = 0, 1980, []int{7} }, false, "1980 MHz with processes on the device, no application clock set"},
		"cannot report idle": {func(d *fakeDevice) { d.reasons, d.supported = 0, 0x1fe }, false, "the device does not tell"},
	} {
		d, slept := h200(), time.Duration(0)
		tt.change(d)
		locked, evidence := clocksLocked(d, patience(settlePolls, func(s time.Duration) { slept += s }))
		if locked != tt.locked || evidence != tt.evidence || slept > 5*time.Second {
			t.Errorf("%s: %v %q after %v, want %v %q", name, locked, evidence, slept, tt.locked, tt.evidence)
		}
	}
	// The wait is shared: eight locked devices take no longer than one.
	slept := time.Duration(0)
	wait := patience(settlePolls, func(s time.Duration) { slept += s })
	for range 8 {
		d := h200()
		d.reasons = 0
		if locked, _ := clocksLocked(d, wait); !locked {
			t.Error("a locked device passes for unlocked")
		}
	}
	if slept != settlePolls*settleTime {
		t.Errorf("waited %v", slept)
	}
}

// TestNVMLHere opens the real library, which most machines lack: that is an error with a reason, never a crash.
func TestNVMLHere(t *testing.T) {
	for range 3 {
		lib, err := openNVML()
		var why *gpuError
		switch {
		case err == nil:
			if _, _, err := readGPUs(lib, func() bool { return false }); err != nil && !errors.As(err, &why) {
				t.Errorf("%v", err)
			}
			lib.Close()
		case !errors.As(err, &why) || !slices.Contains(backends.Reasons, why.reason) || why.detail == "":
			t.Errorf("%v", err)
		default:
			t.Log(err)
		}
	}
}
