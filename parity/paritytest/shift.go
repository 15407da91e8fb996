package paritytest

import (
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// UnshiftedScans returns a graph whose forward scans of tiles are what TensorRT 10.6 makes of their body (graph/body) where that shifts a sequence n tokens
// with a Slice, and a Pad or Concat: it leaves the elements in their places and zeroes the first n. Doubling gives Π(1+decayⁿ)·v_k then, the product over
// n = 1, 2, 4 … up to k and v_k the state of a token alone: no token learns of another. The other direction pads at the end, and is computed as it should be.
func UnshiftedScans(g *graph.Graph) *graph.Graph {
	var r graph.Rewriter
	for _, n := range g.Nodes {
		if op, scan := n.Op.(graph.TileSSMScan); scan && !op.Backward {
			unshifted(&r, n)
		} else {
			r.Copy(n)
		}
	}
	return r.Graph(g)
}

// unshifted appends a forward scan. Its final state, which the model does not read, stays that of the scan.
func unshifted(r *graph.Rewriter, n *graph.Node) {
	in := r.Operands(n)
	t, decay := in[0].Type, in[1]
	batch, tokens, channels := t.Shape[0], t.Shape[1], t.Shape[2]
	alone, perToken := t, t
	alone.Shape, perToken.Shape = []int{batch * tokens, 1, channels}, []int{1, tokens, channels}

	name := n.Name + ".unshifted"
	operands := append([]*graph.Value{r.Add(name+".tokens", graph.Reshape{Shape: alone.Shape}, alone, in[0])}, in[1:]...)
	each := &graph.Node{Name: name + ".each", Op: n.Op, Inputs: operands}
	for i, shape := range [][]int{alone.Shape, {batch * tokens, channels}} {
		each.Outputs = append(each.Outputs, &graph.Value{Name: fmt.Sprintf("%s.each.%d", name, i), Type: graph.Type{DType: t.DType, Shape: shape}, Producer: each})
	}
	r.Append(each)
	y := r.Add(name+".sequence", graph.Reshape{Shape: t.Shape}, t, each.Outputs[0])

	mul, one := graph.Binary{Fn: graph.Mul}, graph.Constant(name+".one", tensor.Scalar(float32(1)))
	for shift := 1; shift < tokens; shift *= 2 {
		late := tensor.New(tensor.Float32, 1, tokens, 1) // 1 where the shift leaves something
		for k := shift; k < tokens; k++ {
			tensor.Data[float32](late)[k] = 1
		}
		step := fmt.Sprintf("%s.%d", name, shift)
		kept := r.Add(step+".kept", mul, perToken, decay, graph.Constant(step+".late", late))
		factor := r.Add(step+".factor", graph.Binary{Fn: graph.Add}, perToken, one, kept)
		y = r.Add(step, mul, t, y, factor)
		decay = r.Add(step+".decay", mul, decay.Type, decay, decay)
	}
	r.Replace(n.Outputs[0], y)
	r.Copy(n)
}
