//go:build tensorrt

package driver_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/backends/tensorrt/driver"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
)

// device is the backend on the GPU of this machine, at the lowest level of optimisation: the suite has hundreds of engines. Where there is no device,
// every test skips with the reason.
var device = backendtest.WithExtra(tensorrt.New(driver.New()), map[string]string{tensorrt.LevelOption: "0"})

func TestMain(m *testing.M) {
	driver.Relaunch()
	os.Exit(m.Run())
}

var suite = backendtest.Options{Precisions: []backends.Precision{backends.FP32}, Measures: true}

func TestOperators(t *testing.T) { backendtest.Run(t, device, suite) }

func TestModules(t *testing.T) { backendtest.RunModules(t, device, suite) }

func TestReplay(t *testing.T) { backendtest.RunReplay(t, device, suite) }

func TestSessions(t *testing.T) { backendtest.RunSessions(t, device, suite) }

// complete returns the trained nano model with one of its scenes.
func complete(t *testing.T, p backends.Precision) (*graph.Graph, tensor.List) {
	t.Helper()
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights()})
	if err != nil {
		t.Fatal(err)
	}
	scene := fixtures.BuiltinScenes()[0]
	c, err := m.PictureCase(scene.Name, scene.Data, model.DefaultDecode())
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.GraphIn(c.Options(c.Decode), p)
	if err != nil {
		t.Fatal(err)
	}
	return g, c.Tensors()
}

// TestOneGraph: the complete model runs as one CUDA graph, gives equal bits in a thousand runs beside another session, and a second build from the cache of
// timings is the same engine.
func TestOneGraph(t *testing.T) {
	backendtest.SkipWithout(t, device)
	g, inputs := complete(t, backends.FP16)
	var all sync.WaitGroup
	for i := range 2 {
		s := backendtest.Open(t, device, g, backends.Options{Precision: backends.FP16})
		if want := "TensorRT " + version(t); s.Plan().Library != want {
			t.Errorf("the plan says %q, want %q", s.Plan().Library, want)
		}
		all.Go(func() {
			if err := backendtest.SameBits(t.Context(), s, inputs, 1000, 50); err != nil {
				t.Errorf("session %d: %v", i, err)
			}
			t.Logf("session %d: %v by the device's clock, %+v", i, s.LastTiming().Device, s.Memory())
		})
	}
	all.Wait()
}

func version(t *testing.T) string {
	t.Helper()
	v := device.Probe(t.Context()).Fact("version")
	if v == "" {
		t.Fatal("the probe tells no version")
	}
	return v
}

// TestInterrupted: a build ends soon after its context, and leaves no engine.
func TestInterrupted(t *testing.T) {
	backendtest.SkipWithout(t, device)
	g, _ := complete(t, backends.FP32)
	path := filepath.Join(t.TempDir(), "x.engine")
	ctx, cancel := context.WithCancel(t.Context())
	var canceled time.Time
	_, err := tensorrt.New(driver.New()).Compile(ctx, g, backends.Options{
		Extra: map[string]string{tensorrt.EngineOption: path, tensorrt.CacheOption: tensorrt.NoCache},
		Progress: func(backends.Stage) {
			if canceled.IsZero() {
				canceled = time.Now()
				cancel()
			}
		},
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the engine file: %v", err)
	}
	t.Logf("ended %v after it was told to", time.Since(canceled))
}

// TestStepTimes: the times of the steps add up to about that of the whole, launched layer by layer.
func TestStepTimes(t *testing.T) {
	backendtest.SkipWithout(t, device)
	g, inputs := complete(t, backends.FP32)
	s := backendtest.Open(t, device, g, backends.Options{StepTimes: true})
	if _, err := backends.Run(t.Context(), s, inputs); err != nil {
		t.Fatal(err)
	}
	timing := s.LastTiming()
	var sum time.Duration
	for i, step := range s.Plan().Steps {
		sum += timing.Steps[i]
		t.Logf("%8v  %s  %s", timing.Steps[i], step.Op, step.Name)
	}
	if sum <= 0 || sum > 2*timing.Device {
		t.Errorf("%d steps take %v, the whole %v", len(timing.Steps), sum, timing.Device)
	}
}
