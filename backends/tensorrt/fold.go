package tensorrt

import (
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
)

// fold computes what a graph makes of constants alone by element-wise operators and roundings, such as the decay of a recurrence of its parameter. TensorRT
// computes those in front of a plugin in every run.
func fold(g *graph.Graph) *graph.Graph {
	returned := map[*graph.Value]bool{}
	for _, p := range g.Outputs {
		returned[p.Value] = true
	}
	var r graph.Rewriter
	for _, n := range g.Nodes {
		y := n.Outputs[0]
		if t := evaluate(n.Op, r.Operands(n), y.Shape); t != nil && !returned[y] {
			r.Replace(y, graph.Constant(y.Name, t))
			continue
		}
		r.Copy(n)
	}
	return r.Graph(g)
}

// unary are the functions that fold computes.
var unary = map[graph.UnaryFn]func(float64) float64{
	graph.Sigmoid:  func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	graph.Softplus: func(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) },
	graph.Tanh:     math.Tanh,
}

var binary = map[graph.BinaryFn]func(x, y float64) float64{
	graph.Add: func(x, y float64) float64 { return x + y },
	graph.Sub: func(x, y float64) float64 { return x - y },
	graph.Mul: func(x, y float64) float64 { return x * y },
}

// evaluate returns what an operator makes of float32 constants, each element rounded once; nil for other operators and operands.
func evaluate(op graph.Op, operands []*graph.Value, shape []int) *tensor.Tensor {
	var in [][]float32
	for _, v := range operands {
		if v == nil || v.Const == nil || v.Const.DType() != tensor.Float32 {
			return nil
		}
		in = append(in, tensor.Data[float32](v.Const))
	}
	out := tensor.New(tensor.Float32, shape...)
	to := tensor.Data[float32](out)
	switch op := op.(type) {
	case graph.Unary:
		f := unary[op.Fn]
		if f == nil {
			return nil
		}
		for i := range to {
			to[i] = float32(f(float64(in[0][i])))
		}
	case graph.Binary:
		f := binary[op.Fn]
		if f == nil || slices.ContainsFunc(in, func(x []float32) bool { return len(x) != 1 && len(x) != len(to) }) {
			return nil // other ways to broadcast do not come up
		}
		for i := range to {
			to[i] = float32(f(float64(in[0][i%len(in[0])]), float64(in[1][i%len(in[1])])))
		}
	case graph.Round:
		if op.To != graph.FP16 && op.To != graph.BF16 {
			return nil
		}
		return onnx.RoundConstant(op.To, operands[0].Const)
	default:
		return nil
	}
	return out
}
