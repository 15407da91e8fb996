package tensorrt

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// holdsOf lists what of a graph that is lowered to a format may not be computed in it, in the order of the nodes; nothing where the format is "" or
// TF32, which only products know.
//
// A value may be in the format if it is a map of features, that is, has several channels, and goes into one that is rounded to it: the two
// are the same map, between two steps of arithmetic. Every other node that computes floats is held: the router and its
// gates, selection, decoding, recurrences, normalised rows, masks. Of a product at a point of graph.Lower the operands are rounded anyway, so that its
// results alone are held, as the logits are of the last convolutions.
func holdsOf(g *graph.Graph, f graph.Format) []Hold {
	if f == "" || f == graph.TF32 {
		return nil
	}
	maps := narrow(g, f)
	var holds []Hold
	for _, n := range g.Nodes {
		if _, round := n.Op.(graph.Round); round || !slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return v.DType == tensor.Float32 && !maps[v] }) {
			continue
		}
		holds = append(holds, Hold{Node: n.Name, Compute: !readsRounded(n, f)})
	}
	return holds
}

// narrow returns the values that may be in the format.
func narrow(g *graph.Graph, f graph.Format) map[*graph.Value]bool {
	routed := g.Routed()
	in := map[*graph.Value]bool{}
	for _, n := range slices.Backward(g.Nodes) {
		round, is := n.Op.(graph.Round)
		if is && round.To != f || !is && !slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return in[v] }) {
			continue
		}
		for _, v := range n.Inputs {
			if v != nil && v.Const == nil && features(v) && !routed[v] {
				in[v] = true
			}
		}
		if is {
			in[n.Outputs[0]] = features(n.Outputs[0])
		}
	}
	return in
}

// features tells maps [B,C,H,W] and packed tiles [B,K,C,t,t] of several channels.
func features(v *graph.Value) bool {
	rank := len(v.Shape)
	return v.DType == tensor.Float32 && rank >= 4 && v.Shape[rank-3] > 1
}

// readsRounded tells a product whose operands the format has.
func readsRounded(n *graph.Node, f graph.Format) bool {
	switch n.Op.(type) {
	case graph.Conv, graph.Gemm, graph.MatMul:
	default:
		return false
	}
	return slices.ContainsFunc(n.Inputs, func(v *graph.Value) bool {
		if v == nil || v.Producer == nil {
			return false
		}
		op, ok := v.Producer.Op.(graph.Round)
		return ok && op.To == f
	})
}
