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
	split   []backends.Split // what would be such a plugin, but for an output
}

// exportOf writes a graph that is lowered to a format, "" for none; with several batches, for every one of them.
func exportOf(g *graph.Graph, f graph.Format, facts Facts, b Batches) (*export, error) {
	e := &export{}
	fused, fusions, split, err := fuseAll(g, f, facts)
	if err != nil {
		return nil, err
	}
	e.fusions, e.split = fusions, split
	e.holds = holdsOf(fused, f)
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
	out, parts, err := region(fold(bare(g)), f, facts)
	if err != nil {
		return nil, nil, nil, err
	}
	out, fusions, split := fuse(out, facts)
	low := narrow(out, f)
	out, fusions = join(logits(out, f, facts, low), fusions, facts, low)
	out, fusions = widen(out, fusions, facts)
	return out, append(fusions, parts...), split, nil
}

// holdsOf lists the nodes with results in float32 in a graph that is lowered to fp16 or bf16.
func holdsOf(g *graph.Graph, f graph.Format) []string {
	if f != graph.FP16 && f != graph.BF16 {
		return nil
	}
	maps := narrow(g, f)
	var names []string
	for _, n := range g.Nodes {
		if _, round := n.Op.(graph.Round); round || narrowable(n, f) && !slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return !maps[v] }) {
			continue
		}
		if slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return v.DType == tensor.Float32 }) {
			names = append(names, n.Name)
		}
	}
	return names
}
