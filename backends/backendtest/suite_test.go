package backendtest_test

import (
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/backendtest/toydevice"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/worker"
)

// What the two backends of this program have.
var (
	ofReference = backendtest.Options{Complete: true, Precisions: append(slices.Clone(ofORT.Precisions), backends.FP64)}
	ofORT       = backendtest.Options{Complete: true, Precisions: []backends.Precision{backends.FP32, backends.TF32, backends.FP16, backends.BF16, backends.INT8, backends.FP8}}
	ofToy       = backendtest.Options{Complete: true, Precisions: []backends.Precision{backends.FP32, backends.TF32, backends.FP16, backends.BF16}}
)

func TestReference(t *testing.T) { backendtest.Run(t, reference.New(), ofReference) }

func TestReferenceModules(t *testing.T) { backendtest.RunModules(t, reference.New(), ofReference) }

func TestReferenceReplay(t *testing.T) { backendtest.RunReplay(t, reference.New(), ofReference) }

func TestORTReplay(t *testing.T) { backendtest.RunReplay(t, ort.New(), ofORT) }

func TestORT(t *testing.T) { backendtest.Run(t, ort.New(), ofORT) }

func TestORTModules(t *testing.T) { backendtest.RunModules(t, ort.New(), ofORT) }

func TestReferenceSessions(t *testing.T) { backendtest.RunSessions(t, reference.New(), ofReference) }

func TestORTSessions(t *testing.T) { backendtest.RunSessions(t, ort.New(), ofORT) }

func TestToyDevice(t *testing.T) { backendtest.Run(t, toydevice.New(), ofToy) }

func TestToyDeviceModules(t *testing.T) { backendtest.RunModules(t, toydevice.New(), ofToy) }

func TestToyDeviceReplay(t *testing.T) { backendtest.RunReplay(t, toydevice.New(), ofToy) }

func TestToyDeviceSessions(t *testing.T) { backendtest.RunSessions(t, toydevice.New(), ofToy) }

// Sessions in a process each are held to the same, through the worker protocol.
func TestWorkerSessions(t *testing.T) {
	backendtest.RunSessions(t, worker.New(specOf(t, reference.Name)), backendtest.Options{Process: true})
}

func TestToyDeviceWorkerSessions(t *testing.T) {
	low := []backends.Precision{backends.FP32, backends.BF16}
	backendtest.RunSessions(t, worker.New(specOf(t, toydevice.Name)), backendtest.Options{Process: true, Precisions: low})
}

func TestToyDeviceWorkerReplay(t *testing.T) {
	backendtest.RunReplay(t, worker.New(specOf(t, toydevice.Name)), backendtest.Options{})
}

func TestToyDeviceWorker(t *testing.T) {
	backendtest.Run(t, startWorker(t, toydevice.Name), backendtest.Options{Complete: true})
}

func TestEveryOperatorHasACase(t *testing.T) {
	covered := map[string]bool{}
	for _, c := range backendtest.Cases() {
		covered[c.Op.OpType()] = true
	}
	for _, op := range graph.Operators() {
		if !covered[op.OpType()] {
			t.Errorf("operator %s has no case", op.OpType())
		}
	}
}
