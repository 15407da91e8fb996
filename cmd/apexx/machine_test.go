package main

import (
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
)

// TestDeviceOf watches the GPU that workers compute on, which is not NVML's first where CUDA_VISIBLE_DEVICES says otherwise.
func TestDeviceOf(t *testing.T) {
	one := env.DeviceState{Index: 0, Name: "H200", UUID: "GPU-a"}
	two := env.DeviceState{Index: 1, Name: "H200", UUID: "GPU-b"}
	third := env.DeviceState{Index: 3, Name: "H200", UUID: "GPU-d"} // NVML could not read the one before
	old := env.DeviceState{Index: 1, Name: "T4", UUID: "GPU-c"}
	for name, tt := range map[string]struct {
		list           []env.DeviceState
		visible, order string
		want           int
		err            string
	}{
		"one": {list: []env.DeviceState{one}}, "the first": {list: []env.DeviceState{one, two}},
		"the second":               {list: []env.DeviceState{one, two}, visible: "1", want: 1},
		"by identifier":            {list: []env.DeviceState{one, old}, visible: "GPU-c", want: 1},
		"the index of NVML":        {list: []env.DeviceState{one, third}, visible: "GPU-d", want: 3},
		"by address":               {list: []env.DeviceState{one, old}, visible: "1,0", order: "PCI_BUS_ID", want: 1},
		"the fastest, whichever":   {list: []env.DeviceState{one, old}, err: "which of the 2 GPUs CUDA computes on cannot be told"},
		"an instance of the one":   {list: []env.DeviceState{one}, visible: "MIG-1"},
		"an instance, of whatever": {list: []env.DeviceState{one, two}, visible: "MIG-1", err: "set CUDA_DEVICE_ORDER=PCI_BUS_ID"},
		"none":                     {}, "hidden": {list: []env.DeviceState{one, two}, visible: "-1"},
	} {
		getenv := func(name string) string {
			return map[string]string{"CUDA_VISIBLE_DEVICES": tt.visible, "CUDA_DEVICE_ORDER": tt.order}[name]
		}
		got, err := deviceOf(getenv, tt.list)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %d, %v; want %d, %q", name, got, err, tt.want, tt.err)
		}
	}
}

// TestClassOfDevice takes the class of the GPU that the cells compute on, and of the processors where none does.
func TestClassOfDevice(t *testing.T) {
	e := env.Environment{CPU: env.CPU{Model: "a", Cores: 4}, GPUs: []env.GPU{{Name: "b"}, {Index: 1, Name: "c"}}}
	on := func(backends ...string) *workloadsOf {
		w := &workloadsOf{where: &e, options: measure.Options{Threads: 2, Devices: map[string]int{"cuda": 1}}}
		for _, b := range backends {
			w.cells = append(w.cells, perf.Cell{Backend: b})
		}
		return w
	}
	for want, w := range map[string]*workloadsOf{"cpu-a-2c": on("ort", "reference"), "gpu-unlocked-c-0sm-0w-anyecc-anymig--a-2c": on("ort", "cuda")} {
		if got := w.class((*cli.Context)(nil)).ID; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if e.GPUs = nil; on("cuda").class((*cli.Context)(nil)).ID != "cpu-a-2c" {
		t.Error("a machine without GPUs is of a GPU's class")
	}
}
