package caps

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/perf/env"
)

// machine is one whose backends answer as told, in the order of backends.Known.
func machine(reference, ort, cuda, tensorrt backends.Availability) Observed {
	o := Observed{CPU: CPU{"amd64", 16}, Getenv: variables(nil), Exists: func(string) bool { return false }}
	told := map[string]backends.Availability{"reference": reference, "ort": ort, "cuda": cuda, "tensorrt": tensorrt}
	for _, name := range backends.Known {
		a, ok := told[name]
		if !ok {
			a = ortCPU
		}
		o.Probes = append(o.Probes, Probe{name, a})
	}
	return o
}

func variables(set map[string]string) func(string) string {
	return func(name string) string { return set[name] }
}

func lacks(r backends.Reason, detail string) backends.Availability {
	return backends.Availability{Reason: r, Detail: detail}
}

func has(precisions string, facts ...string) backends.Availability {
	a := backends.Availability{Available: true}
	for _, p := range strings.Fields(precisions) {
		a.Precisions = append(a.Precisions, backends.Precision(p))
	}
	for i := 0; i < len(facts); i += 2 {
		a.Facts = append(a.Facts, backends.Fact{Key: facts[i], Value: facts[i+1]})
	}
	return a
}

var (
	reference = has("fp64 fp32 tf32 fp16 bf16", "instruction_set", "avx2")
	ort       = has("fp32 tf32 fp16 bf16", "version", "1.30.0")
	ortCPU    = lacks(backends.ProviderUnavailable, "/opt/apexx/.deps/libonnxruntime.so.1 has no libonnxruntime_providers_cuda.so beside it")
	worker    = lacks(backends.WorkerNotFound, "no executable apexx-cuda in /opt/apexx or PATH; build it, or set APEXX_WORKER_CUDA to its path")
	noRT      = lacks(backends.WorkerNotFound, "no executable apexx-tensorrt in /opt/apexx or PATH; build it, or set APEXX_WORKER_TENSORRT to its path")
)

func gpu(name, capability string) env.DeviceState {
	return env.DeviceState{Name: name, UUID: "GPU-" + name, ComputeCapability: capability, SMs: 132, MemoryBytes: 85_520_809_984, MemoryFreeBytes: 84_000_000_000,
		SMClockMHz: 345, MaxSMClockMHz: 1980, MemoryClockMHz: 2619, PowerLimitW: 700, MIG: "off"}
}

func nvml(list ...env.DeviceState) env.Devices {
	for i := range list {
		list[i].Index = i
	}
	return env.Devices{List: list, Driver: "580.95.05", CUDA: "13.0"}
}

// machines are what the golden texts show.
func machines() map[string]Observed {
	bare := machine(reference, ort, worker, noRT)
	bare.Devices = env.Devices{Reason: backends.CudaUnavailable, Detail: "no NVIDIA driver: libnvidia-ml.so.1 cannot be opened and /proc/driver/nvidia/version is not there"}

	hopper := machine(reference, lacks(backends.BuiltWithoutCgo, "this program was built with CGO_ENABLED=0"),
		has("fp32 tf32 fp16 bf16", "device", "NVIDIA H100 80GB HBM3", "compute_capability", "9.0"), has("fp32 fp16 int8 fp8", "version", "10.6.0"))
	hopper.Devices = nvml(gpu("NVIDIA H100 80GB HBM3", "9.0"), gpu("NVIDIA H100 80GB HBM3", "9.0"))
	hopper.Exists = func(path string) bool { return path == "/usr/include/x86_64-linux-gnu/NvInfer.h" }

	old := machine(reference, has("fp32", "version", "1.30.0"),
		lacks(backends.CapabilityUnsupported, "Tesla P100 has compute capability 6.0, the kernels need 7.5"), noRT)
	old.Devices = nvml(gpu("Tesla P100", "6.0"))
	old.Devices.Detail = "device 1: GPU is lost"

	container := machine(reference, ort, has("fp32 fp16", "device", "NVIDIA L4", "compute_capability", "8.9"), noRT)
	container.Devices = env.Devices{Reason: backends.LibraryNotFound, Detail: "the NVIDIA kernel driver is loaded, but libnvidia-ml.so.1 cannot be opened"}
	container.Files = 1
	return map[string]Observed{"bare": bare, "hopper": hopper, "old": old, "container": container}
}

// TestGolden holds the text of four machines against testdata, and their JSON against the schema.
func TestGolden(t *testing.T) {
	schema := capsSchema(t)
	for name, o := range machines() {
		c := Of(o)
		var text bytes.Buffer
		if err := c.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		goldenfile.Check(t, name+".txt", text.Bytes())
		raw, err := json.MarshalIndent(c, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		goldenfile.Check(t, name+".json", append(raw, '\n'))
		decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(decoded); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func capsSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	source, err := os.ReadFile("../../reports/schema/caps.schema.json") // package reports imports this one
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	enum := document.(map[string]any)["$defs"].(map[string]any)["reason"].(map[string]any)["enum"].([]any)
	if len(enum) != len(backends.Reasons) {
		t.Errorf("the schema has %d reasons, the catalog %d", len(enum), len(backends.Reasons))
	}
	for _, r := range backends.Reasons {
		if !slices.Contains(enum, any(string(r))) {
			t.Errorf("the schema does not know the reason %s", r)
		}
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("caps.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("caps.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// TestDevice goes through what there is and what is visible, as the CUDA driver sees it.
func TestDevice(t *testing.T) {
	h100, l4 := gpu("H100", "9.0"), gpu("L4", "8.9")
	for name, tt := range map[string]struct {
		devices env.Devices
		files   int
		env     map[string]string
		reason  backends.Reason
		count   int
		device  string
		fp8     backends.Reason
	}{
		"one":                    {devices: nvml(h100), count: 1, device: "H100", fp8: backends.PrecisionUnsupported},
		"second of equal ones":   {devices: nvml(h100, h100), env: map[string]string{"CUDA_VISIBLE_DEVICES": "1,0"}, count: 2, device: "H100", fp8: backends.PrecisionUnsupported},
		"mixed":                  {devices: nvml(l4, h100), count: 2, fp8: backends.CudaCapabilityUnknown},
		"mixed by address":       {devices: nvml(l4, h100), env: map[string]string{"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, count: 2, device: "L4", fp8: backends.CapabilityBelowSM90},
		"by identifier":          {devices: nvml(l4, h100), env: map[string]string{"CUDA_VISIBLE_DEVICES": "GPU-H1"}, count: 2, device: "H100", fp8: backends.PrecisionUnsupported},
		"unknown identifier":     {devices: nvml(l4), env: map[string]string{"CUDA_VISIBLE_DEVICES": "GPU-X"}, count: 1, reason: backends.CudaDeviceNotFound, fp8: backends.FP8RequiresCuda},
		"an instance":            {devices: nvml(h100), env: map[string]string{"CUDA_VISIBLE_DEVICES": "MIG-1"}, count: 1, fp8: backends.CudaCapabilityUnknown},
		"out of range":           {devices: nvml(h100), env: map[string]string{"CUDA_VISIBLE_DEVICES": "3"}, count: 1, reason: backends.CudaDeviceOutOfRange, fp8: backends.FP8RequiresCuda},
		"hidden":                 {devices: nvml(h100), env: map[string]string{"CUDA_VISIBLE_DEVICES": "-1"}, count: 1, reason: backends.CudaDeviceNotFound, fp8: backends.FP8RequiresCuda},
		"the driver fails":       {devices: env.Devices{Reason: backends.CudaQueryFailed}, files: 2, count: 2, reason: backends.CudaQueryFailed, fp8: backends.FP8RequiresCuda},
		"no NVML, files":         {devices: env.Devices{Reason: backends.BuiltWithoutCgo}, files: 2, count: 2, fp8: backends.CudaCapabilityUnknown},
		"no NVML, no files":      {devices: env.Devices{Reason: backends.LibraryNotFound}, reason: backends.CudaDeviceNotFound, fp8: backends.FP8RequiresCuda},
		"no driver":              {devices: env.Devices{Reason: backends.CudaUnavailable}, reason: backends.CudaUnavailable, fp8: backends.FP8RequiresCuda},
		"does not tell its kind": {devices: nvml(gpu("H100", "")), count: 1, device: "H100", fp8: backends.CudaCapabilityUnknown},
	} {
		o := machine(reference, ort, worker, noRT)
		o.Devices, o.Files, o.Getenv = tt.devices, tt.files, variables(tt.env)
		c := Of(o)
		device := ""
		if c.Cuda.DeviceName != nil {
			device = *c.Cuda.DeviceName
		}
		if because(c.Cuda.Reason) != tt.reason || c.Cuda.Available != (tt.reason == "") || c.Cuda.DeviceCount != tt.count || device != tt.device || because(c.FP8.Reason) != tt.fp8 {
			t.Errorf("%s: %+v (device %q), fp8 %q", name, c.Cuda, device, because(c.FP8.Reason))
		}
	}
}

// TestFP8 needs a device from 9.0 on and a backend that has it.
func TestFP8(t *testing.T) {
	o := machine(reference, ort, has("fp32", "device", "H100", "compute_capability", "9.0"), has("fp32 fp8 int8"))
	o.Devices = nvml(gpu("H100", "9.0"))
	if c := Of(o); !c.FP8.Available || !c.FP8.DType || c.FP8.Reason != nil || !c.TensorRT.Int8Available {
		t.Errorf("%+v %+v", c.FP8, c.TensorRT)
	}
	o.Probes[slices.Index(backends.Known, "tensorrt")].Availability = has("fp32 int8")
	o.Probes[slices.Index(backends.Known, "cuda")].Availability = worker
	o.Devices = env.Devices{Reason: backends.CudaUnavailable}
	if c := Of(o); because(c.TensorRT.Int8Reason) != backends.Int8RequiresCuda || because(c.FP8.Reason) != backends.FP8RequiresCuda {
		t.Errorf("int8 without a device: %+v", c.TensorRT)
	}
}

// TestRequired: what comes before the missing requirement is met, what comes behind it was not asked for; every code lacks something.
func TestRequired(t *testing.T) {
	for _, tt := range []struct {
		backend string
		reason  backends.Reason
		want    string
	}{
		{"cuda", backends.WorkerStartFailed, "worker missing (worker_start_failed); cuda.available met; driver, compute_capability, kernels unknown"},
		{"cuda", backends.LibraryVersionUnsupported, "worker, cuda.available met; driver missing (library_version_unsupported); compute_capability, kernels unknown"},
		{"cuda", backends.KernelLoadFailed, "worker, cuda.available, driver, compute_capability met; kernels missing (kernel_load_failed)"},
		{"ort", backends.LibraryWrongArchitecture, "cgo met; library missing (library_wrong_architecture)"},
		{"ort", backends.ProviderUnavailable, "cgo met; library missing (provider_unavailable)"},
		{"ort-cuda", backends.ProviderUnavailable, "cgo, worker met; library missing (provider_unavailable); cuda.available met"},
		{"ort-cuda", backends.CudaDeviceNotFound, "cgo, worker, library met; cuda.available missing (cuda_device_not_found)"},
		{"tensorrt", backends.LibraryNotFound, "worker, cuda.available met; library missing (library_not_found)"},
		{"reference", backends.InstructionSetUnsupported, "instruction_set missing (instruction_set_unsupported)"},
	} {
		c := Caps{Cuda: Cuda{Available: true}}
		if got := strings.Join(capabilities(c.required(Backend{Name: tt.backend, Reason: tt.reason})), "; "); got != tt.want {
			t.Errorf("%s %s:\n%s\n%s", tt.backend, tt.reason, got, tt.want)
		}
	}
	for _, name := range backends.Known {
		for _, r := range backends.Reasons {
			list := (Caps{}).required(Backend{Name: name, Reason: r})
			if !slices.ContainsFunc(list, func(c Capability) bool { return c.State == Missing && *c.Reason == r }) {
				t.Errorf("%s unavailable for %s lacks nothing: %s", name, r, capabilities(list))
			}
		}
	}
}

// TestForeignReason: what a worker says that is not in the catalog is told as what it is, another version's word.
func TestForeignReason(t *testing.T) {
	b := Of(machine(reference, ort, lacks("no_luck", "today"), noRT)).of("cuda")
	if want := `the worker gives the reason "no_luck", which this version does not know: today`; b.Reason != backends.WorkerVersionMismatch || b.Detail != want {
		t.Errorf("%s: %s", b.Reason, b.Detail)
	}
}

// TestHeader checks in which order folders are searched.
func TestHeader(t *testing.T) {
	set := map[string]string{"TRT_ROOT": "~/trt", "TENSORRT_INCLUDE_DIR": "/a", "HOME": "/home/u"}
	var asked []string
	if got := findHeader(variables(set), func(path string) bool {
		asked = append(asked, path)
		return path == "/home/u/trt/include/NvInferRuntime.h"
	}); got != "/home/u/trt/include/NvInferRuntime.h" {
		t.Errorf("found %q", got)
	}
	want := "/a/NvInfer.h /a/NvInferRuntime.h /a/include/NvInfer.h /a/include/NvInferRuntime.h /home/u/trt/NvInfer.h /home/u/trt/NvInferRuntime.h /home/u/trt/include/NvInfer.h /home/u/trt/include/NvInferRuntime.h"
	if got := strings.Join(asked, " "); got != want {
		t.Errorf("asked for\n%s\n%s", got, want)
	}
	if got := findHeader(variables(nil), func(string) bool { return false }); got != "" {
		t.Errorf("found %q", got)
	}
}

// TestWithoutPluginsAndBuilder: a TensorRT that can open libraries and a device, and nothing else, is told from one that can run and build the model.
func TestWithoutPluginsAndBuilder(t *testing.T) {
	for _, tt := range []struct {
		facts []string
		want  string
	}{
		{[]string{"plugin_library", "/p.so"}, "plugins, builder met"},
		{[]string{"no_builder", "there is no parser"}, "plugins missing (plugin_missing)\nbuilder missing (builder_unavailable)"},
	} {
		c := Of(machine(reference, ort, has("fp32", "compute_capability", "9.0"), has("fp32", tt.facts...)))
		if got := strings.Join(capabilities(c.optional(c.of("tensorrt"))), "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("%v: %s, want %s", tt.facts, got, tt.want)
		}
	}
}
