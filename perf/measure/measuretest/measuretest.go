// Package measuretest lets a test measure something small: the test binary is its own worker, and models are one addition.
package measuretest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/perf/measure"
)

// variable makes a test binary a worker of the backend that it names.
const variable = "APEXX_TEST_WORKER"

// Main is the TestMain of a package whose tests start workers by Spec. What they serve can be wrapped.
func Main(m *testing.M, wraps ...func(backends.Backend) backends.Backend) {
	name := os.Getenv(variable)
	if name == "" {
		os.Exit(m.Run())
	}
	var b backends.Backend = renamed{reference.New(), name}
	for _, wrap := range wraps {
		b = wrap(b)
	}
	if err := worker.ServeStdio(context.Background(), b); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// renamed is a backend under another name.
type renamed struct {
	backends.Backend
	name string
}

func (r renamed) Name() string { return r.name }

// Spec starts this test binary as a worker of the backend, which is the reference whatever its name.
func Spec(backend string, env ...string) worker.Spec {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return worker.Spec{Name: backend, Command: []string{self}, Env: append([]string{variable + "=" + backend}, env...), Deadline: time.Minute, StartTimeout: time.Minute}
}

// ModelSource are measure.ModelSource that double as many numbers as an image of the batch is high.
type ModelSource struct{}

// Complete implements measure.ModelSource.
func (ModelSource) Complete(_ context.Context, s measure.Shape) (*measure.Complete, error) {
	n := s.Batch * s.Height
	b := graph.NewBuilder("doubled")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{n}})
	b.Output("y", b.Add1("double", graph.Binary{Fn: graph.Add}, x, x))
	g, err := b.Build()
	var feeds measure.Feeds
	for f := range feeds {
		in := tensor.New(tensor.Float32, n)
		for i := range tensor.Data[float32](in) {
			tensor.Data[float32](in)[i] = 0.5 - float32(f)/4
		}
		feeds[f] = tensor.List{{Name: "x", Tensor: in}}
	}
	return &measure.Complete{Graph: g, Feeds: feeds}, err
}
