package tensorrt

import (
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
)

// normFusion is the plugin that computes a GroupNormalization and what follows it:
//
//	x [B,C,H,W], scale [C], shift [C], residual as the result or none → f(norm(x)) + residual
//
// activation none: f(v) = v; silu: v·σ(v); reglu: a·max(b, 0) of the halves a and b of the channels. TensorRT's own takes several passes over the map for it,
// and rounds what a residual is added to.
const normFusion = "GroupNormFusion"

// normFields are the attributes of normFusion.
var normFields = []string{"num_groups", "epsilon", "activation"}

// A fusion is a plugin node in the place of several nodes.
type fusion struct {
	name  string   // of the plugin node, that of the last one that it covers
	nodes []string // in the order of the graph
}

// A fuser finds chains that a plugin computes.
type fuser struct {
	readers  map[*graph.Value][]*graph.Node
	returned map[*graph.Value]bool
	split    []backends.Split // chains with a value that is returned
}

// fuse puts plugins in the place of the chains that they compute, if the library has them.
func fuse(g *graph.Graph, f Facts) (*graph.Graph, []fusion, []backends.Split) {
	if !slices.ContainsFunc(f.Plugins, func(p Plugin) bool { return p.Name == normFusion && p.fault(normFields) == "" }) {
		return g, nil, nil
	}
	s := &fuser{readers: map[*graph.Value][]*graph.Node{}, returned: map[*graph.Value]bool{}}
	for _, n := range g.Nodes {
		for _, v := range n.Inputs {
			if v != nil && !slices.Contains(s.readers[v], n) {
				s.readers[v] = append(s.readers[v], n)
			}
		}
	}
	for _, p := range g.Outputs {
		s.returned[p.Value] = true
	}
	var fusions []fusion
	instead := map[*graph.Node]*graph.Node{} // by the last node of a chain
	gone := map[*graph.Node]bool{}
	for _, n := range g.Nodes {
		norm, ok := n.Op.(graph.GroupNormalization)
		if !ok || len(n.Inputs[0].Shape) != 4 {
			continue
		}
		chain, activation, residual := s.chain(n)
		last := chain[len(chain)-1]
		made := fusion{name: last.Name}
		for _, c := range chain {
			gone[c] = true
			made.nodes = append(made.nodes, c.Name)
		}
		fusions = append(fusions, made)
		inputs := slices.Clone(n.Inputs)
		if residual != nil {
			inputs = append(inputs, residual)
		}
		instead[last] = &graph.Node{Name: last.Name, Inputs: inputs, Outputs: last.Outputs, Op: onnx.Plugin(normFusion, []onnx.Attribute{
			{Name: "num_groups", Value: int64(norm.Groups)}, {Name: "epsilon", Value: float32(norm.Epsilon)}, {Name: "activation", Value: activation}}, last.Outputs[0].Type)}
	}
	out := *g
	out.Nodes = nil
	for _, n := range g.Nodes {
		switch {
		case instead[n] != nil:
			out.Nodes = append(out.Nodes, instead[n])
		case !gone[n]:
			out.Nodes = append(out.Nodes, n)
		}
	}
	return &out, fusions, s.split
}

// chain returns the nodes that the plugin computes from a normalisation on, in the order of the graph, the activation, and what is added, or nil.
func (s *fuser) chain(norm *graph.Node) (found []*graph.Node, activation string, residual *graph.Value) {
	y := norm.Outputs[0]
	found, activation = []*graph.Node{norm}, "none"
	if sigmoid, mul := s.silu(y); mul != nil {
		found, activation = append(found, sigmoid, mul), "silu"
	} else if split, relu, mul := s.reglu(y); mul != nil {
		found, activation = append(found, split, relu, mul), "reglu"
	}
	if s.stored(found) {
		found, activation = found[:1], "none"
	}
	if add, other := s.residual(found[len(found)-1].Outputs[0]); add != nil && !s.stored(append(slices.Clone(found), add)) {
		return append(found, add), activation, other
	}
	return found, activation, nil
}

// stored tells whether an output needs what lies between the nodes of a chain, which is noted as a split.
func (s *fuser) stored(chain []*graph.Node) bool {
	last := chain[len(chain)-1]
	for _, n := range chain[:len(chain)-1] {
		for _, v := range n.Outputs {
			if s.returned[v] {
				s.split = append(s.split, backends.Split{Node: last.Name, Step: normFusion, Value: v.Name})
				return true
			}
		}
	}
	return false
}

// residual finds v + other, if nothing else reads v and the other one is as large.
func (s *fuser) residual(v *graph.Value) (add *graph.Node, other *graph.Value) {
	if add = s.only(v, graph.Add); add == nil {
		return nil, nil
	}
	if other = add.Inputs[0]; other == v {
		other = add.Inputs[1]
	}
	if other == v || other.Const != nil || !slices.Equal(other.Shape, v.Shape) {
		return nil, nil
	}
	return add, other
}

// silu finds v·σ(v), if nothing else reads v and σ(v).
func (s *fuser) silu(v *graph.Value) (sigmoid, mul *graph.Node) {
	for _, n := range s.readers[v] {
		if u, ok := n.Op.(graph.Unary); ok && u.Fn == graph.Sigmoid {
			sigmoid = n
		}
	}
	if sigmoid == nil || len(s.readers[v]) != 2 {
		return nil, nil
	}
	gate := sigmoid.Outputs[0]
	if mul = s.only(gate, graph.Mul); mul == nil || !slices.Contains(mul.Inputs, v) {
		return nil, nil
	}
	return sigmoid, mul
}

// reglu finds a·max(b, 0) of the halves a and b of v, if nothing else reads any of them.
func (s *fuser) reglu(v *graph.Value) (split, relu, mul *graph.Node) {
	if len(s.readers[v]) != 1 {
		return nil, nil, nil
	}
	split = s.readers[v][0]
	op, ok := split.Op.(graph.Split)
	if !ok || op.Axis != 1 || len(op.Sizes) != 2 || op.Sizes[0] != op.Sizes[1] {
		return nil, nil, nil
	}
	a, b := split.Outputs[0], split.Outputs[1]
	if len(s.readers[b]) != 1 {
		return nil, nil, nil
	}
	relu = s.readers[b][0]
	if u, ok := relu.Op.(graph.Unary); !ok || u.Fn != graph.Relu {
		return nil, nil, nil
	}
	if mul = s.only(relu.Outputs[0], graph.Mul); mul == nil || s.only(a, graph.Mul) != mul {
		return nil, nil, nil
	}
	return split, relu, mul
}

// only returns the one reader of a value, if it is that operator; nil else.
func (s *fuser) only(v *graph.Value, fn graph.BinaryFn) *graph.Node {
	if len(s.readers[v]) != 1 {
		return nil
	}
	n := s.readers[v][0]
	if b, ok := n.Op.(graph.Binary); !ok || b.Fn != fn {
		return nil
	}
	return n
}

// unfuse names in the layers, in the place of a fused node, the nodes that it covers.
func unfuse(layers []Layer, fusions []fusion) {
	covers := map[string][]string{}
	for _, f := range fusions {
		covers[f.name] = f.nodes
	}
	for i := range layers {
		var names []string
		for _, name := range layers[i].Nodes {
			if nodes := covers[name]; nodes != nil {
				names = append(names, nodes...)
				continue
			}
			names = append(names, name)
		}
		layers[i].Nodes = names
	}
}
