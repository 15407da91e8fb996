package tensorrt

import (
	"context"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
)

// Calibrate implements backends.Calibrator with the calibrators that TensorRT 10 has. The network is weakly typed and in float32, our operators are
// plugins, and no two nodes become one, so that every value keeps its name in the table.
func (b backend) Calibrate(ctx context.Context, g *graph.Graph, inputs []tensor.List, o backends.CalibrateOptions) ([]byte, error) {
	lib, err := b.driver.Open()
	if err != nil {
		return nil, err
	}
	f := lib.Facts()
	if err := f.calibrates(o.Method); err != nil {
		return nil, err
	}
	if err := checkPlugins(g, f); err != nil {
		return nil, err
	}
	model, err := onnx.Marshal(bare(g), onnx.WriteOptions{Form: onnx.Plugins})
	if err != nil {
		return nil, err
	}
	return lib.Calibrate(ctx, Calibration{Model: model, Method: o.Method, Inputs: inputs, Progress: o.Progress})
}

// calibrates is nil for a library that can build and has a calibrator of that method.
func (f Facts) calibrates(method string) error {
	for _, c := range f.Calibrators {
		if c.Method != method {
			continue
		}
		if f.NoBuilder != "" {
			return unavailable(backends.BuilderUnavailable, "%s", f.NoBuilder)
		}
		return nil
	}
	return unavailable(backends.CalibratorUnavailable, "TensorRT %s has no calibrator of the method %s (it has: %s)", f.Version, method, f.calibratorsText())
}

func (f Facts) calibratorsText() string {
	if len(f.Calibrators) == 0 {
		return "none"
	}
	names := make([]string, len(f.Calibrators))
	for i, c := range f.Calibrators {
		names[i] = c.Method
	}
	return strings.Join(names, ", ")
}

// CalibratorsOf lists what a version of TensorRT has: its interface of calibrators came to its end with 10.
func CalibratorsOf(major int) []calibrate.Calibrator {
	if major > 10 {
		return nil
	}
	return calibrate.Calibrators
}
