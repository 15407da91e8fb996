package body

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// value names an edge of the function under construction.
type value = string

// builder writes nodes one after the other. Every method returns the name of the value it computes.
type builder struct {
	fn     Function
	consts map[string]value
}

// newBuilder starts a function of n inputs, called in0, in1 and so on.
func newBuilder(n int) *builder {
	b := &builder{consts: map[string]value{}}
	for i := range n {
		b.fn.Inputs = append(b.fn.Inputs, fmt.Sprintf("in%d", i))
	}
	return b
}

// in names input i.
func (b *builder) in(i int) value { return b.fn.Inputs[i] }

// finish makes values the outputs, in order. Each is computed by a node and listed once.
func (b *builder) finish(outputs ...value) *Function {
	b.fn.Outputs = outputs
	return &b.fn
}

// many adds a node with n outputs. Nodes are numbered, and each names its outputs after itself.
func (b *builder) many(n int, op string, attrs []Attr, inputs ...value) []value {
	node := Node{Name: fmt.Sprintf("%s_%d", op, len(b.fn.Nodes)), OpType: op, Inputs: inputs, Attrs: attrs}
	for i := range n {
		out := node.Name
		if n > 1 {
			out = fmt.Sprintf("%s_%d", node.Name, i)
		}
		node.Outputs = append(node.Outputs, out)
	}
	b.fn.Nodes = append(b.fn.Nodes, node)
	return node.Outputs
}

// do adds a node with one output and no attributes.
func (b *builder) do(op string, inputs ...value) value { return b.many(1, op, nil, inputs...)[0] }

// with adds a node with one output and attributes.
func (b *builder) with(op string, attrs []Attr, inputs ...value) value {
	return b.many(1, op, attrs, inputs...)[0]
}

// constant adds a Constant node. Equal small constants are one node.
func constant[T tensor.Element](b *builder, data []T, shape ...int) value {
	const small = 64
	t := tensor.Must(tensor.Of(data, shape...))
	add := func() value { return b.with("Constant", []Attr{{"value", t}}) }
	if len(data) > small {
		return add()
	}
	key := fmt.Sprintf("%v %v", t, data)
	if _, ok := b.consts[key]; !ok {
		b.consts[key] = add()
	}
	return b.consts[key]
}

// float is a float32 constant of rank 0.
func (b *builder) float(v float64) value { return constant(b, []float32{float32(v)}) }

// int is an int64 constant of rank 0.
func (b *builder) int(v int) value { return constant(b, []int64{int64(v)}) }

// ints is an int64 constant of rank 1.
func (b *builder) ints(v ...int) value { return constant(b, int64s(v), len(v)) }

func int64s(v []int) []int64 {
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(x)
	}
	return out
}

func (b *builder) reshape(x value, shape ...int) value {
	var attrs []Attr
	if slices.Contains(shape, 0) {
		attrs = []Attr{{"allowzero", int64(1)}} // else 0 means the dimension of x
	}
	return b.with("Reshape", attrs, x, b.ints(shape...))
}

func (b *builder) transpose(x value, perm ...int) value {
	return b.with("Transpose", []Attr{{"perm", int64s(perm)}}, x)
}

func (b *builder) concat(axis int, parts ...value) value {
	return b.with("Concat", []Attr{{"axis", int64(axis)}}, parts...)
}

func (b *builder) split(x value, axis int, sizes ...int) []value {
	return b.many(len(sizes), "Split", []Attr{{"axis", int64(axis)}}, x, b.ints(sizes...))
}

func (b *builder) gather(x, indices value, axis int) value {
	return b.with("Gather", []Attr{{"axis", int64(axis)}}, x, indices)
}

func (b *builder) gatherElements(x, indices value, axis int) value {
	return b.with("GatherElements", []Attr{{"axis", int64(axis)}}, x, indices)
}

// gatherRows picks rows of every sample: x [B,R,...], indices [B,n,1] → [B,n,...].
func (b *builder) gatherRows(x, indices value) value {
	return b.with("GatherND", []Attr{{"batch_dims", int64(1)}}, x, indices)
}

// reduce applies a reduction over the axes and keeps them with size 1.
func (b *builder) reduce(op string, x value, axes ...int) value {
	return b.do(op, x, b.ints(axes...))
}

// top returns the k largest or smallest elements of axis 1, in order, equal ones by ascending index, and their indices.
func (b *builder) top(x value, k int, largest bool) (values, indices value) {
	flag := int64(0)
	if largest {
		flag = 1
	}
	out := b.many(2, "TopK", []Attr{{"axis", int64(1)}, {"largest", flag}, {"sorted", int64(1)}}, x, b.ints(k))
	return out[0], out[1]
}

// Element types as ONNX numbers them (TensorProto.DataType).
const (
	onnxFloat      = 1
	onnxInt8       = 3
	onnxInt64      = 7
	onnxFloat16    = 10
	onnxBFloat16   = 16
	onnxFloat8E4M3 = 17
)

func (b *builder) cast(x value, to int) value {
	return b.with("Cast", []Attr{{"to", int64(to)}}, x)
}

// replaceNaN is x with every NaN replaced.
func (b *builder) replaceNaN(x value, by float64) value {
	return b.do("Where", b.do("IsNaN", x), b.float(by), x)
}

// product multiplies dimensions.
func product(dims ...int) int { return graph.Type{Shape: dims}.Len() }
