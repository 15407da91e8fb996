package measure

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/perf"
)

// selectNode is where Network ends; it and boxesNode, which decodes what was kept, are the scope DecodeNMS.
const (
	selectNode = "detections.select"
	boxesNode  = "detections"
)

// operators names the node of each operator's scope, the first of the list that the model has. Models have another node, or
// none, by their configuration: a forward scan, no tiles under a budget of 0, no selection under dense routing.
var operators = map[perf.Scope][]string{
	perf.Aggregate:    {"router.x"},
	perf.GreedySelect: {"ff.select_l0"},
	perf.TilePack:     {"ff.l0_path.pack"},
	perf.SSMScan:      {"ff.l0_path.scan_bidirectional.forward_scan", "ff.l0_path.scan_forward"},
	perf.FusionGate:   {"ff.l0_path.fusion_gate"},
	perf.TileUnpack:   {"ff.l0_path.unpack"},
	perf.RoiMeanPool:  {"track.pooled"},
	perf.BoxMask:      {"masks"},
}

// gateInputs are where the scope of the fusion gate begins, which is more than one node.
var gateInputs = []string{"ff.boundary.resize", "ff.uncertainty.resize"}

// networkOutputs are what Network computes beside the inputs of suppression, by node.
var networkOutputs = []string{"seg.prototypes", "semantic_logits"}

// Cut returns the part of a complete model that a scope is, with the names that its values have there; of Complete and of perf.AnyModel it is a
// copy of the model. It is an error if the model has no such part.
func Cut(g *graph.Graph, scope perf.Scope) (*graph.Graph, error) {
	if scope == perf.Complete || scope == perf.AnyModel {
		whole := *g
		return &whole, nil
	}
	b, err := borderOf(g, scope)
	if err != nil {
		return nil, err
	}
	return g.Cut(b.inputs, b.outputs)
}

// border is where a scope is cut out of the complete model.
type border struct{ inputs, outputs []*graph.Value }

// borderOf finds the border of a scope other than Complete.
func borderOf(g *graph.Graph, scope perf.Scope) (b border, err error) {
	nodes := map[string]*graph.Node{}
	for _, n := range g.Nodes {
		nodes[n.Name] = n
	}
	switch scope {
	case perf.Network:
		return networkBorder(g, nodes)
	case perf.DecodeNMS:
		return detectionBorder(g, nodes)
	}
	for _, name := range operators[scope] {
		n := nodes[name]
		if n == nil {
			continue
		}
		b.outputs = n.Outputs
		if scope != perf.FusionGate {
			b.inputs = changing(g, n.Inputs)
			return b, nil
		}
		for _, name := range gateInputs {
			if nodes[name] == nil {
				return b, fmt.Errorf("the model has no node %q", name)
			}
			b.inputs = append(b.inputs, nodes[name].Outputs[0])
		}
		return b, nil
	}
	return b, fmt.Errorf("this configuration of the model has no %s", scope)
}

func networkBorder(g *graph.Graph, nodes map[string]*graph.Node) (b border, err error) {
	b.inputs = g.Inputs
	if nodes[selectNode] == nil {
		return b, fmt.Errorf("the model has no node %q, at which its network ends", selectNode)
	}
	b.outputs = append(b.outputs, nodes[selectNode].Inputs...)
	for _, name := range networkOutputs {
		if nodes[name] == nil {
			return b, fmt.Errorf("the model has no node %q", name)
		}
		b.outputs = append(b.outputs, nodes[name].Outputs[0])
	}
	for _, name := range []string{"utilities", "split_utilities"} {
		v, ok := g.Output(name)
		if !ok {
			return b, fmt.Errorf("the model has no output %q", name)
		}
		b.outputs = append(b.outputs, v)
	}
	return b, nil
}

// detectionBorder goes from the predictions to the boxes, scores, classes and counts.
func detectionBorder(g *graph.Graph, nodes map[string]*graph.Node) (b border, err error) {
	keep, decode := nodes[selectNode], nodes[boxesNode]
	if keep == nil || decode == nil {
		return b, fmt.Errorf("the model has no nodes %q and %q", selectNode, boxesNode)
	}
	count := keep.Outputs[1]
	return border{changing(g, keep.Inputs), append(slices.Clone(decode.Outputs), count)}, nil
}

// changing returns the operands that depend on an input of the graph, each once; parameters and what is computed from them
// alone stay inside the cut.
func changing(g *graph.Graph, operands []*graph.Value) []*graph.Value {
	depends := map[*graph.Value]bool{}
	for _, v := range g.Inputs {
		depends[v] = true
	}
	for _, n := range g.Nodes {
		for _, v := range n.Inputs {
			if v != nil && depends[v] {
				for _, out := range n.Outputs {
					depends[out] = true
				}
				break
			}
		}
	}
	var list []*graph.Value
	for _, v := range operands {
		if v != nil && depends[v] {
			depends[v] = false
			list = append(list, v)
		}
	}
	return list
}
