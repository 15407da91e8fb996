package tensorrt

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
)

// firstsField is the attribute of normFusion that says from which channel of its operand on each map is.
const firstsField = "first_channels"

// wholeCells is what numbers of channels, and of pixels of planes, have to be multiples of for firstsField (kCell in kernels/tensorrt).
const wholeCells = 8

// widen makes one convolution of those that read one map and that a normalisation reads, rounded or not: the first ones of all towers on a level. The
// normalisation takes of the result the channels that are its own, so nothing has to cut it.
func widen(g *graph.Graph, fusions []fusion, f Facts) (*graph.Graph, []fusion) {
	var written []onnx.Attribute
	for _, field := range append(slices.Clone(normFields), mapsField, firstsField) {
		written = append(written, onnx.Attribute{Name: field})
	}
	if !f.has(normFusion, written) {
		return g, fusions
	}
	w := newWidener(g)
	groups := map[*graph.Node][]*graph.Node{} // by the first of them
	for _, n := range g.Nodes {
		if !w.fits(n) {
			continue
		}
		at := slices.IndexFunc(w.firsts, func(first *graph.Node) bool {
			return alikeConvs(first, n) && (w.rounds[first.Outputs[0]] == nil) == (w.rounds[n.Outputs[0]] == nil)
		})
		if at < 0 {
			w.firsts = append(w.firsts, n)
			groups[n] = []*graph.Node{n}
			continue
		}
		groups[w.firsts[at]] = append(groups[w.firsts[at]], n)
	}
	instead := map[*graph.Node][]*graph.Node{} // none for those behind the first
	for _, first := range w.firsts {
		if list := groups[first]; len(list) > 1 {
			for _, n := range list {
				instead[n] = nil
				if round := w.rounds[n.Outputs[0]]; round != nil {
					instead[round] = nil
				}
			}
			instead[first] = w.wide(list)
			made := fusion{name: first.Name}
			for _, n := range list {
				made.nodes = append(made.nodes, n.Name)
			}
			fusions = append(fusions, made)
		}
	}
	out := *g
	out.Nodes = nil
	for _, n := range g.Nodes {
		if others, widened := instead[n]; widened {
			out.Nodes = append(out.Nodes, others...)
			continue
		}
		out.Nodes = append(out.Nodes, w.reading(n))
	}
	return &out, fusions
}

// A part is some channels of a map.
type part struct {
	of    *graph.Value
	first int
}

// A widener knows who reads what, and where the channels of a value are now.
type widener struct {
	reads  map[*graph.Value]int // how often a value is read or returned
	rounds map[*graph.Value]*graph.Node
	norms  map[*graph.Value]bool
	firsts []*graph.Node
	parts  map[*graph.Value]part
}

func newWidener(g *graph.Graph) *widener {
	w := &widener{reads: map[*graph.Value]int{}, rounds: map[*graph.Value]*graph.Node{}, norms: map[*graph.Value]bool{}, parts: map[*graph.Value]part{}}
	for _, n := range g.Nodes {
		if _, round := n.Op.(graph.Round); round {
			w.rounds[n.Inputs[0]] = n
		}
		for _, v := range n.Inputs {
			w.reads[v]++
		}
		if op, ok := n.Op.(graph.Opaque); !ok || op.Type != normFusion {
			continue
		}
		if maps := n.Inputs[:mapsOf(n)]; !slices.ContainsFunc(maps, func(v *graph.Value) bool { return !isWhole(v) }) {
			for _, v := range maps {
				w.norms[v] = true
			}
		}
	}
	for _, p := range g.Outputs {
		w.reads[p.Value]++
	}
	return w
}

// mapsOf counts the maps of a normalisation: behind them come as many vectors.
func mapsOf(n *graph.Node) int {
	vectors := 0
	for _, v := range n.Inputs {
		if len(v.Shape) == 1 {
			vectors++
		}
	}
	return vectors / 2
}

// isWhole tells maps that are whole cells in NHWC and in planes: a normalisation of one that is not takes all of its maps apart.
func isWhole(v *graph.Value) bool {
	return v.Shape[1]%wholeCells == 0 && v.Shape[2]*v.Shape[3]%wholeCells == 0
}

// fits tells convolutions that such a normalisation alone reads.
func (w *widener) fits(n *graph.Node) bool {
	op, conv := n.Op.(graph.Conv)
	if !conv || op.Group != 1 {
		return false
	}
	y := n.Outputs[0]
	z := w.rounded(y)
	return w.norms[z] && w.reads[y] == 1 && w.reads[z] == 1 &&
		!slices.ContainsFunc(n.Inputs[1:], func(v *graph.Value) bool { return v == nil || v.Const == nil })
}

// rounded is what a normalisation reads of a value.
func (w *widener) rounded(v *graph.Value) *graph.Value {
	if round := w.rounds[v]; round != nil {
		return round.Outputs[0]
	}
	return v
}

// alikeConvs tells whether two convolutions differ in weights, biases and numbers of outputs alone.
func alikeConvs(a, b *graph.Node) bool {
	return a.Inputs[0] == b.Inputs[0] && len(a.Inputs) == len(b.Inputs) && a.Op == b.Op && slices.Equal(a.Inputs[1].Shape[1:], b.Inputs[1].Shape[1:])
}

// wide is one convolution with the outputs of several, one behind the other, and its rounding.
func (w *widener) wide(list []*graph.Node) []*graph.Node {
	first := list[0]
	n := &graph.Node{Name: first.Name, Op: first.Op, Inputs: []*graph.Value{first.Inputs[0]}}
	shape := slices.Clone(first.Outputs[0].Shape)
	shape[1] = 0
	for _, m := range list {
		shape[1] += m.Outputs[0].Shape[1]
	}
	y := &graph.Value{Name: first.Name + ".wide", Type: graph.Type{DType: tensor.Float32, Shape: shape}, Producer: n}
	n.Outputs = []*graph.Value{y}
	nodes := []*graph.Node{n}
	if round := w.rounds[first.Outputs[0]]; round != nil {
		z := &graph.Value{Name: y.Name + ".rounded", Type: y.Type}
		z.Producer = &graph.Node{Name: round.Name, Op: round.Op, Inputs: []*graph.Value{y}, Outputs: []*graph.Value{z}}
		nodes, y = append(nodes, z.Producer), z
	}
	before := 0
	for _, m := range list {
		w.parts[w.rounded(m.Outputs[0])] = part{y, before}
		before += m.Outputs[0].Shape[1]
	}
	for operand := 1; operand < len(first.Inputs); operand++ {
		var all []float32
		for _, m := range list {
			all = append(all, tensor.Data[float32](m.Inputs[operand].Const)...)
		}
		own := slices.Clone(first.Inputs[operand].Shape)
		own[0] = shape[1]
		t := tensor.Must(tensor.Of(all, own...))
		n.Inputs = append(n.Inputs, graph.Constant(fmt.Sprintf("%s.wide.%d", first.Name, operand), t))
	}
	return nodes
}

// reading is a node with the wide maps in the place of what they have the channels of.
func (w *widener) reading(n *graph.Node) *graph.Node {
	if !slices.ContainsFunc(n.Inputs, func(v *graph.Value) bool { return w.parts[v].of != nil }) {
		return n
	}
	moved := &graph.Node{Name: n.Name, Inputs: slices.Clone(n.Inputs), Outputs: n.Outputs}
	firsts := make([]int64, mapsOf(n))
	for i := range firsts {
		if p := w.parts[n.Inputs[i]]; p.of != nil {
			moved.Inputs[i], firsts[i] = p.of, int64(p.first)
		}
	}
	op := n.Op.(graph.Opaque)
	of := onnx.Plugin(normFusion, []onnx.Attribute{{Name: firstsField, Value: firsts}}, op.Outputs...)
	op.Attributes = append(slices.Clone(op.Attributes), of.Attributes[0])
	moved.Op = op
	return moved
}
