package backends

import (
	"context"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Calibrator is a Backend whose library finds ranges of values by itself. Where there is none, package calibrate finds them from what sessions of any backend
// compute.
type Calibrator interface {
	Backend
	// Calibrate has the library run a graph in fp32 on all inputs, at least one, each as a session of the graph would take them, and returns the
	// library's own table of ranges. Its errors wrap an *Unavailable where the library has no such method, or what Compile needs cannot be had here.
	Calibrate(ctx context.Context, g *graph.Graph, inputs []tensor.List, o CalibrateOptions) (table []byte, err error)
}

// CalibrateOptions of Calibrate.
type CalibrateOptions struct {
	Method   string      // of the library, such as "entropy"
	Progress func(Stage) // nil, or told how far it is; one call at a time
}
