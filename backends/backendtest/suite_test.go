package backendtest_test

import (
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
)

func TestReference(t *testing.T) {
	backendtest.Run(t, reference.New(), backendtest.Options{Precisions: []backends.Precision{backends.FP32, backends.FP64}})
}

func TestORT(t *testing.T) {
	backendtest.Run(t, ort.New(), backendtest.Options{})
}
