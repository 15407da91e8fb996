package env

import (
	"errors"
	"runtime/debug"
	"testing/fstest"
	"time"
)

// files makes a file system of paths and contents.
func files(entries ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for i := 0; i < len(entries); i += 2 {
		out[entries[i]] = &fstest.MapFile{Data: []byte(entries[i+1])}
	}
	return out
}

// fakeHost is a machine with the given files, three of its processors, a name and no GPU.
func fakeHost(entries ...string) host {
	return host{
		files:   files(entries...),
		name:    func() (string, error) { return "build-17.example.net", nil },
		getenv:  func(string) string { return "" },
		environ: func() []string { return nil },
		allowed: func() []int { return []int{0, 2, 3} },
		procs:   func() int { return 3 },
		build:   func() (*debug.BuildInfo, bool) { return nil, false },
		nvml:    func() (driver, error) { return nil, &gpuError{"cuda_unavailable", "none here"} },
		sleep:   func(time.Duration) {},
	}
}

var errNotTold = errors.New("not supported")

// fakeDriver has devices and fails where an error is set.
type fakeDriver struct {
	devices                       []*fakeDevice
	versionErr, cudaErr, countErr error
	handleErr                     map[int]error
	closed                        int
	block                         chan struct{} // DeviceCount waits for it
}

func (f *fakeDriver) open() (driver, error)        { return f, nil }
func (f *fakeDriver) Version() (string, error)     { return told("580.95.05", f.versionErr) }
func (f *fakeDriver) CUDAVersion() (string, error) { return told("13.0", f.cudaErr) }
func (f *fakeDriver) Close()                       { f.closed++ }

func (f *fakeDriver) DeviceCount() (int, error) {
	if f.block != nil {
		<-f.block
	}
	return told(len(f.devices), f.countErr)
}

func (f *fakeDriver) Device(i int) (device, error) {
	if err := f.handleErr[i]; err != nil {
		return nil, err
	}
	return f.devices[i], nil
}

// fakeDevice answers with its fields, and with an error to the questions in fails.
type fakeDevice struct {
	name, uuid                   string
	capability                   capability
	cores, instanceSMs           int
	memory                       uint64
	powerLimit, maxClock         int
	ecc, mig                     bool
	appTarget, appDefault        int
	processes                    []int
	clock, memClock, temp, power int
	reasons, supported           uint64
	idleAfter                    int // looks at the reasons until gpu_idle is among them; 0: never
	fails                        map[string]bool
}

// h200 is an idle H200 with its clocks free.
func h200() *fakeDevice {
	return &fakeDevice{
		name: "NVIDIA H200", uuid: "GPU-5c1b2a90-0000-1111-2222-333344445555", capability: capability{9, 0}, cores: 16896,
		memory: 150_754_820_096, powerLimit: 700_000, maxClock: 1980, ecc: true, appTarget: 1980, appDefault: 1980,
		clock: 345, memClock: 3201, temp: 31, power: 76_543, reasons: gpuIdle, supported: 0x1ff,
	}
}

func told[T any](value T, err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return value, nil
}

func answer[T any](f *fakeDevice, question string, value T) (T, error) {
	if f.fails[question] {
		return told(value, errNotTold)
	}
	return value, nil
}

func (f *fakeDevice) Name() (string, error) { return answer(f, "name", f.name) }
func (f *fakeDevice) UUID() (string, error) { return answer(f, "uuid", f.uuid) }
func (f *fakeDevice) ComputeCapability() (capability, error) {
	return answer(f, "capability", f.capability)
}
func (f *fakeDevice) CUDACores() (int, error)   { return answer(f, "cores", f.cores) }
func (f *fakeDevice) InstanceSMs() (int, error) { return answer(f, "instance", f.instanceSMs) }
func (f *fakeDevice) MemoryBytes() (total, free uint64, err error) {
	total, err = answer(f, "memory", f.memory)
	return total, total / 4, err
}
func (f *fakeDevice) PowerLimitMilliwatts() (int, error) { return answer(f, "limit", f.powerLimit) }
func (f *fakeDevice) ECC() (bool, error)                 { return answer(f, "ecc", f.ecc) }
func (f *fakeDevice) MIG() (bool, error)                 { return answer(f, "mig", f.mig) }
func (f *fakeDevice) MaxSMClockMHz() (int, error)        { return answer(f, "max", f.maxClock) }
func (f *fakeDevice) Processes() ([]int, error)          { return answer(f, "processes", f.processes) }
func (f *fakeDevice) SMClockMHz() (int, error)           { return answer(f, "clock", f.clock) }
func (f *fakeDevice) MemoryClockMHz() (int, error)       { return answer(f, "memclock", f.memClock) }
func (f *fakeDevice) TemperatureC() (int, error)         { return answer(f, "temperature", f.temp) }
func (f *fakeDevice) PowerMilliwatts() (int, error)      { return answer(f, "power", f.power) }
func (f *fakeDevice) SupportedEventReasons() (uint64, error) {
	return answer(f, "supported", f.supported)
}

func (f *fakeDevice) ApplicationClocksMHz() (int, int, error) {
	_, err := answer(f, "application", 0)
	return f.appTarget, f.appDefault, err
}

func (f *fakeDevice) EventReasons() (uint64, error) {
	if f.idleAfter > 0 {
		if f.idleAfter--; f.idleAfter == 0 {
			f.reasons |= gpuIdle
		}
	}
	return answer(f, "reasons", f.reasons)
}
