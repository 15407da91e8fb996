package reports

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/apex-x/apexx/perf/env"
)

// sampleEnvironments are a machine with two GPUs, one of which tells little, and one without, which tells nothing.
func sampleEnvironments() map[string]*Environment {
	full := env.Environment{
		Host: "0123456789abcdef", OS: "linux", Arch: "amd64", Kernel: "6.8.0-45-generic", Container: "kubernetes",
		CPU:         env.CPU{Model: "AMD EPYC 9654 96-Core Processor", Cores: 12, Total: 384, Quota: 11.5, Procs: 8, Governor: "performance", SMT: "on", Virtual: true},
		MemoryBytes: 1583296743014, MemoryLimitBytes: 128 << 30, LoadAverage: [3]float64{1.25, 0.5, 0}, Go: "go1.26.8",
		Libraries: []env.Software{{Key: "cuda_driver", Value: "13.0"}, {Key: "driver", Value: "580.95.05"}, {Key: "instruction_set", Value: "avx512"}, {Key: "onnxruntime", Value: "1.30.0"}},
		Variables: []env.Software{{Key: "CUDA_LAUNCH_BLOCKING", Value: "1"}},
		Commit:    "0123456789abcdef0123456789abcdef01234567", Dirty: true, GPUDetail: "device 2: nvmlDeviceGetHandleByIndex_v2: GPU is lost",
		GPUs: []env.GPU{
			{Index: 0, Name: "NVIDIA H200", UUID: "fedcba9876543210", Driver: "580.95.05", SMs: 132, MemoryBytes: 150754820096, PowerLimitW: 700, ECC: "on", MIG: "off",
				ClocksLocked: true, ClocksEvidence: "application clock 1410 MHz, default 1980 MHz", MaxSMClockMHz: 1980, OtherProcesses: 1},
			{Index: 1, Name: "Tesla T4", ClocksEvidence: "the device does not tell"},
		},
	}
	bare := env.Environment{OS: "plan9", Arch: "386", Container: "unknown", CPU: env.CPU{Cores: 1, Total: 1}, Go: "go1.26.8", Libraries: []env.Software{}, GPUs: []env.GPU{},
		GPUReason: "cuda_unavailable", GPUDetail: "GPUs are looked for on Linux alone"}
	return map[string]*Environment{"full": NewEnvironment(full), "bare": NewEnvironment(bare)}
}

func TestEnvironmentTable(t *testing.T) {
	for name, r := range sampleEnvironments() {
		var b bytes.Buffer
		if err := EnvironmentTable(&b, r, name == "full"); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "env-"+name+".txt")
		want, err := os.ReadFile(path)
		if err != nil || b.String() != string(want) {
			t.Errorf("%s differs from %s (%v):\n%s", name, path, err, b.String())
		}
	}
}

func TestEnvironmentSchema(t *testing.T) {
	for name, r := range sampleEnvironments() {
		if err := validate(t, EnvironmentSchema, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	full := sampleEnvironments()["full"]
	for path, to := range map[string]any{
		"schema":                         "apexx.env/2",
		"classes":                        []any{},
		"classes/kind":                   "gpu-locked", // of the processors
		"classes/gpu":                    "NVIDIA H200",
		"classes/id":                     "a/b",
		"classes/cores":                  0,
		"fingerprint":                    nil,
		"environment/gpus/ecc":           "maybe",
		"environment/gpus/sms":           -1,
		"environment/gpus/colour":        "green",
		"environment/gpus/clocks_locked": nil,
		"environment/gpus":               []any{}, // without a reason
		"environment/gpu_reason":         "cuda_unavailable",
		"environment/load_average":       []any{1, 2},
		"environment/cpu/smt":            "half",
		"environment/cpu/cores":          0,
		"environment/commit":             "HEAD",
		"environment/libraries/value":    nil,
		"environment/memory_bytes":       "1 GiB",
		"environment/container":          "",
	} {
		if err := validate(t, EnvironmentSchema, edit(t, full, path, to)); err == nil {
			t.Errorf("%s = %v is valid", path, to)
		}
	}
}
