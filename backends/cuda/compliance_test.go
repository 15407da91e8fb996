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
	"github.com/apex-x/apexx/kernels"
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

// ampere and hopper are generations of devices, as the choice of the network's kernels knows them. Few multiprocessors: blocks get several tasks.
var (
	ampere = kernels.Device{Multiprocessors: 5, Capability: 86}
	hopper = kernels.Device{Multiprocessors: 7, Capability: 90}
)

func TestOperators(t *testing.T) {
	for name, d := range map[string]emulation.Driver{"operators": driver(t), "network": driver(t).As(hopper)} {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, cuda.New(d), backendtest.Options{Precisions: cuda.Precisions, Complete: true})
		})
	}
}

// Whole models take their time in the emulation, and have the network's kernels where they can. A rounding is a kernel of its own, so one low precision stands
// for the others.
var models = backendtest.Options{Precisions: []backends.Precision{backends.FP32, backends.FP16}, Complete: true}

func TestModules(t *testing.T) { backendtest.RunModules(t, cuda.New(driver(t).As(hopper)), models) }

func TestReplay(t *testing.T) { backendtest.RunReplay(t, cuda.New(driver(t).As(hopper)), models) }
