//go:build cgo

package ort

import (
	"cmp"
	"fmt"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
)

// precisions are those of sessions: one natively, the others in float32, with casts or pairs of QuantizeLinear and DequantizeLinear in the
// graph (graph.Lower). TensorRT may leave out casts that follow each other, so that its provider has the one without.
func (b *Backend) precisions() []backends.Precision {
	if b.provider == TensorRT {
		return []backends.Precision{backends.FP32}
	}
	return []backends.Precision{backends.FP32, backends.TF32, backends.FP16, backends.BF16, backends.INT8, backends.FP8}
}

// plan describes a session of g: a step for every node. Standard operators have kernels; the operators of our domain, and
// GroupNormalization, whose own kernels sum too naively, run through their bodies. elsewhere are those that a session on a device does not run, whole
// or in part, by its provider.
func (s settings) plan(g *graph.Graph, elsewhere fallbacks) backends.Plan {
	p := backends.Plan{Library: fmt.Sprintf("ONNX Runtime, provider %s%s", s.provider, elsewhere.text())}
	for _, n := range g.Nodes {
		step := backends.Step{Name: n.Name, Op: n.Op.OpType(), Nodes: []string{n.Name}, Inputs: names(n.Inputs), Outputs: names(n.Outputs), Level: backends.Native,
			Precision: cmp.Or(s.precision, backends.FP32)}
		_, norm := n.Op.(graph.GroupNormalization)
		switch {
		case elsewhere.nodes[n.Name] != "":
			step.Level, step.Reason = backends.Fallback, elsewhere.nodes[n.Name]
		case s.precision.Format() != "":
			step.Level, step.Reason = backends.Emulated, backends.PrecisionEmulated
		case norm || n.Op.OpDomain() == graph.Domain:
			step.Level, step.Reason = backends.Emulated, backends.FunctionBody
		}
		p.Steps = append(p.Steps, step)
	}
	return p
}

func names(values []*graph.Value) []string {
	var list []string
	for _, v := range values {
		if v != nil {
			list = append(list, v.Name)
		}
	}
	return list
}
