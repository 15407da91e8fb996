package tensorrt

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
)

// logitsPlugin is the plugin of 1×1 convolutions with results in float32, of operands in the format: TensorRT has kernels for one type alone, and would make
// float32 maps of the operands first.
//
//	x [B,C,H,W], weight [O,C,1,1], bias [O] → y [B,O,H,W]
const logitsPlugin = "Logits"

// logits puts the plugin in the place of such convolutions, which are those with results that are not in low, the maps in fp16.
func logits(g *graph.Graph, f graph.Format, facts Facts, low map[*graph.Value]bool) *graph.Graph {
	if f != graph.FP16 || !facts.has(logitsPlugin, nil) {
		return g
	}
	out := *g
	out.Nodes = nil
	for _, n := range g.Nodes {
		if !low[n.Outputs[0]] && isPointwise(n) {
			n = &graph.Node{Name: n.Name, Inputs: n.Inputs, Outputs: n.Outputs, Op: onnx.Plugin(logitsPlugin, nil, n.Outputs[0].Type)}
		}
		out.Nodes = append(out.Nodes, n)
	}
	return &out
}

// isPointwise tells 1×1 convolutions with constant weights and bias.
func isPointwise(n *graph.Node) bool {
	op, conv := n.Op.(graph.Conv)
	if !conv || op.Group != 1 || op.Strides != [2]int{1, 1} || op.Pads != [4]int{} || len(n.Inputs) != 3 || slices.Contains(n.Inputs, nil) {
		return false
	}
	weight, bias := n.Inputs[1], n.Inputs[2]
	return weight.Const != nil && bias.Const != nil && weight.Shape[2] == 1 && weight.Shape[3] == 1
}
