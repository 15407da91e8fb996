package cuda

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/lower/regions"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/kernels"
)

// opMap makes a map of the planes of a value. It runs as a part of the first step that reads the map.
const opMap = lower.Fused("Map")

// network is what the compiler knows of the nodes that the network's kernels compute.
type network struct {
	geometries   map[string]kernels.Geometry     // of convolutions on tensor cores, by the names of their nodes
	convs        map[*lower.Node]*convolution    // these, with what is fused to them
	norms        map[*lower.Node]*normalisation  // GroupNorm over maps
	groups       map[*lower.Node][]*lower.Node   // what a merged node stands for (group.go)
	maps         map[*lower.Value]kernels.Format // values that are maps
	stored       map[*lower.Value]*lower.Value   // the map of a value
	moments      map[*lower.Value]*lower.Value   // of a map: where the pieces of its moments lie
	pieces       map[*lower.Value][]int          // of a map: how many pieces each image has
	momentValues map[*lower.Value]bool           // the values in moments
	// appliedByReaders holds SiLUs of normalisations: how a kernel of the network reads them.
	appliedByReaders map[*lower.Value]operand
	through          map[*lower.Node][]*lower.Node // by reader, nodes without a step of their own: their readers compute them
}

func newNetwork() network {
	return network{
		geometries: map[string]kernels.Geometry{}, convs: map[*lower.Node]*convolution{}, norms: map[*lower.Node]*normalisation{},
		groups: map[*lower.Node][]*lower.Node{}, maps: map[*lower.Value]kernels.Format{}, stored: map[*lower.Value]*lower.Value{},
		moments: map[*lower.Value]*lower.Value{}, pieces: map[*lower.Value][]int{}, appliedByReaders: map[*lower.Value]operand{},
		through: map[*lower.Node][]*lower.Node{}, momentValues: map[*lower.Value]bool{},
	}
}

// An operand is a map that a kernel of the network reads: as it lies in memory, or through GroupNorm and SiLU, which the reader applies.
type operand struct {
	at   *lower.Value
	norm *lower.Node // GroupNormalization; nil: the map is read as it is
}

// A convolution is a node that a kernel of conv.cu computes.
type convolution struct {
	kernels.Geometry
	conv, second *lower.Node // Conv, and the one over further input channels; or nil
	in, in2, add operand     // those that there are
	y            *lower.Value
	rounded      bool // the graph rounds y
	store        store
}

// A normalisation is a node that norm_apply computes.
type normalisation struct {
	norm         *lower.Node
	gated        bool
	in, residual operand
	y            *lower.Value
	store        store
}

// store says how a node leaves its result.
type store struct {
	as      *lower.Value // the map; nil if none is wanted
	planes  *lower.Value // the value as the graph has it; nil if nobody reads that
	moments *lower.Value // of the map; nil if nobody wants them
}

func (s store) wanted() bool { return s.as != nil || s.planes != nil }

// demand is who reads a value.
type demand struct {
	normalising []*lower.Node // kernels of the network that can apply a normalisation to it
	mapped      []*lower.Node // other kernels of the network
	planes      bool          // other kernels
	kept        bool          // outputs, and nodes for taps alone
	moments     bool          // of the map
}

// useMaps decides which values lie in memory as maps: those that kernels of the network compute for each other. What only stands between two of
// them leaves no step: a SiLU of a normalisation is applied by all who read it, from the map before it and its moments, and a rounding to the
// format by those who store or read. For others, and for taps, there are the values of the graph besides.
func (c *compiler) useMaps(p *lower.Program) {
	c.findNetwork(p)
	d := c.demands(p)
	var nodes []*lower.Node
	for _, n := range p.Nodes {
		switch {
		case c.convs[n] != nil:
			nodes = append(nodes, c.placeConv(n, d)...)
		case c.norms[n] != nil:
			nodes = append(nodes, c.placeNorm(n, d)...)
		case c.leftToReaders(n, d):
			of := d[n.Out[0]]
			if !of.kept {
				n.Out = nil
			}
			c.leave(n, of.mapped)
		default:
			nodes = append(nodes, n)
		}
	}
	p.SetNodes(nodes)
}

// findNetwork fills convs and norms.
func (c *compiler) findNetwork(p *lower.Program) {
	for _, n := range p.Nodes {
		switch {
		case c.isConv(n):
			v := &convolution{conv: n.Part("conv"), second: n.Part("second"), y: n.Out[0], rounded: n.Part("round") != nil}
			if v.conv == nil {
				v.conv = &lower.Node{Name: n.Name, Op: n.Op, In: slices.Clone(n.In), Out: n.Out} // n itself gets other operands
			}
			v.Geometry = c.geometries[v.conv.Name]
			c.convs[n] = v
		case n.Op == opNormMap:
			c.norms[n] = &normalisation{norm: n.Part("norm"), gated: n.Part("gate") != nil, y: n.Out[0]}
		}
	}
}

// coarseOf returns the map of half the size that is added to a convolution, or nil.
func coarseOf(n *lower.Node) *lower.Value {
	if rows := n.Part("rows"); rows != nil {
		return rows.In[0]
	}
	return nil
}

// source returns what a kernel of the network reads for a value: it rounds operands itself, and so does a conversion to a map.
func (c *compiler) source(v *lower.Value) *lower.Value {
	if n := v.Producer; n != nil {
		if op, ok := n.Op.(graph.Round); ok && op.To == c.rounded {
			return n.In[0]
		}
	}
	return v
}

// addedSource is source for a value that is added: there nothing is rounded but maps.
func (c *compiler) addedSource(v *lower.Value) *lower.Value {
	if c.roundsMaps() {
		return c.source(v)
	}
	return v
}

// demands collects who reads what. A rounding that the network's kernels alone read demands nothing itself.
func (c *compiler) demands(p *lower.Program) map[*lower.Value]*demand {
	d := map[*lower.Value]*demand{}
	of := func(v *lower.Value) *demand {
		if d[v] == nil {
			d[v] = &demand{}
		}
		return d[v]
	}
	normalises := func(n *lower.Node, v, source *lower.Value) {
		of(source).normalising = append(of(source).normalising, n)
		if v != source {
			of(v).mapped = append(of(v).mapped, n)
		}
	}
	reads := func(n *lower.Node, v, source *lower.Value) {
		of(source).mapped = append(of(source).mapped, n)
		if v != source {
			of(v).mapped = append(of(v).mapped, n)
		}
	}
	for _, o := range p.Outputs {
		of(o.Value).kept = true
	}
	distance := distances(p)
	for _, n := range slices.Backward(p.Nodes) {
		switch v, m := c.convs[n], c.norms[n]; {
		case v != nil:
			x := v.conv.In[0]
			if v.Image {
				of(c.source(x)).planes = true
				if x != c.source(x) {
					of(x).mapped = append(of(x).mapped, n)
				}
			} else {
				normalises(n, x, c.source(x))
			}
			if v.second != nil {
				reads(n, v.second.In[0], c.source(v.second.In[0]))
			}
			if coarse := coarseOf(n); coarse != nil {
				reads(n, coarse, c.addedSource(coarse))
			}
		case m != nil:
			y := m.norm.In[0]
			reads(n, y, y)
			of(y).moments = true
			of(y).kept = of(y).kept || len(n.Aside()) > 0
			if r := regions.Residual(n); r != nil {
				normalises(n, r, c.addedSource(r))
			}
		case c.leftToReaders(n, d):
			of(n.In[0]).kept = of(n.In[0]).kept || d[n.Out[0]].kept
		default:
			for _, x := range n.In {
				if x != nil && distance[n] == 0 {
					of(x).kept = true
				} else if x != nil {
					of(x).planes = true
				}
			}
		}
	}
	return d
}

// leftToReaders tells whether a node is a rounding that only kernels of the network read, but for outputs and taps. All readers have been seen.
func (c *compiler) leftToReaders(n *lower.Node, d map[*lower.Value]*demand) bool {
	op, ok := n.Op.(graph.Round)
	if !ok || op.To != c.rounded {
		return false
	}
	of := d[n.Out[0]]
	return of != nil && len(of.mapped) > 0 && !of.planes
}

// newMap returns the map of a value, to be computed by n.
func (c *compiler) newMap(v *lower.Value, n *lower.Node) *lower.Value {
	m := &lower.Value{Name: v.Name, DType: v.DType, Shape: v.Shape, Producer: n}
	c.maps[m] = mapFormat(c.rounded)
	return m
}

// store decides how n leaves v, and sets its outputs.
func (c *compiler) store(n *lower.Node, v *lower.Value, of *demand, mapped bool) store {
	var s store
	aside := n.Aside()
	n.Out = nil
	if mapped {
		s.as = c.newMap(v, n)
		c.stored[v] = s.as
		n.Out = append(n.Out, s.as)
	}
	if of.planes || of.kept || !mapped {
		s.planes = v
		n.Out = append([]*lower.Value{v}, n.Out...)
	}
	n.Out = slices.Insert(n.Out, 1, aside...) // where lower looks for them
	if mapped && of.moments {
		s.moments = &lower.Value{Name: v.Name + " moments", DType: tensor.Float32, Shape: []int{0}, Producer: n}
		c.moments[s.as], c.momentValues[s.moments] = s.moments, true
		n.Out = append(n.Out, s.moments)
	}
	return s
}

// placeConv gives a convolution its operands and its result. It returns the node, behind the conversions that it needs.
func (c *compiler) placeConv(n *lower.Node, d map[*lower.Value]*demand) []*lower.Node {
	var nodes []*lower.Node
	v := c.convs[n]
	if x := c.source(v.conv.In[0]); v.Image {
		v.in = operand{at: x}
	} else {
		v.in = c.operand(x, true, &nodes)
	}
	if v.second != nil {
		v.in2 = c.operand(c.source(v.second.In[0]), false, &nodes)
	}
	if coarse := coarseOf(n); coarse != nil {
		v.add = c.operand(c.addedSource(coarse), false, &nodes)
	}
	of := d[v.y]
	n.In = c.inputs(v.in, v.in2, v.add)
	for _, conv := range []*lower.Node{v.conv, v.second} {
		if conv != nil {
			n.In = append(n.In, conv.In[1:]...)
		}
	}
	v.store = c.store(n, v.y, of, len(of.normalising)+len(of.mapped) > 0)
	return append(nodes, n)
}

// placeNorm does the same for a normalisation. There is no node if all who read its result apply it themselves.
func (c *compiler) placeNorm(n *lower.Node, d map[*lower.Value]*demand) []*lower.Node {
	var nodes []*lower.Node
	m, of := c.norms[n], d[n.Out[0]]
	m.in = operand{c.stored[m.norm.In[0]], m.norm}
	if r := regions.Residual(n); r != nil {
		m.residual = c.operand(c.addedSource(r), true, &nodes)
	}
	n.In = c.inputs(m.in, m.residual)
	if len(n.Aside()) > 0 { // computed from the planes
		n.In = append(n.In, m.norm.In[0])
	}
	mapped := len(of.mapped) > 0
	if m.gated {
		mapped = mapped || len(of.normalising) > 0
	} else {
		c.appliedByReaders[m.y] = m.in
	}
	if m.gated || len(of.normalising) == 0 || mapped || of.planes {
		m.store = c.store(n, m.y, of, mapped)
		return append(nodes, n)
	}
	if of.kept || len(n.Aside()) > 0 {
		m.store = c.store(n, m.y, of, false)
	} else {
		n.Out = nil
	}
	c.leave(n, of.normalising)
	return nodes
}

// leave gives a node to its readers. What is kept of it, its outputs, is computed by the first of them besides.
func (c *compiler) leave(n *lower.Node, readers []*lower.Node) {
	for _, reader := range readers {
		c.through[reader] = append(c.through[reader], n)
	}
}

// operand returns how a kernel of the network reads a value, and adds a conversion to nodes where there is no map of it yet.
func (c *compiler) operand(v *lower.Value, normalises bool, nodes *[]*lower.Node) operand {
	if applied, ok := c.appliedByReaders[v]; ok && normalises {
		return applied
	}
	if c.stored[v] == nil {
		n := &lower.Node{Name: v.Name + " map", Op: opMap, In: []*lower.Value{v}}
		c.stored[v] = c.newMap(v, n)
		n.Out = []*lower.Value{c.stored[v]}
		*nodes = append(*nodes, n)
	}
	return operand{at: c.stored[v]}
}

// inputs lists what reading operands needs.
func (c *compiler) inputs(operands ...operand) []*lower.Value {
	var list []*lower.Value
	for _, o := range operands {
		if o.at != nil {
			list = append(list, o.at)
		}
		if o.norm != nil {
			list = append(list, c.moments[o.at], o.norm.In[1], o.norm.In[2])
		}
	}
	return list
}
