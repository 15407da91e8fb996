package body

// Attr is an attribute of a node. Value is an int64, float32, string, []int64, []float32, []string,
// *tensor.Tensor or ZeroPoint.
type Attr struct {
	Name  string
	Value any
}

// ZeroPoint is a tensor of zeros of one of ONNX's element types of 8 bits, which package tensor does not have.
type ZeroPoint struct {
	ElemType int // as TensorProto.DataType numbers it
	Shape    []int
}

// Node is one application of a standard ONNX operator. An empty name in Inputs is an absent optional input, one in Outputs
// an output that nobody reads.
type Node struct {
	Name, OpType    string
	Inputs, Outputs []string
	Attrs           []Attr
}

// Function is the body of one operator: Nodes, in topological order, compute Outputs from Inputs. Inputs and Outputs stand
// for those of the operator, in order; Inputs covers absent optional inputs too (nothing reads them).
type Function struct {
	Inputs, Outputs []string
	Nodes           []Node
}
