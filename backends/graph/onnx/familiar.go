package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// familiar holds standard operators that are another one of package graph once shapes are static, or a constant. They are read from models
// of elsewhere alone. A function returns an operator of the node's first inputs, or the constant that the node is.
var familiar = map[string]func(n *nodeReader) (op graph.Op, constant *tensor.Tensor){
	"Flatten":         readFlatten,
	"Squeeze":         readSqueeze,
	"Unsqueeze":       readUnsqueeze,
	"Dropout":         readDropout,
	"Sum":             readSum,
	"Shape":           readShape,
	"ConstantOfShape": readConstantOfShape,
}

// mostMade bounds the elements of all constants that a file makes from a shape.
const mostMade = 1 << 26

// addFamiliar adds the node of such an operator.
func (r *reader) addFamiliar(n *rawNode, read func(*nodeReader) (graph.Op, *tensor.Tensor)) error {
	inputs, err := r.inputs(n)
	if err != nil {
		return err
	}
	reader := newNodeReader(n, inputs)
	var constant *tensor.Tensor
	op, operands, err := reader.read(entry{read: func(mapping, string) graph.Op {
		op, c := read(reader)
		constant = c
		return op
	}})
	switch {
	case err != nil:
		return err
	case len(n.outputs) == 0:
		return errors.New("it has no outputs")
	case constant == nil: // a second output, the mask of a Dropout, is there for nobody
		return r.add(&graph.Node{Name: n.name, Op: op, Inputs: operands}, n.outputs[:1])
	}
	if r.made += constant.Len(); r.made > mostMade {
		return fmt.Errorf("constants that the file does not hold have more than %d elements", mostMade)
	}
	return r.define(graph.Constant(n.outputs[0], constant))
}

func readFlatten(n *nodeReader) (graph.Op, *tensor.Tensor) {
	axis, x := 1, n.in(0).Shape
	n.int("axis", &axis, 1)
	if axis < 0 {
		axis += len(x)
	}
	if axis < 0 || axis > len(x) {
		n.fail(fmt.Errorf("axis %d is outside %v", axis, x))
		return nil, nil
	}
	shape := []int{1, 1}
	for i, d := range x {
		if i < axis {
			shape[0] *= d
		} else {
			shape[1] *= d
		}
	}
	return graph.Reshape{Shape: shape}, nil
}

func readSqueeze(n *nodeReader) (graph.Op, *tensor.Tensor) {
	var axes []int
	x := n.in(0).Shape
	if len(n.inputs) > 1 && n.inputs[1] != nil {
		n.intsInput(1, "axes", &axes)
		axes = nonNegative(n, axes)
	} else {
		for i, d := range x {
			if d == 1 {
				axes = append(axes, i)
			}
		}
	}
	shape := []int{}
	for i, d := range x {
		switch {
		case !slices.Contains(axes, i):
			shape = append(shape, d)
		case d != 1:
			n.fail(fmt.Errorf("axis %d of %v has more than one element", i, x))
		}
	}
	return graph.Reshape{Shape: shape}, nil
}

func readUnsqueeze(n *nodeReader) (graph.Op, *tensor.Tensor) {
	var axes []int
	n.intsInput(1, "axes", &axes)
	x := n.in(0).Shape
	rank := len(x) + len(axes)
	for i, a := range axes {
		if a < 0 {
			axes[i] += rank
		}
	}
	shape := []int{}
	for i := range rank {
		if slices.Contains(axes, i) {
			shape = append(shape, 1)
		} else if len(x) > 0 {
			shape, x = append(shape, x[0]), x[1:]
		}
	}
	if len(shape) != rank || len(x) > 0 {
		n.fail(fmt.Errorf("axes %v do not fit %v", axes, n.in(0)))
	}
	return graph.Reshape{Shape: shape}, nil
}

// readDropout reads it as at inference, when it does nothing.
func readDropout(n *nodeReader) (graph.Op, *tensor.Tensor) {
	n.ignored("seed")
	n.constant(1, "ratio")
	if t := n.constant(2, "training_mode"); t != nil && (t.DType() != tensor.Bool || t.Len() != 1 || tensor.Data[bool](t)[0]) {
		n.fail(errors.New("it is in training mode"))
	}
	return graph.Unary{Fn: graph.Identity}, nil
}

func readSum(n *nodeReader) (graph.Op, *tensor.Tensor) {
	if len(n.inputs) != 2 {
		n.fail(fmt.Errorf("it adds %d values; only two are supported", len(n.inputs)))
	}
	return graph.Binary{Fn: graph.Add}, nil
}

func readShape(n *nodeReader) (graph.Op, *tensor.Tensor) {
	x, start, end := n.in(0).Shape, 0, len(n.in(0).Shape)
	n.int("start", &start, 0)
	n.int("end", &end, len(x))
	within := func(i int) int {
		if i < 0 {
			i += len(x)
		}
		return min(max(i, 0), len(x))
	}
	start, end = within(start), within(end)
	list := int64s(x[start:max(start, end)])
	return nil, tensor.Must(tensor.Of(list, len(list)))
}

func readConstantOfShape(n *nodeReader) (graph.Op, *tensor.Tensor) {
	var dims []int
	n.intsInput(0, "shape", &dims)
	value := tensor.Scalar(float32(0))
	if a := n.attribute("value", kindTensor, true); a != nil {
		raw, err := decodeTensor(a.t)
		if err == nil {
			value, err = raw.tensor(nil)
		}
		if err != nil {
			n.fail(err)
		}
	}
	s, err := shape(int64s(dims))
	if elements, _ := tensor.Elements(s); elements > mostMade {
		err = fmt.Errorf("shape %v has more than %d elements", dims, mostMade)
	}
	if err != nil || n.err != nil || value.Len() != 1 {
		n.fail(errors.Join(err, errors.New("it has no value of one element")))
		return nil, nil
	}
	return nil, repeated(value, s)
}

// repeated returns a tensor of a shape, each element of which is that of t.
func repeated(t *tensor.Tensor, shape []int) *tensor.Tensor {
	out := tensor.New(t.DType(), shape...)
	switch t.DType() {
	case tensor.Float32:
		repeat[float32](out, t)
	case tensor.Float64:
		repeat[float64](out, t)
	case tensor.Int32:
		repeat[int32](out, t)
	case tensor.Int64:
		repeat[int64](out, t)
	default:
		repeat[bool](out, t)
	}
	return out
}

func repeat[T tensor.Element](out, of *tensor.Tensor) {
	data := tensor.Data[T](out)
	for i := range data {
		data[i] = tensor.Data[T](of)[0]
	}
}
