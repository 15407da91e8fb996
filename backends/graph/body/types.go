package body

// Attr is an attribute of a node. Value is an int64, float32, string, []int64, []float32, []string or
// *tensor.Tensor.
type Attr struct {
	Name  string
	Value any
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
