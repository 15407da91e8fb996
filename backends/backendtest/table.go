package backendtest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Table returns what TensorRT's IInt8MinMaxCalibrator would write of a graph, by another backend and under a version: the values that int8 may round, and, as
// there always is, a tensor that the graph does not know.
func Table(ctx context.Context, version string, b backends.Backend, g *graph.Graph, inputs []tensor.List) ([]byte, error) {
	h := calibrate.Histograms{}
	if err := h.Collect(ctx, b, g, slices.Values(inputs), 0); err != nil {
		return nil, err
	}
	var table bytes.Buffer
	fmt.Fprintf(&table, "%s\n(Unnamed Layer* 3) [Shuffle]_output: 3f800000\n", version)
	ranges := h.Ranges(calibrate.Max)
	for _, name := range slices.Sorted(maps.Keys(ranges)) {
		fmt.Fprintf(&table, "%s: %08x\n", name, math.Float32bits(ranges[name]/127))
	}
	return table.Bytes(), nil
}
