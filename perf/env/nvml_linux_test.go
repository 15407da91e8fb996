//go:build linux && cgo

package env

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/apex-x/apexx/perf"
)

// found is what TestPrintNVML prints.
type found struct {
	Environment Environment
	Monitor     string // the error of OpenMonitor
	Samples     []perf.DeviceSample
}

// TestPrintNVML is the child of TestIncompleteLibrary: the loader reads its path when a process starts.
func TestPrintNVML(t *testing.T) {
	if os.Getenv("APEXX_TEST_PRINT_NVML") == "" {
		t.Skip("not asked for by TestIncompleteLibrary")
	}
	out := found{Environment: Gather(t.Context(), Options{Identify: true})}
	m, err := OpenMonitor()
	if err != nil {
		out.Monitor = err.Error()
	}
	out.Samples = m.Sample()
	m.Close()
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\nFOUND %s\n", text)
}

// nvmlOf builds testdata/nvml.c with the given macros and asks it in a child.
func nvmlOf(t *testing.T, macros ...string) found {
	t.Helper()
	dir := t.TempDir()
	args := append([]string{"-w", "-shared", "-fPIC", "-o", filepath.Join(dir, "libnvidia-ml.so.1"), filepath.Join("testdata", "nvml.c")}, macros...)
	if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		t.Skipf("no C compiler for the stand-in of NVML: %v\n%s", err, out)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestPrintNVML$")
	child.Env = append(os.Environ(), "APEXX_TEST_PRINT_NVML=1", "LD_LIBRARY_PATH="+dir)
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, line, ok := strings.Cut(string(out), "\nFOUND ")
	line, _, _ = strings.Cut(line, "\n")
	var f found
	if err := json.Unmarshal([]byte(line), &f); !ok || err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	return f
}

// TestIncompleteLibrary opens management libraries that lack functions or do not start: that must never end the process, as
// the call of a function that is not there does, and what is there must be read.
func TestIncompleteLibrary(t *testing.T) {
	t.Run("old driver", func(t *testing.T) {
		f := nvmlOf(t, "-DINIT=0")
		want := []GPU{{Name: "NVIDIA A100-SXM4-40GB", UUID: "GPU-1234", Driver: "450.80", SMs: 108, ECC: "on", ClocksEvidence: "idle at 210 MHz, clocks lowered"}}
		if !reflect.DeepEqual(f.Environment.GPUs, want) || f.Environment.GPUReason != "" || f.Monitor != "" {
			t.Errorf("%+v", f)
		}
		if !reflect.DeepEqual(f.Environment.Libraries, []Software{{"driver", "450.80"}}) {
			t.Errorf("libraries %v", f.Environment.Libraries)
		}
		if len(f.Samples) != 1 {
			t.Fatalf("samples %+v", f.Samples)
		}
		s := f.Samples[0]
		if s.SMClockMHz != 210 || s.MemClockMHz != 1215 || s.TemperatureC != 0 || s.PowerW != 0 || !reflect.DeepEqual(ThrottleReasons(s), []string{"sw_thermal_slowdown"}) {
			t.Errorf("sample %+v", s)
		}
	})
	for name, tt := range map[string]struct {
		macros         []string
		reason, detail string
	}{
		"no driver":    {[]string{"-DINIT=9"}, "cuda_unavailable", "nvmlInit: Driver Not Loaded"},
		"other driver": {[]string{"-DINIT=18"}, "cuda_query_failed", "nvmlInit: Version Mismatch"},
		"bare library": {[]string{"-DINIT=0", "-DBARE"}, "cuda_query_failed", "this driver has no nvmlDeviceGetCount_v2"},
	} {
		t.Run(name, func(t *testing.T) {
			f := nvmlOf(t, tt.macros...)
			if e := f.Environment; e.GPUReason != tt.reason || e.GPUDetail != tt.detail || len(e.GPUs) != 0 || !strings.Contains(f.Monitor, tt.reason) {
				t.Errorf("%q %q, %q, want %q %q", e.GPUReason, e.GPUDetail, f.Monitor, tt.reason, tt.detail)
			}
		})
	}
}
