package backendtest_test

import (
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
)

var both = backendtest.Options{Precisions: []backends.Precision{backends.FP32, backends.FP64}}

func TestReference(t *testing.T) { backendtest.Run(t, reference.New(), both) }

func TestReferenceModules(t *testing.T) { backendtest.RunModules(t, reference.New(), both) }

func TestORT(t *testing.T) { backendtest.Run(t, ort.New(), backendtest.Options{}) }

func TestORTModules(t *testing.T) { backendtest.RunModules(t, ort.New(), backendtest.Options{}) }
