package env

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// server is a two-socket machine in a container of version 2 control groups.
func server() host {
	return fakeHost(
		"proc/cpuinfo", "processor\t: 0\nmodel name\t: AMD EPYC 9654 96-Core Processor\nflags\t\t: fpu sse hypervisor\n\nprocessor\t: 1\nmodel name\t: AMD EPYC 9654 96-Core Processor\n",
		"sys/devices/system/cpu/online", "0-7\n",
		"sys/devices/system/cpu/smt/active", "1\n",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n",
		"sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "ondemand\n", // not one of ours
		"sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "performance\n",
		"proc/meminfo", "MemTotal:       24683656 kB\nMemFree: 1 kB\n",
		"proc/loadavg", "0.52 1.25 0.90 2/345 6789\n",
		"proc/sys/kernel/osrelease", "6.8.0-45-generic\n",
		"proc/self/cgroup", "0::/pod/app\n",
		"proc/self/mountinfo", "30 25 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
		"sys/fs/cgroup/pod/cpu.max", "150000 100000\n",
		"sys/fs/cgroup/pod/app/cpu.max", "max 100000\n",
		"sys/fs/cgroup/pod/app/memory.max", "8589934592\n",
		"sys/fs/cgroup/pod/memory.max", "max\n",
		"run/.containerenv", "",
		"etc/machine-id", "0123456789abcdef0123456789abcdef\n",
	)
}

func TestGather(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skip("macOS adds what sysctl tells of the real machine")
	}
	h := server()
	h.build = func() (*debug.BuildInfo, bool) {
		return &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc123"}, {Key: "vcs.modified", Value: "true"}}}, true
	}
	h.environ = func() []string { return []string{"HOME=/root", "NVIDIA_TF32_OVERRIDE=0"} }
	lib := &fakeDriver{devices: []*fakeDevice{h200()}}
	h.nvml = lib.open
	got := h.gather(context.Background(), Options{Identify: true, Libraries: []Software{{"onnxruntime", "1.30.0"}, {"avx", "512"}}})
	want := Environment{
		Host: "build-17.example.net", OS: runtime.GOOS, Arch: runtime.GOARCH, Kernel: "6.8.0-45-generic", Container: "podman",
		CPU:         CPU{Model: "AMD EPYC 9654 96-Core Processor", Cores: 2, Total: 8, Quota: 1.5, Procs: 3, Governor: "performance", SMT: "on", Virtual: true},
		MemoryBytes: 24683656 * 1024, MemoryLimitBytes: 8 << 30, LoadAverage: [3]float64{0.52, 1.25, 0.90}, Go: runtime.Version(),
		Libraries: []Software{{"avx", "512"}, {"cuda_driver", "13.0"}, {"driver", "580.95.05"}, {"onnxruntime", "1.30.0"}},
		Variables: []Software{{"NVIDIA_TF32_OVERRIDE", "0"}},
		Commit:    "abc123", Dirty: true,
		GPUs: []GPU{{
			Name: "NVIDIA H200", UUID: "GPU-5c1b2a90-0000-1111-2222-333344445555", Driver: "580.95.05", SMs: 132, MemoryBytes: 150_754_820_096,
			PowerLimitW: 700, ECC: "on", MIG: "off", ClocksEvidence: "idle at 345 MHz, clocks lowered", MaxSMClockMHz: 1980,
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if lib.closed != 1 {
		t.Errorf("the driver was closed %d times", lib.closed)
	}
}

// TestGatherNothing checks a machine that tells nothing at all.
func TestGatherNothing(t *testing.T) {
	h := fakeHost()
	h.name = func() (string, error) { return "", errors.New("no name") }
	e := h.gather(context.Background(), Options{})
	if e.Host != "" || e.CPU.Cores != 3 || e.CPU.Total < 1 || e.CPU.Governor != "" || e.CPU.SMT != "" || e.MemoryLimitBytes != 0 {
		t.Errorf("%+v", e)
	}
	if runtime.GOOS == "linux" && (e.Container != "unknown" || e.Kernel != "" || e.CPU.Model != "") {
		t.Errorf("%+v", e)
	}
	text, err := json.Marshal(e)
	if err != nil || !strings.Contains(string(text), `"libraries":[],`) || !strings.Contains(string(text), `"gpus":[],"gpu_reason":"cuda_unavailable"`) {
		t.Errorf("%s %v", text, err)
	}
}

// TestPseudonyms checks that identities do not appear unless asked for, are stable, and tell machines apart.
func TestPseudonyms(t *testing.T) {
	gather := func(change func(*host), o Options) Environment {
		h := server()
		h.nvml = (&fakeDriver{devices: []*fakeDevice{h200()}}).open
		if change != nil {
			change(&h)
		}
		return h.gather(context.Background(), o)
	}
	first := gather(nil, Options{})
	text, _ := json.Marshal(first)
	for _, secret := range []string{"build-17", "example", "5c1b2a90", "0123456789abcdef0123456789abcdef"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%s is in %s", secret, text)
		}
	}
	if again := gather(nil, Options{}); again.Host != first.Host || again.GPUs[0].UUID != first.GPUs[0].UUID {
		t.Errorf("%s %s, then %s %s", first.Host, first.GPUs[0].UUID, again.Host, again.GPUs[0].UUID)
	}
	if len(first.Host) != 16 || len(first.GPUs[0].UUID) != 16 || first.Host == first.GPUs[0].UUID {
		t.Errorf("host %q, device %q", first.Host, first.GPUs[0].UUID)
	}
	otherName := gather(func(h *host) { h.name = func() (string, error) { return "build-18.example.net", nil } }, Options{})
	otherSecret := gather(func(h *host) { h.files = files("etc/machine-id", "ffff") }, Options{})
	if first.Host == otherName.Host || first.Host == otherSecret.Host || otherName.Host == otherSecret.Host {
		t.Errorf("hosts %s, %s, %s", first.Host, otherName.Host, otherSecret.Host)
	}
	if otherSecret.GPUs[0].UUID != first.GPUs[0].UUID {
		t.Error("a device's pseudonym depends on the container it is seen from")
	}
}

// TestGatherHere checks that this machine can be described, whatever it is, without a crash.
func TestGatherHere(t *testing.T) {
	e := Gather(context.Background(), Options{})
	if e.CPU.Cores < 1 || e.CPU.Cores > e.CPU.Total || e.Go != runtime.Version() || (len(e.GPUs) == 0) != (e.GPUReason != "") {
		t.Errorf("%+v", e)
	}
	if runtime.GOOS == "linux" && (e.Kernel == "" || e.MemoryBytes == 0 || e.Container == "unknown") {
		t.Errorf("%+v", e)
	}
	if again := Gather(context.Background(), Options{}); again.Host != e.Host {
		t.Errorf("host %s, then %s", e.Host, again.Host)
	}
}
