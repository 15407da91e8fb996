package tensorrt

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/lower/regions"
	"github.com/apex-x/apexx/backends/tensor"
)

// A regionPlugin is the plugin of a region: what it reads, its fields, and what it computes, in order.
type regionPlugin struct {
	name       string
	inputs     []*lower.Value
	attributes []onnx.Attribute
	outputs    []*lower.Value
	shapes     [][]int // of the outputs, nil where they are those of the graph
}

// region puts plugins in the place of the parts of the model that package regions finds, if the library has them. What an output needs of the values
// between is computed once more by the nodes that lead to it: what the plugins compute is the same with a tap and without, and the value is a twin of theirs,
// which is noted as a split. The fusions are those of the plugins.
func region(g *graph.Graph, f graph.Format, facts Facts) (*graph.Graph, []fusion, []backends.Split, error) {
	p, err := lower.Import(g, tensor.Float32, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	regions.Join(p)
	if f == "" || f == graph.FP16 || f == graph.BF16 {
		p.Fuse(regions.Rules(f))
	}
	r := newReplacer(g)
	var fusions []fusion
	var split []backends.Split
	for _, n := range p.Nodes {
		plugin := pluginOf(n)
		if plugin == nil || !facts.has(plugin.name, plugin.attributes) {
			continue
		}
		made := fusion{r.replace(plugin), n.Covers()}
		fusions = append(fusions, made)
		for _, v := range r.twins(made) {
			split = append(split, backends.Split{Node: made.name, Step: plugin.name, Value: v.Name})
		}
	}
	return r.graph(), fusions, split, nil
}

// pluginOf describes the plugin of a region, nil where a node is none or has something that its plugin does not know.
func pluginOf(n *lower.Node) *regionPlugin {
	describe := map[string]func(func(string) *lower.Node, *lower.Node) *regionPlugin{
		regions.Proxies: proxiesPlugin, regions.Gates: gatesPlugin, regions.Route: routePlugin, regions.HeavyPath: heavyPlugin, regions.BoxVector: vectorPlugin,
		regions.UnitBoxVector: vectorPlugin, regions.MaskDetail: detailPlugin, regions.PrototypeMasks: masksPlugin,
	}[n.Op.OpType()]
	if describe == nil {
		return nil
	}
	r := describe(n.Part, n)
	if r == nil || slices.Contains(r.inputs, nil) {
		return nil
	}
	return r
}

func proxiesPlugin(part func(string) *lower.Node, _ *lower.Node) *regionPlugin {
	r := &regionPlugin{name: "Proxies", outputs: []*lower.Value{part("stack").Out[0]}}
	for _, role := range []string{"boundary", "objectness", "variance"} {
		r.inputs = append(r.inputs, part(role).In[0])
	}
	for _, role := range []string{"boundary", "objectness", "uncertainty", "variance"} {
		r.outputs = append(r.outputs, part(role).Out[0])
	}
	return r
}

func gatesPlugin(part func(string) *lower.Node, _ *lower.Node) *regionPlugin {
	r := &regionPlugin{name: "Gates", inputs: []*lower.Value{part("boundary clean").In[2], part("uncertainty clean").In[2]}}
	count := 0
	for ; count < regions.MostGates && part(regions.GateRole(count, "gate")) != nil; count++ {
		of := func(role string) *lower.Node { return part(regions.GateRole(count, role)) }
		r.inputs = append(r.inputs, of("boundary").In[0], of("uncertainty").In[0], of("logit").In[1])
		r.outputs = append(r.outputs, of("gate").Out[0])
	}
	shape := r.outputs[0].Shape
	r.attributes = []onnx.Attribute{{Name: "gates", Value: int64(count)}, {Name: "height", Value: int64(shape[2])}, {Name: "width", Value: int64(shape[3])}}
	return r
}

// routePlugin takes routing with both utilities, both orders, and a split.
func routePlugin(part func(string) *lower.Node, _ *lower.Node) *regionPlugin {
	results := []string{"utilities", "split utilities", "select", "order", "split", "child order"}
	if slices.ContainsFunc(results, func(role string) bool { return part(role) == nil }) {
		return nil
	}
	r := &regionPlugin{name: "Route", inputs: []*lower.Value{part("statistics").In[0]}}
	for _, role := range []string{"first", "second", "utilities head", "split utilities head"} {
		r.inputs = append(r.inputs, part(role).In[1], part(role).Input(2))
	}
	for _, role := range results {
		r.outputs = append(r.outputs, part(role).Out[0])
	}
	windows, order, children := part("statistics").Op.(graph.TileAggregate), part("order").Op.(graph.TileOrder), part("child order").Op.(graph.TileOrder)
	if order.GridHeight != windows.FeatureHeight/windows.Tile || order.GridWidth != windows.FeatureWidth/windows.Tile ||
		children.GridHeight != 2*order.GridHeight || children.GridWidth != 2*order.GridWidth {
		return nil
	}
	r.attributes = []onnx.Attribute{
		{Name: "feature_height", Value: int64(windows.FeatureHeight)}, {Name: "feature_width", Value: int64(windows.FeatureWidth)}, {Name: "tile_size", Value: int64(windows.Tile)},
		{Name: "count", Value: int64(part("select").Op.(graph.GreedySelect).Count)}, {Name: "splits", Value: int64(part("split").Op.(graph.SplitSelect).Count)},
		{Name: "mode", Value: order.Mode}, {Name: "child_mode", Value: children.Mode},
	}
	return r
}

func heavyPlugin(part func(string) *lower.Node, n *lower.Node) *regionPlugin {
	pack := part("pack")
	r := &regionPlugin{name: "HeavyPath", inputs: []*lower.Value{pack.In[0], pack.In[1], part("unpack").Input(3)}, outputs: n.Out[:1]}
	r.inputs = append(r.inputs, part("forward").In[1:5]...)
	backward := part("backward")
	if backward != nil {
		r.inputs = append(append(r.inputs, backward.In[1:5]...), regions.Factor(part("gated forward"), part("forward")), regions.Factor(part("gated backward"), backward))
	}
	for _, role := range []string{"row", "first", "last", "depthwise", "pointwise", "norm"} {
		r.inputs = append(r.inputs, part(role).In[1], part(role).Input(2))
	}
	clip := part("clip").Op.(graph.Clip)
	r.attributes = []onnx.Attribute{
		{Name: "tile_size", Value: int64(pack.Op.(graph.TilePack).Tile)}, {Name: "bidirectional", Value: int64(flag(backward != nil))},
		{Name: "clamp_value", Value: float32(part("forward").Op.(graph.TileSSMScan).Clamp)}, {Name: "low", Value: float32(clip.Low)}, {Name: "high", Value: float32(clip.High)},
		{Name: "row_epsilon", Value: float32(part("row").Op.(graph.LayerNormalization).Epsilon)},
		{Name: "group_epsilon", Value: float32(part("norm").Op.(graph.GroupNormalization).Epsilon)},
		{Name: "product", Value: roundedTo(part("depthwise round"))}, {Name: "stored", Value: roundedTo(part("result"))},
	}
	return r
}

func vectorPlugin(part func(string) *lower.Node, n *lower.Node) *regionPlugin {
	pool := part("pool")
	op, boxes := pool.Op.(graph.RoiMeanPool), pool.In[1]
	r := &regionPlugin{name: "BoxVector", inputs: slices.Clone(pool.In), outputs: n.Out[:1]}
	for _, role := range []string{"first", "last"} {
		r.inputs = append(r.inputs, part(role).In[1], part(role).Input(2))
	}
	r.shapes = [][]int{{boxes.Shape[0], boxes.Shape[1], part("last").Out[0].Shape[1]}}
	r.attributes = []onnx.Attribute{
		{Name: "image_height", Value: int64(op.ImageHeight)}, {Name: "image_width", Value: int64(op.ImageWidth)},
		{Name: "product", Value: roundedTo(part("hidden round"))}, {Name: "result", Value: roundedTo(part("result"))},
	}
	if floored := part("floored"); floored != nil {
		r.attributes = append(r.attributes, onnx.Attribute{Name: "floor", Value: tensor.Data[float32](regions.Factor(floored, part("length")).Data)[0]})
	}
	return r
}

func detailPlugin(part func(string) *lower.Node, n *lower.Node) *regionPlugin {
	pack, shape := part("pack"), n.Out[0].Shape
	return &regionPlugin{
		name: "MaskDetail", inputs: []*lower.Value{part("mean").Out[0], part("detail").In[0], pack.In[1]}, outputs: n.Out[:1],
		attributes: []onnx.Attribute{
			{Name: "height", Value: int64(shape[2])}, {Name: "width", Value: int64(shape[3])}, {Name: "tile_size", Value: int64(pack.Op.(graph.TilePack).Tile)},
		},
	}
}

func masksPlugin(part func(string) *lower.Node, _ *lower.Node) *regionPlugin {
	mask, products, low := part("mask"), part("products"), part("low").Out[0].Shape
	op, shape := mask.Op.(graph.BoxMask), mask.Out[0].Shape
	r := &regionPlugin{name: "PrototypeMasks", inputs: []*lower.Value{products.In[0], products.In[1], mask.In[1]}, outputs: mask.Out}
	if sum := part("sum"); sum != nil {
		r.inputs = append(r.inputs, regions.Factor(sum, part("resized")))
	}
	r.attributes = []onnx.Attribute{
		{Name: "image_height", Value: int64(op.ImageHeight)}, {Name: "image_width", Value: int64(op.ImageWidth)}, {Name: "height", Value: int64(shape[2])},
		{Name: "width", Value: int64(shape[3])}, {Name: "low_height", Value: int64(low[2])}, {Name: "low_width", Value: int64(low[3])}, {Name: "fill", Value: float32(op.Fill)},
	}
	return r
}

// roundedTo is the format of a Round, none where there is none.
func roundedTo(round *lower.Node) string {
	if round == nil {
		return "none"
	}
	return string(round.Op.(graph.Round).To)
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}

// A replacer puts nodes in the place of others that compute the same values.
type replacer struct {
	of       *graph.Graph
	values   map[string]*graph.Value // by name
	producer map[*graph.Value]*graph.Node
}

func newReplacer(g *graph.Graph) *replacer {
	r := &replacer{of: g, values: map[string]*graph.Value{}, producer: map[*graph.Value]*graph.Node{}}
	for _, v := range g.Inputs {
		r.values[v.Name] = v
	}
	for _, n := range g.Nodes {
		for _, v := range n.Inputs {
			if v != nil {
				r.values[v.Name] = v
			}
		}
		for _, v := range n.Outputs {
			r.values[v.Name], r.producer[v] = v, n
		}
	}
	return r
}

// replace adds a plugin and returns the name of its node, that of the one which has computed its first output.
func (r *replacer) replace(p *regionPlugin) string {
	n := &graph.Node{}
	for _, v := range p.inputs {
		n.Inputs = append(n.Inputs, vector(r.values[v.Name]))
	}
	var types []graph.Type
	for i, v := range p.outputs {
		out := r.values[v.Name]
		if i == 0 {
			n.Name = r.producer[out].Name
		}
		r.producer[out] = n
		if i < len(p.shapes) && !slices.Equal(p.shapes[i], out.Shape) {
			view := &graph.Node{Name: out.Name + ".view", Op: graph.Reshape{Shape: out.Shape}, Outputs: []*graph.Value{out}}
			r.producer[out] = view
			out = &graph.Value{Name: out.Name + ".plugin", Type: graph.Type{DType: out.DType, Shape: p.shapes[i]}}
			r.producer[out], view.Inputs = n, []*graph.Value{out}
		}
		n.Outputs = append(n.Outputs, out)
		types = append(types, out.Type)
	}
	n.Op = onnx.Plugin(p.name, p.attributes, types...)
	return n.Name
}

// twins are the values that a plugin computes inside, and that are outputs of the graph and not of the plugin.
func (r *replacer) twins(f fusion) []*graph.Value {
	var list []*graph.Value
	for _, p := range r.of.Outputs {
		n := r.producer[p.Value]
		if n != nil && n.Name != f.name && slices.Contains(f.nodes, n.Name) && !slices.Contains(list, p.Value) {
			list = append(list, p.Value)
		}
	}
	return list
}

// vector returns a constant number as a vector of one element, as plugins take it, and other values as they are.
func vector(v *graph.Value) *graph.Value {
	if v.Const == nil || len(v.Shape) != 0 {
		return v
	}
	return graph.Constant(v.Name+".vector", tensor.Must(v.Const.Reshaped(1)))
}

// graph returns the graph of what its outputs need, each node behind those that it reads, else in the order that was.
func (r *replacer) graph() *graph.Graph {
	out := *r.of
	out.Nodes = nil
	needed := map[*graph.Node]bool{}
	var need func(n *graph.Node)
	need = func(n *graph.Node) {
		if n == nil || needed[n] {
			return
		}
		needed[n] = true
		for _, v := range n.Inputs {
			need(r.producer[v])
		}
	}
	for _, p := range r.of.Outputs {
		need(r.producer[p.Value])
	}
	done := map[*graph.Node]bool{}
	var put func(n *graph.Node)
	put = func(n *graph.Node) {
		if n == nil || done[n] || !needed[n] {
			return
		}
		done[n] = true
		for _, v := range n.Inputs {
			put(r.producer[v])
		}
		out.Nodes = append(out.Nodes, r.own(n))
	}
	for _, n := range r.of.Nodes {
		for _, v := range n.Outputs {
			put(r.producer[v])
		}
	}
	return &out
}

// own returns a node without the values that another node computes now: they have other names in it.
func (r *replacer) own(n *graph.Node) *graph.Node {
	if !slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return r.producer[v] != n }) {
		return n
	}
	moved := &graph.Node{Name: n.Name + ".again", Op: n.Op, Inputs: n.Inputs}
	for i, v := range n.Outputs {
		if r.producer[v] != n {
			v = &graph.Value{Name: fmt.Sprintf("%s.again.%d", n.Name, i), Type: v.Type}
		}
		moved.Outputs = append(moved.Outputs, v)
	}
	return moved
}
