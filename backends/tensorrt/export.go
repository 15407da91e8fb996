package tensorrt

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
)

// export is what the parser is given of a graph.
type export struct {
	model    []byte
	digest   string // SHA-256 of the model, in hexadecimal
	holds    []Hold
	stripped []string // nodes that are left out: a Round to the format that the builder is allowed to compute in
}

// exportOf writes a graph that is lowered to a format, "" for none. What does not change the computation, such as the metadata, is left out, so that equal
// computations have equal engines.
func exportOf(g *graph.Graph, f graph.Format) (*export, error) {
	e := &export{holds: holdsOf(g, f)}
	bare, stripped := withoutRounds(g, f)
	e.stripped = stripped
	var err error
	if e.model, err = onnx.Marshal(bare, onnx.WriteOptions{Form: onnx.Plugins}); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(e.model)
	e.digest = hex.EncodeToString(sum[:])
	return e, nil
}

// withoutRounds returns a graph in which the nodes that read a value rounded to a format without a scale read the value itself, and the names of the
// Round nodes that nothing reads any more. An output stays rounded. Taps, decisions, calibration and metadata are gone.
func withoutRounds(g *graph.Graph, f graph.Format) (*graph.Graph, []string) {
	c := &copier{format: f, copied: map[*graph.Value]*graph.Value{}, unrounded: map[*graph.Value]*graph.Value{}}
	returned := map[*graph.Value]bool{}
	for _, p := range g.Outputs {
		returned[p.Value] = true
	}
	out := &graph.Graph{Name: g.Name, Inputs: g.Inputs}
	var stripped []string
	for _, n := range g.Nodes {
		moved := c.copy(n)
		if c.strips(n) && !returned[n.Outputs[0]] {
			stripped = append(stripped, n.Name)
			continue
		}
		out.Nodes = append(out.Nodes, moved)
	}
	for _, p := range g.Outputs {
		out.Outputs = append(out.Outputs, graph.Port{Name: p.Name, Value: c.of(p.Value)})
	}
	return out, stripped
}

// A copier copies nodes that shall read other values.
type copier struct {
	format    graph.Format
	copied    map[*graph.Value]*graph.Value
	unrounded map[*graph.Value]*graph.Value // by what a Round gives: what it reads
}

func (c *copier) strips(n *graph.Node) bool {
	op, ok := n.Op.(graph.Round)
	return ok && op.To == c.format && !op.To.Scaled()
}

func (c *copier) of(v *graph.Value) *graph.Value {
	if same := c.copied[v]; same != nil {
		return same
	}
	return v
}

func (c *copier) copy(n *graph.Node) *graph.Node {
	moved := &graph.Node{Name: n.Name, Op: n.Op}
	for _, v := range n.Inputs {
		if bare := c.unrounded[v]; bare != nil {
			v = bare
		}
		moved.Inputs = append(moved.Inputs, c.of(v))
	}
	for _, v := range n.Outputs {
		same := &graph.Value{Name: v.Name, Type: v.Type, Producer: moved}
		c.copied[v] = same
		moved.Outputs = append(moved.Outputs, same)
	}
	if c.strips(n) {
		c.unrounded[n.Outputs[0]] = n.Inputs[0]
		if bare := c.unrounded[n.Inputs[0]]; bare != nil {
			c.unrounded[n.Outputs[0]] = bare
		}
	}
	return moved
}
