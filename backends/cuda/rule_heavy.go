package cuda

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/kernels"
)

// opHeavyPath is one level of the heavy path (backends/model, heavyPath): from the packing of the tiles to the map in which they are replaced.
const opHeavyPath = "HeavyPath"

// rounds makes patterns of what a session of a precision rounds.
type rounds struct{ format graph.Format }

// product wraps an operand of a product, stored what lies in memory otherwise: TF32 rounds the former alone.
func (r rounds) product(role string, p lower.Pattern) lower.Pattern {
	if r.format == "" {
		return p
	}
	return lower.Pattern{Op: "Round", Role: role, In: []lower.Pattern{p}}
}

func (r rounds) stored(role string, p lower.Pattern) lower.Pattern {
	if r.format == graph.TF32 {
		return p
	}
	return r.product(role, p)
}

// of and commuting make patterns of nodes.
func of(op, role string, in ...lower.Pattern) lower.Pattern {
	return lower.Pattern{Op: op, Role: role, In: in}
}

func commuting(op, role string, in ...lower.Pattern) lower.Pattern {
	return lower.Pattern{Op: op, Role: role, In: in, Commutes: true}
}

func second(p lower.Pattern) lower.Pattern {
	p.Output = 1
	return p
}

func value(role string) lower.Pattern { return lower.Pattern{Role: role} }

// heavyRules has a rule for each way in which the tokens are mixed.
func heavyRules(r rounds) []lower.Rule {
	pack := of("TilePack", "pack", value("dense"), value("ids"))
	tokens := of("ReduceMean", "tokens", pack)
	forward, backward := of("TileSSMScan", "forward", tokens), of("TileSSMScan", "backward", tokens)
	mixes := []lower.Pattern{
		forward,
		commuting("Add", "mix", commuting("Mul", "gated forward", value("gate"), forward), commuting("Mul", "gated backward", value("rest"), backward)),
	}
	var rules []lower.Rule
	for _, mix := range mixes {
		row := r.product("row round", of("LayerNormalization", "row", of("Reshape", "rows", of("Clip", "clip", mix))))
		hidden := of("Gemm", "first", row)
		silu := r.product("hidden round", commuting("Mul", "silu", hidden, of("Sigmoid", "sigmoid", hidden)))
		parts := of("Split", "parts", of("Gemm", "last", silu))
		gamma := commuting("Add", "1+gamma", of("Reshape", "gamma", of("Tanh", "tanh", parts)), value("one"))
		modulated := commuting("Add", "modulated", commuting("Mul", "scaled", gamma, pack), of("Reshape", "beta", second(parts)))
		tiles := of("Reshape", "tiles", r.stored("modulated round", modulated))
		depthwise := r.product("depthwise round", of("Conv", "depthwise", tiles))
		norm := of("GroupNormalization", "norm", r.stored("pointwise round", of("Conv", "pointwise", depthwise)))
		halves := of("Split", "halves", norm)
		gated := commuting("Mul", "gated", halves, of("Relu", "relu", second(halves)))
		refined := of("Reshape", "packed", r.stored("refined round", commuting("Add", "refined", gated, tiles)))
		rules = append(rules, lower.Rule{
			Name: opHeavyPath, Where: isHeavyPath, Pattern: r.stored("result", of("TileUnpackFusion", "unpack", value("dense"), refined, value("ids"))),
		})
	}
	return rules
}

// The most of what the kernels hold of a tile.
const (
	heavyChannels = 128
	heavyHidden   = 256
	heavyTile     = 32 // pixels along a side, a multiple of 4
)

// isHeavyPath tells whether the kernels compute what the nodes say.
func isHeavyPath(m lower.Match) bool {
	c := m.Value("dense").Shape[1]
	hidden, side := m.Node("first").Out[0].Shape[1], m.Node("pack").Op.(graph.TilePack).Tile
	return side <= heavyTile && side%4 == 0 && c <= heavyChannels && c%4 == 0 && hidden <= heavyHidden && hidden%4 == 0 && m.Value("dense").Len() > 0 &&
		slices.Equal(m.Node("tokens").Op.(graph.Reduce).Axes, []int{3, 4}) && scansForHeavyPath(m) &&
		isLinear(m.Node("first"), hidden) && isLinear(m.Node("last"), 2*c) && isNumber(m.Value("one"), 1) &&
		splitsInHalves(m.Node("parts")) && splitsInHalves(m.Node("halves")) && m.Node("norm").Op.(graph.GroupNormalization).Groups == 1 &&
		slices.Equal(m.Node("rows").Out[0].Shape, []int{m.Value("ids").Len(), c}) &&
		isConv(m.Node("depthwise"), 3, c, c) && isConv(m.Node("pointwise"), 1, 2*c, 1) && !m.Node("unpack").Op.(graph.TileUnpackFusion).Blend
}

func scansForHeavyPath(m lower.Match) bool {
	forward, backward := m.Node("forward").Op.(graph.TileSSMScan), m.Node("backward")
	if forward.Backward || backward == nil {
		return !forward.Backward
	}
	other := backward.Op.(graph.TileSSMScan)
	c := m.Value("dense").Shape[1]
	return other.Backward && other.Clamp == forward.Clamp && slices.Equal(m.Value("gate").Shape, []int{c}) && slices.Equal(m.Value("rest").Shape, []int{c})
}

// isLinear tells whether a node is x·Wᵀ + bias with constant weights and a bias for each of n outputs, or none.
func isLinear(n *lower.Node, outputs int) bool {
	bias := n.Input(2)
	return n.Op.(graph.Gemm).TransB && n.In[1].Constant && n.Out[0].Shape[1] == outputs && (bias == nil || slices.Equal(bias.Shape, []int{outputs}))
}

// isConv tells whether a node is a convolution of stride 1 with a square kernel that keeps the size.
func isConv(n *lower.Node, side, outputs, groups int) bool {
	op, w, pad := n.Op.(graph.Conv), n.In[1], side/2
	return op.Group == groups && op.Strides == [2]int{1, 1} && op.Pads == [4]int{pad, pad, pad, pad} &&
		w.Constant && w.Shape[0] == outputs && w.Shape[2] == side && w.Shape[3] == side
}

// isNumber tells whether a value is one constant number, which is x.
func isNumber(v *lower.Value, x float32) bool {
	return v.Data != nil && v.Len() == 1 && v.DType == tensor.Float32 && tensor.Data[float32](v.Data)[0] == x
}

type scanOf struct{ decay, inputGain, outputGain, bias Address }

type heavyArgs struct {
	base, alpha, ids, y                                                   Address
	tokens, film, refined, moments                                        Address
	forward, backward                                                     scanOf
	gate, rest                                                            Address
	rowScale, rowShift, weight0, bias0, weight2, bias2                    Address
	depthwise, depthwiseBias, pointwise, pointwiseBias, groupScale, shift Address
	pixelShare, channelShare                                              float64
	plane                                                                 int64
	channels, k, hidden, pieces                                           int32
	tiling                                                                tiling
	rowEpsilon, groupEpsilon                                              float32
	limit, low, high                                                      float32
	written, strips, together, halves, stretches                          int32
	product, stored                                                       rounding
	fault                                                                 fault
}

const (
	heavyThreads = 256
	heavyWarps   = heavyThreads / 32 // also the channels of a block of heavy_tokens
	heavyPixels  = 32                // of a strip
	heavyBlocks  = 3                 // of heavy_refine that a multiprocessor holds: where there would be more, a block takes several strips
	writeThreads = 256               // of four pixels each
	writeBlocks  = 5                 // of heavy_write that a multiprocessor holds: where there would be more, a block takes several stretches of channels
)

// multipliesHalves tells whether the matrix unit has the weights and the operands of a convolution as fp16 numbers.
func (c *compiler) multipliesHalves(conv *lower.Node) bool {
	return c.rounded == graph.FP16 && c.multiplies(conv.In[1])
}

func lowerHeavyPath(c *compiler, s *step) error {
	part := s.Node.Part
	pack, unpack := part("pack"), part("unpack")
	dense, ids := pack.In[0], pack.In[1]
	s.Allow(dense)
	if err := c.lowerAside(s); err != nil {
		return err
	}
	channels, tiles, batch := dense.Shape[1], ids.Len(), dense.Shape[0]
	area := pack.Out[0].Shape[3] * pack.Out[0].Shape[4]
	strips, written := ceilDiv(area, heavyPixels), max(4*writeThreads/area, 1)
	together := min(ceilDiv(strips*tiles, heavyBlocks*c.properties.Multiprocessors), strips)
	tiling := newTiling(dense.Shape, pack.Op.(graph.TilePack).Tile)
	of := ceilDiv(channels, written) // stretches of a cell
	stretches := min(ceilDiv(int(tiling.tiles)*of*batch, writeBlocks*c.properties.Multiprocessors), of)
	tokens, film := s.AddScratch(tensor.Float32, tiles*channels), s.AddScratch(tensor.Float32, tiles*2*channels)
	refined, moments := s.AddScratch(tensor.Float32, tiles*2*channels*area), s.AddScratch(tensor.Float32, tiles*strips*heavyWarps*kernels.PieceBytes/4)
	clip := part("clip").Op.(graph.Clip)
	args := heavyArgs{
		pixelShare: 1 / float64(area), channelShare: 1 / float64(channels),
		rowEpsilon: float32(part("row").Op.(graph.LayerNormalization).Epsilon), groupEpsilon: float32(part("norm").Op.(graph.GroupNormalization).Epsilon),
		plane: int64(dense.Shape[2] * dense.Shape[3]), channels: int32(channels), k: int32(ids.Shape[1]), hidden: int32(part("first").Out[0].Shape[1]),
		pieces: int32(strips * heavyWarps), written: int32(written), strips: int32(strips), together: int32(together), halves: flag(c.multipliesHalves(part("pointwise"))),
		stretches: int32(stretches), tiling: tiling,
		limit: float32(part("forward").Op.(graph.TileSSMScan).Clamp), low: float32(clip.Low), high: float32(clip.High),
		product: roundingOf(part("depthwise round")), stored: roundingOf(part("result")),
	}
	s.launches = func(m *memory) []Launch {
		args.base, args.alpha, args.ids, args.y = m.at(dense), m.at(unpack.Input(3)), m.at(ids), m.at(s.Node.Out[0])
		args.tokens, args.film, args.refined, args.moments = m.at(tokens), m.at(film), m.at(refined), m.at(moments)
		args.mixing(m, part)
		args.weights(m, part)
		args.fault = m.faultOf(s.number)
		return []Launch{
			launch("heavy_tokens", [3]int{ids.Shape[1], ceilDiv(channels, heavyWarps), batch}, heavyThreads, args),
			launch("heavy_refine", [3]int{ceilDiv(strips, together), ids.Shape[1], batch}, heavyThreads, args),
			launch("heavy_write", [3]int{int(tiling.tiles), ceilDiv(of, stretches), batch}, writeThreads, args),
		}
	}
	return nil
}

// mixing sets what the recurrence reads.
func (a *heavyArgs) mixing(m *memory, part func(string) *lower.Node) {
	scan := func(n *lower.Node) scanOf { return scanOf{m.at(n.In[1]), m.at(n.In[2]), m.at(n.In[3]), m.at(n.In[4])} }
	a.forward = scan(part("forward"))
	if backward := part("backward"); backward != nil {
		a.backward = scan(backward)
		a.gate, a.rest = m.at(factor(part("gated forward"), part("forward"))), m.at(factor(part("gated backward"), backward))
	}
}

// factor returns the operand of a product or a sum that is not the first result of a node.
func factor(product, of *lower.Node) *lower.Value {
	if product.In[0] == of.Out[0] {
		return product.In[1]
	}
	return product.In[0]
}

// weights sets the other parameters.
func (a *heavyArgs) weights(m *memory, part func(string) *lower.Node) {
	at := func(role string, i int) Address { return m.at(part(role).Input(i)) }
	a.rowScale, a.rowShift = at("row", 1), at("row", 2)
	a.weight0, a.bias0, a.weight2, a.bias2 = at("first", 1), at("first", 2), at("last", 1), at("last", 2)
	a.depthwise, a.depthwiseBias, a.pointwise, a.pointwiseBias = at("depthwise", 1), at("depthwise", 2), at("pointwise", 1), at("pointwise", 2)
	a.groupScale, a.shift = at("norm", 1), at("norm", 2)
}
