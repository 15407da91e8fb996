package onnx

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/body"
	"github.com/apex-x/apexx/backends/tensor"
)

// BatchSize returns the operator that gives the first dimension of its operand as int64 [1], for a model with WriteOptions.Batch.
func BatchSize() graph.Opaque {
	return standard("Shape", graph.Type{DType: tensor.Int64, Shape: []int{1}}, attribute("start", int64(0)), attribute("end", int64(1)))
}

// Ones returns the operator that makes a vector of ones, of the length that its operand says as BatchSize does; in the graph it has n elements.
func Ones(t tensor.DType, n int) (graph.Opaque, error) {
	var one *tensor.Tensor
	switch t {
	case tensor.Float32:
		one = tensor.Must(tensor.Of([]float32{1}, 1))
	case tensor.Int64:
		one = tensor.Must(tensor.Of([]int64{1}, 1))
	default:
		return graph.Opaque{}, fmt.Errorf("ones of the type %v: want float32 or int64", t)
	}
	return standard("ConstantOfShape", graph.Type{DType: t, Shape: []int{n}}, attribute("value", one)), nil
}

// freeReshape leaves the first dimension of the shape of a Reshape to the number of elements, which says the same of every operand but an empty one.
func freeReshape(shape []int) []int {
	if len(shape) == 0 || slices.Contains(shape, 0) {
		return shape
	}
	return append([]int{-1}, shape[1:]...)
}

// scales writes those of a Resize, whose sizes name the batch. They have to be exact, as the source positions follow from them.
func (n *nodeWriter) scales(sizes []int) {
	list := make([]float32, len(sizes))
	for i, from := range n.in(0).Shape {
		list[i] = float32(sizes[i]) / float32(from)
		if float64(list[i])*float64(from) != float64(sizes[i]) {
			n.fail(fmt.Errorf("from %v to %v there is no exact scale, which a free batch needs", n.in(0).Shape, sizes))
			return
		}
	}
	n.constant(2, "scales", tensor.Must(tensor.Of(list, len(list))))
}

// freeBody does so to the shapes in a body. A constant that is a shape and something else stays as it is.
func freeBody(f *body.Function) {
	shapes := map[string]bool{}
	for _, n := range f.Nodes {
		for i, in := range n.Inputs {
			before, seen := shapes[in]
			shapes[in] = n.OpType == "Reshape" && i == 1 && (before || !seen)
		}
	}
	for i, n := range f.Nodes {
		if n.OpType != "Constant" || !shapes[n.Outputs[0]] {
			continue
		}
		if t, ok := n.Attrs[0].Value.(*tensor.Tensor); ok && t.DType() == tensor.Int64 {
			free := slices.Clone(tensor.Data[int64](t))
			if !slices.Contains(free, 0) {
				free[0] = -1
			}
			f.Nodes[i].Attrs = []body.Attr{{Name: n.Attrs[0].Name, Value: tensor.Must(tensor.Of(free, len(free)))}}
		}
	}
}
