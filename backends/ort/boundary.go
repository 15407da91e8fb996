//go:build cgo

package ort

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// bindable returns a graph that computes g and whose border the binding can hold: it has no tensors of rank 0 and needs at
// least one input. A scalar crosses the border with the shape [1]; a graph without inputs gets one that nobody reads. Nodes
// and values are shared with g.
func bindable(g *graph.Graph) *graph.Graph {
	out := *g
	out.Inputs, out.Outputs, out.Nodes = nil, nil, nil
	for _, v := range g.Inputs {
		if len(v.Shape) > 0 {
			out.Inputs = append(out.Inputs, v)
			continue
		}
		wide := &graph.Value{Name: v.Name + ".border", Type: graph.Type{DType: v.DType, Shape: []int{1}}}
		out.Inputs = append(out.Inputs, wide)
		out.Nodes = append(out.Nodes, &graph.Node{
			Name: wide.Name, Op: graph.Reshape{Shape: []int{}}, Inputs: []*graph.Value{wide}, Outputs: []*graph.Value{v},
		})
	}
	if len(out.Inputs) == 0 {
		out.Inputs = []*graph.Value{{Name: "unused.border", Type: graph.Type{DType: tensor.Float32, Shape: []int{1}}}}
	}
	out.Nodes = append(out.Nodes, g.Nodes...)
	for _, p := range g.Outputs {
		if len(p.Value.Shape) == 0 {
			wide := &graph.Value{Name: p.Name + ".border", Type: graph.Type{DType: p.Value.DType, Shape: []int{1}}}
			out.Nodes = append(out.Nodes, &graph.Node{
				Name: wide.Name, Op: graph.Reshape{Shape: []int{1}}, Inputs: []*graph.Value{p.Value}, Outputs: []*graph.Value{wide},
			})
			p = graph.Port{Name: wide.Name, Value: wide}
		}
		out.Outputs = append(out.Outputs, p)
	}
	return &out
}
