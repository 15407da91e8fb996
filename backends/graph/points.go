package graph

import "slices"

// A Point is an operand that Lower rounds: a place at which a backend of low precision keeps a value, or reads it, in its format.
// Everything between two points is computed in float32.
type Point struct {
	Operator string
	Operands []int
	Formats  []Format
	Where    string // which nodes of the operator, for people; "" for all
	Reason   string

	applies func(n *Node) bool // nil for all
}

// at reports whether the point is at operand i of a node.
func (p *Point) at(n *Node, i int, f Format) bool {
	return p.Operator == n.Op.OpType() && slices.Contains(p.Operands, i) && slices.Contains(p.Formats, f) && (p.applies == nil || p.applies(n))
}

// Kept names operators whose operands are not rounded, wherever they come from.
type Kept struct {
	Operators []string
	Reason    string
}

var (
	stored   = []Format{FP16, BF16}
	products = slices.Concat(Formats, ScaledFormats)
)

// Points lists every operand that is rounded. Products of the router are left out: see RouterReason.
var Points = []Point{
	{"Conv", []int{0, 1}, products, "more than one input channel in a group",
		"operands of a matrix product: tensor cores read them in the format, multiply exactly and add in float32", notDepthwise},
	{"Gemm", []int{0, 1}, products, "", "operands of a matrix product", nil},
	{"MatMul", []int{0, 1}, products, "", "operands of a matrix product", nil},
	{"Conv", []int{0, 1}, stored, "one input channel in a group",
		"no matrix product, so nothing that TF32 would change; the map lies in memory in the format, and the weights beside it", depthwise},
	{"GroupNormalization", []int{0}, stored, "",
		"the statistics need the whole map before its first element is normalised, so it passes through memory; they are those of the values in memory", nil},
	{"TilePack", []int{0}, stored, manyChannels, "a map in memory", channels},
	{"TileUnpackFusion", []int{0, 1}, stored, manyChannels, "a map and tiles in memory", channels},
	{"Gather", []int{0}, stored, manyChannels, "a map in memory, of which the nearest cells are read", channels},
	{"RoiMeanPool", []int{0}, stored, "", "a map in memory", nil},
}

const manyChannels = "maps of more than one channel"

// Keeps lists the operators without a point. An operator is here or in Points.
var Keeps = []Kept{
	{[]string{"TileAggregate", "GreedySelect", "SplitSelect", "TileOrder"},
		"routing: a choice between near equals must not depend on the format"},
	{[]string{"SelectDetections", "DecodeBoxes"}, "boxes in pixels and the order of scores: their logits stay the float32 sums of the last convolution"},
	{[]string{"BoxMask", "Resize"}, "interpolated gates, proxies and masks: what the model returns, or what steers it"},
	{[]string{"TileSSMScan"}, "a recurrence adds up its roundings over all tiles"},
	{[]string{"LayerNormalization", "ReduceMean", "ReduceL2", "Softmax", "GlobalAveragePool", "AveragePool"}, "means, variances and norms are sums; rows are normalised where they were computed"},
	{[]string{"Add", "Sub", "Mul", "Div", "Max", "Min", "Sigmoid", "Relu", "Tanh", "Softplus", "Floor", "IsNaN", "Clip", "Where", "Cast", "Exp", "Log", "Sqrt", "Erf", "Neg", "Abs",
		"Pow", "BatchNormalization"},
		"element by element: the value is in a register, and is rounded where it is stored"},
	{[]string{"Identity", "Reshape", "Concat", "Split", "Transpose", "MaxPool"}, "no arithmetic: the same values under another name"},
	{[]string{"ConvTranspose", "LSTM", "TopK"}, "what Apex-X does not have; other networks are compared in fp32"},
	{[]string{"Round"}, "a point itself"},
}

// RouterReason says why no operand of a product is rounded that is computed from the statistics of TileAggregate: it is the router.
const RouterReason = "products of what TileAggregate computes, which are the router's, are float32 with their weights: utilities are compared with each other"

func depthwise(n *Node) bool    { return n.Inputs[1].Shape[1] == 1 }
func notDepthwise(n *Node) bool { return !depthwise(n) }

// channels tells maps of features from gates, proxies and masks, which have one channel and cost nothing in float32.
func channels(n *Node) bool {
	x := n.Inputs[0]
	return len(x.Shape) == 4 && x.Shape[1] > 1 && x.Const == nil
}
