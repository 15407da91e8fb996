package tensorrt

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
)

// export is what the parser is given of a graph.
type export struct {
	model   []byte
	digest  string           // SHA-256 of the model, in hexadecimal
	holds   []string         // nodes whose results are float32 though the precision is a lower one
	fusions []fusion         // plugins in the place of several nodes
	split   []backends.Split // what would be such a plugin, but for an output, and what one does not return
}

// exportOf writes a graph that is lowered to a format, "" for none; with several batches, for every one of them.
func exportOf(g *graph.Graph, f graph.Format, facts Facts, b Batches) (*export, error) {
	e := &export{}
	fused, fusions, split, err := fuseAll(g, f, facts)
	if err != nil {
		return nil, err
	}
	e.fusions, e.split = fusions, split
	e.holds = allHolds(g, fused, f, fusions)
	types, err := typed(fused, f)
	if err != nil {
		return nil, err
	}
	form := onnx.WriteOptions{Form: onnx.Plugins}
	if b != (Batches{}) {
		form.Batch = batchName
		if types, err = freeBatch(types); err != nil {
			return nil, err
		}
	}
	if e.model, err = onnx.Marshal(types, form); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(e.model)
	e.digest = hex.EncodeToString(sum[:])
	return e, nil
}

// fuseAll puts plugins in the place of all that they compute in one: regions of the model, normalisations, the last convolutions, and those together that
// are independent.
func fuseAll(g *graph.Graph, f graph.Format, facts Facts) (*graph.Graph, []fusion, []backends.Split, error) {
	out, parts, twins, err := region(fold(bare(g)), f, facts)
	if err != nil {
		return nil, nil, nil, err
	}
	out, fusions, split := fuse(out, facts)
	low := narrow(out, f)
	out, fusions = join(logits(out, f, facts, low), fusions, facts, low)
	out, fusions = widen(out, fusions, facts)
	return out, append(fusions, parts...), append(split, twins...), nil
}

// allHolds lists the nodes that are held of a graph and of what it became: of a plugin that is held every node that it covers and that is held by itself.
func allHolds(g, fused *graph.Graph, f graph.Format, fusions []fusion) []string {
	alone := holdsOf(g, f)
	var names []string
	for _, hold := range holdsOf(fused, f) {
		at := slices.IndexFunc(fusions, func(made fusion) bool { return made.name == hold })
		if at < 0 {
			names = append(names, hold)
			continue
		}
		for _, covered := range fusions[at].nodes {
			if slices.Contains(alone, covered) {
				names = append(names, covered)
			}
		}
	}
	return names
}

// holdsOf lists the nodes with results in float32 in a graph that is lowered to a lower precision. In fp32 and tf32 all are, and of tf32 it lists the router's products,
// which are to be none of TF32.
func holdsOf(g *graph.Graph, f graph.Format) []string {
	held := func(*graph.Node) bool { return false }
	switch {
	case f == graph.TF32:
		routed := g.Routed()
		held = func(n *graph.Node) bool { return routedProduct(n, routed) }
	case f == graph.FP16 || f == graph.BF16:
		maps := narrow(g, f)
		held = func(n *graph.Node) bool {
			return !narrowable(n, f) || slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return !maps[v] })
		}
	case f.Scaled():
		quantised := quantised(g)
		held = func(n *graph.Node) bool {
			return !slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return quantised[v] })
		}
	}
	var names []string
	for _, n := range g.Nodes {
		if _, round := n.Op.(graph.Round); round || !held(n) {
			continue
		}
		if slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return v.DType == tensor.Float32 }) {
			names = append(names, n.Name)
		}
	}
	return names
}

// quantised returns the values that become integers, or may: those that a Round reads, also by way of nodes that hand elements on, before which a builder may
// quantise as well.
func quantised(g *graph.Graph) map[*graph.Value]bool {
	in := map[*graph.Value]bool{}
	for _, n := range slices.Backward(g.Nodes) {
		switch n.Op.(type) {
		case graph.Round:
			in[n.Inputs[0]] = true
			continue
		case graph.Unary, graph.Binary, graph.Concat, graph.Split, graph.Resize, graph.Reshape, graph.Gather, graph.Pool:
		default:
			continue
		}
		if slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return in[v] }) {
			for _, v := range n.Inputs {
				in[v] = true
			}
		}
	}
	return in
}
