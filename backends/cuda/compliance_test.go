//go:build cgo && linux

package cuda_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/cuda/emulation"
)

var emulated = sync.OnceValues(func() (emulation.Driver, error) { return emulation.Open("../../kernels") })

// driver returns the emulated device.
func driver(t *testing.T) emulation.Driver {
	t.Helper()
	d, err := emulated()
	if errors.Is(err, emulation.ErrNoCompiler) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOperators(t *testing.T) {
	backendtest.Run(t, cuda.New(driver(t)), backendtest.Options{Precisions: cuda.Precisions, Complete: true})
}

// Whole models take their time in the emulation. A rounding is a kernel of its own, so one low precision stands for the others.
var models = backendtest.Options{Precisions: []backends.Precision{backends.FP32, backends.FP16}, Complete: true}

func TestModules(t *testing.T) { backendtest.RunModules(t, cuda.New(driver(t)), models) }

func TestReplay(t *testing.T) { backendtest.RunReplay(t, cuda.New(driver(t)), models) }
