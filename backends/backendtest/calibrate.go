package backendtest

import (
	"math"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// calibrated returns a graph with the ranges that the oracle's values have on the inputs, where a precision asks for some.
func calibrated(p backends.Precision, g *graph.Graph, inputs tensor.List) (*graph.Graph, error) {
	if !p.Scaled() {
		return g, nil
	}
	values, err := oracleValues(g, inputs)
	if err != nil {
		return nil, err
	}
	out := *g
	out.Calibration = &graph.Calibration{Ranges: map[string]float32{}}
	for _, v := range g.Ranged() {
		largest := 0.0
		for _, x := range f64(values[v]) {
			if !math.IsInf(x, 0) {
				largest = math.Max(largest, math.Abs(x))
			}
		}
		out.Calibration.Ranges[v.Name] = float32(largest)
	}
	return &out, nil
}

// inherit makes the calibration of a lowered graph that of each node that is cut out of it, and lowered once more: a rounded value has the
// range of what was rounded, so that it is not rounded to another grid, and what has no point, as the router, is none by its name.
func inherit(low *graph.Graph) {
	if low.Calibration == nil {
		return
	}
	ranges, wide, products := map[string]float32{}, []string{}, low.Products()
	for _, n := range low.Nodes {
		if !slices.Contains(products, n) {
			wide = append(wide, n.Name)
		}
		for _, v := range n.Inputs {
			if v == nil {
				continue
			}
			if r, known := low.Calibration.Ranges[v.Name]; known {
				ranges[v.Name] = r
				if _, rounds := n.Op.(graph.Round); rounds {
					ranges[n.Outputs[0].Name] = r
				}
			}
		}
	}
	low.Calibration = &graph.Calibration{Ranges: ranges, Wide: wide}
}
