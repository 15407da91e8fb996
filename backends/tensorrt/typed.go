package tensorrt

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
)

// typed gives every value of a graph that is lowered to fp16 or bf16 its type: the network is strongly typed, so that TensorRT computes every layer in the
// types that stand there, and nothing has to be hoped for.
//
// A Round becomes the Cast to the format. A map of features that goes into one is in the format where a node of narrowable computes it: convolution,
// normalisation and what lies between them. All else is float32, as in the graph: the router and its gates, selection, decoding, recurrences, normalised rows,
// masks, and the logits of the last convolutions. A value that both kinds of node read is there in both types. Outputs are float32, an output that is rounded
// in the graph to the format. A Round of what is in the format already stands for nothing any more, and one of a constant is stored.
func typed(g *graph.Graph, f graph.Format) (*graph.Graph, error) {
	switch f {
	case graph.FP16, graph.BF16:
	case graph.TF32:
		return withoutRounds(g), nil
	default:
		return bare(g), nil
	}
	t := &typer{format: f, maps: narrow(g, f), wide: map[*graph.Value]*graph.Value{}, low: map[*graph.Value]*graph.Value{}}
	for _, n := range g.Nodes {
		if err := t.add(n); err != nil {
			return nil, err
		}
	}
	for _, p := range g.Outputs {
		v, err := t.as(p.Value, false)
		if err != nil {
			return nil, err
		}
		t.Replace(p.Value, v)
	}
	return t.Graph(bare(g)), nil
}

// bare is a graph without what does not change what it computes, such as metadata, so that equal computations have equal engines.
func bare(g *graph.Graph) *graph.Graph {
	return &graph.Graph{Name: g.Name, Inputs: g.Inputs, Nodes: g.Nodes, Outputs: g.Outputs}
}

// withoutRounds is a graph without its roundings to TF32, which the library's products do themselves: all of them, so that the router's, which are not rounded, become
// sums.
func withoutRounds(g *graph.Graph) *graph.Graph {
	var r graph.Rewriter
	routed := g.Routed()
	for _, n := range g.Nodes {
		if op, ok := n.Op.(graph.Round); ok && op.To == graph.TF32 {
			r.Replace(n.Outputs[0], r.Value(n.Inputs[0]))
			continue
		}
		if routedProduct(n, routed) {
			summed(&r, n)
			continue
		}
		r.Copy(n)
	}
	return r.Graph(bare(g))
}

// routedProduct tells the products of the router: of rows by constant weights [outputs, inputs].
func routedProduct(n *graph.Node, routed map[*graph.Value]bool) bool {
	op, product := n.Op.(graph.Gemm)
	return product && op.TransB && routed[n.Inputs[0]] && n.Inputs[1].Const != nil
}

// summed appends x·Wᵀ + bias of rows x [R,K] as K times the mean over K of the products of elements, by the values NAME/rows, NAME/weight, NAME/terms
// and NAME/sum: no kernel of a matrix product, which might be one of TF32, computes that.
func summed(r *graph.Rewriter, n *graph.Node) {
	x, w := n.Inputs[0], n.Inputs[1]
	rows, outputs, k := x.Shape[0], w.Shape[0], w.Shape[1]
	scaled := w.Const.Clone()
	for i, v := range tensor.Data[float32](scaled) {
		tensor.Data[float32](scaled)[i] = v * float32(k)
	}
	weights := graph.Constant(n.Name+"/weight", tensor.Must(scaled.Reshaped(1, outputs, k)))
	f32 := func(shape ...int) graph.Type { return graph.Type{DType: tensor.Float32, Shape: shape} }
	y := r.Add(n.Name+"/rows", graph.Reshape{Shape: []int{rows, 1, k}}, f32(rows, 1, k), r.Value(x))
	y = r.Add(n.Name+"/terms", graph.Binary{Fn: graph.Mul}, f32(rows, outputs, k), y, weights)
	var bias *graph.Value
	if len(n.Inputs) == 3 {
		bias = n.Inputs[2]
	}
	name := n.Name
	if bias != nil {
		name += "/sum"
	}
	y = r.Add(name, graph.Reduce{Fn: graph.ReduceMean, Axes: []int{2}}, f32(rows, outputs), y)
	if bias != nil {
		y = r.Add(n.Name, graph.Binary{Fn: graph.Add}, f32(rows, outputs), y, r.Value(bias))
	}
	y.Name = n.Outputs[0].Name
	r.Replace(n.Outputs[0], y)
}

// narrow returns the maps of features that go into a Round to the format, by nodes that hand maps on.
func narrow(g *graph.Graph, f graph.Format) map[*graph.Value]bool {
	routed := g.Routed()
	in := map[*graph.Value]bool{}
	for _, n := range slices.Backward(g.Nodes) {
		if op, round := n.Op.(graph.Round); round {
			if op.To == f && features(n.Inputs[0]) && !routed[n.Inputs[0]] {
				in[n.Inputs[0]] = true
			}
			continue
		}
		if !narrowable(n, f) || !slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return in[v] }) {
			continue
		}
		if _, conv := n.Op.(graph.Conv); conv {
			continue // its operands are rounded where it reads them
		}
		for _, v := range n.Inputs {
			if v != nil && v.Const == nil && features(v) && !routed[v] {
				in[v] = true
			}
		}
	}
	return in
}

// features tells maps [B,C,H,W] and packed tiles [B,K,C,t,t] of several channels.
func features(v *graph.Value) bool {
	rank := len(v.Shape)
	return v.DType == tensor.Float32 && rank >= 4 && v.Shape[rank-3] > 1
}

// narrowable tells operators that compute and pass maps on in the format; our plugins know fp16 alone.
func narrowable(n *graph.Node, f graph.Format) bool {
	switch op := n.Op.(type) {
	case graph.Conv, graph.Unary, graph.Binary, graph.Concat, graph.Split, graph.Resize, graph.Reshape, graph.Gather, graph.Pool:
		return true
	case graph.TilePack:
		return f == graph.FP16
	case graph.TileUnpackFusion:
		return f == graph.FP16 && len(n.Inputs) == 3 // alpha is a gate
	case graph.Opaque:
		return f == graph.FP16 && op.Type == normFusion
	}
	return false
}

// A typer copies nodes, and casts between them.
type typer struct {
	graph.Rewriter
	format graph.Format
	maps   map[*graph.Value]bool
	wide   map[*graph.Value]*graph.Value // by value of the graph: it in float32, or whatever its type is
	low    map[*graph.Value]*graph.Value // and in the format
}

func (t *typer) add(n *graph.Node) error {
	if op, ok := n.Op.(graph.Round); ok && op.To == t.format {
		return t.round(n)
	}
	low := narrowable(n, t.format) && !slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return !t.maps[v] })
	to := t.wide
	if low {
		to = t.low
	}
	var operands []*graph.Value
	for i, v := range n.Inputs {
		in, err := t.as(v, low && !t.parameter(n, i) || t.eitherWay(n, i))
		if err != nil {
			return err
		}
		operands = append(operands, in)
	}
	for i, v := range t.CopyWith(n, operands).Outputs {
		to[n.Outputs[i]] = v
	}
	return nil
}

// parameter tells the operands of plugins that are float32 whatever the map is: scale and shift.
func (t *typer) parameter(n *graph.Node, i int) bool {
	op, plugin := n.Op.(graph.Opaque)
	return plugin && op.Type == normFusion && len(n.Inputs[i].Shape) == 1
}

// eitherWay tells operands that are maps a plugin takes in the format as well as in float32, if all of a node's are in the format.
func (t *typer) eitherWay(n *graph.Node, i int) bool {
	op, plugin := n.Op.(graph.Opaque)
	if !plugin || t.format != graph.FP16 {
		return false
	}
	maps := map[string]int{"HeavyPath": 1, "BoxVector": 1, logitsPlugin: len(n.Inputs) / 3}[op.Type]
	return i < maps && !slices.ContainsFunc(n.Inputs[:maps], func(v *graph.Value) bool { return t.low[v] == nil })
}

// round lets the rounded value be the one in the format.
func (t *typer) round(n *graph.Node) error {
	from, to := n.Inputs[0], n.Outputs[0]
	switch {
	case t.low[from] != nil: // in the format already, such as a Round of a Round
		t.low[to] = t.low[from]
		return nil
	case from.Const != nil:
		rounded := onnx.RoundConstant(t.format, from.Const)
		v, err := t.as(from, true)
		t.low[to], t.wide[to] = v, graph.Constant(to.Name, rounded)
		return err
	}
	in, err := t.as(from, false)
	if err != nil {
		return err
	}
	t.low[to] = t.Add(to.Name, onnx.NarrowCast(t.format, to.Type), to.Type, in)
	t.low[to].Producer.Name = n.Name
	return nil
}

// as returns a value in the format, or in float32. What is no float32 has one type.
func (t *typer) as(v *graph.Value, low bool) (*graph.Value, error) {
	if v == nil || v.DType != tensor.Float32 {
		return t.Value(v), nil
	}
	of, other := t.wide, t.low
	if low {
		of, other = t.low, t.wide
	}
	if of[v] != nil {
		return of[v], nil
	}
	from := other[v]
	switch {
	case v.Const != nil && low:
		op, err := onnx.NarrowConstant(t.format, v.Const)
		if err != nil {
			return nil, err
		}
		of[v] = t.Add(v.Name+".narrow", op, op.Outputs[0])
		return of[v], nil
	case v.Producer == nil && !low:
		return v, nil
	case v.Producer == nil:
		from = v
	}
	name := v.Name + ".wide"
	var op graph.Op = graph.Cast{To: tensor.Float32}
	if low {
		name, op = v.Name+".narrow", onnx.NarrowCast(t.format, v.Type)
	}
	of[v] = t.Add(name, op, v.Type, from)
	return of[v], nil
}
