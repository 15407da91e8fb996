//go:build cgo && linux

package cuda_test

import (
	"errors"
	"sync"
	"testing"

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

var suite = backendtest.Options{Precisions: cuda.Precisions, Complete: true}

func TestOperators(t *testing.T) { backendtest.Run(t, cuda.New(driver(t)), suite) }

func TestModules(t *testing.T) { backendtest.RunModules(t, cuda.New(driver(t)), suite) }

func TestReplay(t *testing.T) { backendtest.RunReplay(t, cuda.New(driver(t)), suite) }
